#include "support-loop.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "cmocka-all.h"
#include "util/clock.h"

struct sd_event_source {
	struct sd_event_source *next;
	int fd; /* -1: a timer */
	uint32_t events;
	uint64_t at_us;
	int enabled;
	sd_event_io_handler_t on_io;
	sd_event_time_handler_t on_time;
	void *userdata;
};

static sd_event_source *sources;
static uint64_t monotonic_us, realtime_us;

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret)
{
	uint64_t us = clock == CLOCK_REALTIME ? realtime_us : monotonic_us;

	*ret = (struct timespec){.tv_sec = (time_t)(us / US_PER_S),
				 .tv_nsec = (long)(us % US_PER_S * 1000)};
	return 0;
}

void loop_begin(void)
{
	assert_null(sources);
	monotonic_us = LOOP_MONOTONIC_US;
	realtime_us = LOOP_REALTIME_US;
}

static sd_event_source *loop_first_due(uint64_t until_us)
{
	sd_event_source *first = NULL;

	for (sd_event_source *source = sources; source; source = source->next)
		if (source->fd < 0 && source->enabled && source->at_us <= until_us &&
		    (!first || source->at_us < first->at_us))
			first = source;
	return first;
}

void loop_advance(uint64_t us)
{
	uint64_t until_us = monotonic_us + us;
	sd_event_source *due;

	while ((due = loop_first_due(until_us))) {
		if (due->at_us > monotonic_us) {
			realtime_us += due->at_us - monotonic_us;
			monotonic_us = due->at_us;
		}
		due->enabled = SD_EVENT_OFF;
		assert_true(due->on_time(due, due->at_us, due->userdata) >= 0);
	}
	realtime_us += until_us - monotonic_us;
	monotonic_us = until_us;
}

void loop_step(int64_t us)
{
	realtime_us += (uint64_t)us;
}

static sd_event_source *loop_find(int fd)
{
	sd_event_source *source = sources;

	while (source && source->fd != fd)
		source = source->next;
	return source;
}

bool loop_ready(int fd)
{
	sd_event_source *source = loop_find(fd);

	if (!source)
		return false;
	assert_true(source->on_io(source, fd, source->events, source->userdata) >= 0);
	return true;
}

uint32_t loop_events(int fd)
{
	const sd_event_source *source = loop_find(fd);

	return source ? source->events : 0;
}

/* sd-event, as far as it is used */

sd_event *sd_event_ref(sd_event *event)
{
	return event;
}

sd_event *sd_event_unref(sd_event *event)
{
	(void)event;
	return NULL;
}

static int source_add(sd_event_source source, sd_event_source **ret)
{
	*ret = calloc(1, sizeof **ret);
	if (!*ret)
		return -ENOMEM;
	source.next = sources;
	**ret = source;
	sources = *ret;
	return 0;
}

int sd_event_add_time(sd_event *event, sd_event_source **ret, clockid_t clock, uint64_t at_us,
		      uint64_t accuracy_us, sd_event_time_handler_t on_time, void *userdata)
{
	(void)event;
	(void)accuracy_us;
	assert_int_equal(clock, CLOCK_MONOTONIC);
	return source_add((sd_event_source){.fd = -1,
					    .at_us = at_us,
					    .enabled = SD_EVENT_ONESHOT,
					    .on_time = on_time,
					    .userdata = userdata},
			  ret);
}

int sd_event_add_io(sd_event *event, sd_event_source **ret, int fd, uint32_t events,
		    sd_event_io_handler_t on_io, void *userdata)
{
	(void)event;
	assert_null(loop_find(fd));
	return source_add(
		(sd_event_source){.fd = fd, .events = events, .on_io = on_io, .userdata = userdata},
		ret);
}

int sd_event_source_set_time(sd_event_source *source, uint64_t at_us)
{
	source->at_us = at_us;
	return 0;
}

int sd_event_source_set_enabled(sd_event_source *source, int enabled)
{
	source->enabled = enabled;
	return 0;
}

int sd_event_source_get_enabled(sd_event_source *source, int *ret)
{
	*ret = source->enabled;
	return source->enabled != SD_EVENT_OFF;
}

int sd_event_source_set_io_events(sd_event_source *source, uint32_t events)
{
	source->events = events;
	return 0;
}

sd_event_source *sd_event_source_unref(sd_event_source *source)
{
	sd_event_source **link = &sources;

	if (!source)
		return NULL;
	while (*link != source)
		link = &(*link)->next;
	*link = source->next;
	free(source);
	return NULL;
}
