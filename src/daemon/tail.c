#include "daemon/tail.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/record.h"
#include "daemon/clock.h"
#include "source/source.h"
#include "util/cleanup.h"
#include "util/log.h"

/* So many records at a time, so that deadlines and signals come in between. */
enum { BATCH = 512 };

/* journald tells of new entries a quarter of a second late, but an open file shows them at once. So
 * the tail looks by itself: at a price that is no matter while nothing happens, and so often that
 * nobody has to wait while somebody knocks. */
#define LOOK_US	 UINT64_C(20000)
#define HURRY_US UINT64_C(2000)
#define KNOCK_US UINT64_C(10000000) /* for how long to hurry after a probe of a knock */

/* When to open the journal again after an error. */
#define REOPEN_US UINT64_C(1000000)

struct tail {
	sd_event *event;
	struct source *source; /* NULL: lost, to be opened again */
	sd_event_source *notice, *timer, *more;
	uint64_t hurry_until_us;
	tail_record_fn fn;
	void *userdata;
};

DEFINE_CLEANUP(struct tail *, tail_free)

static int on_notice(sd_event_source *source, int fd, uint32_t events, void *userdata);

static void close_journal(struct tail *tail)
{
	tail->notice = sd_event_source_unref(tail->notice);
	tail->source = source_free(tail->source);
}

static int open_journal(struct tail *tail)
{
	int r = source_new_live(&tail->source);

	if (r == 0)
		r = sd_event_add_io(tail->event, &tail->notice, source_fd(tail->source),
				    (uint32_t)source_events(tail->source), on_notice, tail);
	if (r < 0)
		close_journal(tail);
	return r < 0 ? r : 0;
}

static void rearm(struct tail *tail)
{
	uint64_t now_us = clock_us(CLOCK_MONOTONIC), look_us, deadline_us;

	if (!tail->source)
		look_us = now_us + REOPEN_US;
	else
		look_us = now_us + (now_us < tail->hurry_until_us ? HURRY_US : LOOK_US);
	if (tail->source && source_deadline(tail->source, &deadline_us) == 0 &&
	    deadline_us < look_us)
		look_us = deadline_us;
	sd_event_source_set_time(tail->timer, look_us);
	sd_event_source_set_enabled(tail->timer, SD_EVENT_ONESHOT);
}

/* Nothing that stands in a journal stops the daemon: it opens the journal anew, a moment later. */
static void lose(struct tail *tail, int error)
{
	log_line(LOG_ERR, "cannot read the journal: %s; opening it anew", strerror(-error));
	close_journal(tail);
	rearm(tail);
}

static void read_batch(struct tail *tail)
{
	int r = SOURCE_RECORD;

	for (int i = 0; i < BATCH && r == SOURCE_RECORD; i++) {
		struct record record;

		r = source_next(tail->source, &record);
		if (r == SOURCE_RECORD)
			tail->fn(tail->userdata, &record);
	}
	if (r == SOURCE_RECORD)
		sd_event_source_set_enabled(tail->more, SD_EVENT_ONESHOT);
	else if (r < 0)
		lose(tail, r);
	else
		rearm(tail);
}

static void follow(struct tail *tail)
{
	int r = tail->source ? source_process(tail->source) : open_journal(tail);

	if (r < 0)
		lose(tail, r);
	else
		read_batch(tail);
}

static int on_notice(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	(void)source;
	(void)fd;
	(void)events;
	follow(userdata);
	return 0;
}

static int on_time(sd_event_source *source, uint64_t time_us, void *userdata)
{
	(void)source;
	(void)time_us;
	follow(userdata);
	return 0;
}

static int on_more(sd_event_source *source, void *userdata)
{
	struct tail *tail = userdata;

	(void)source;
	if (tail->source)
		read_batch(tail);
	return 0;
}

static int attach(struct tail *tail)
{
	int r = sd_event_add_time(tail->event, &tail->timer, CLOCK_MONOTONIC, 0, 250, on_time,
				  tail);

	if (r >= 0)
		r = sd_event_add_defer(tail->event, &tail->more, on_more, tail);
	if (r >= 0)
		r = sd_event_source_set_enabled(tail->more, SD_EVENT_OFF);
	return r < 0 ? r : 0;
}

int tail_new(sd_event *event, tail_record_fn fn, void *userdata, struct tail **ret)
{
	CLEANUP(cleanup_tail_free) struct tail *tail = calloc(1, sizeof *tail);
	int r;

	if (!tail)
		return -ENOMEM;
	tail->event = sd_event_ref(event);
	tail->fn = fn;
	tail->userdata = userdata;
	r = open_journal(tail);
	if (r < 0) {
		log_line(LOG_ERR, "cannot follow the journal: %s", strerror(-r));
		return r;
	}
	if (!source_sees_files(tail->source))
		log_line(LOG_WARNING, "no file of the journal can be read: is systemd-journald "
				      "running, and this user in the group systemd-journal?");
	r = attach(tail);
	if (r < 0) {
		log_line(LOG_ERR, "cannot watch the journal: %s", strerror(-r));
		return r;
	}
	*ret = TAKE_PTR(tail);
	return 0;
}

void tail_hurry(struct tail *tail)
{
	tail->hurry_until_us = clock_us(CLOCK_MONOTONIC) + KNOCK_US;
}

struct tail *tail_free(struct tail *tail)
{
	if (tail) {
		close_journal(tail);
		sd_event_source_unref(tail->timer);
		sd_event_source_unref(tail->more);
		sd_event_unref(tail->event);
		free(tail);
	}
	return NULL;
}
