#include "daemon/grant-loop.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <systemd/sd-id128.h>

#include "audit/audit.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/log.h"

/* How long an ending daemon waits for commands that close doors. */
#define END_LIMIT_US UINT64_C(15000000)

/* Between two rounds of closing; records are read meanwhile. */
#define BREATH_US UINT64_C(500)

/* How long a predecessor may take to exit. */
#define PATIENCE_US US_PER_S

struct grant_loop {
	sd_event *event;
	sd_event_source *timer, *commands;
	struct grants *grants;
	event_fn on_event;
	void *userdata; /* of on_event */
};

DEFINE_CLEANUP(struct grant_loop *, grant_loop_free)

/* Problems with state files are not events of a door. Whether it was one of those. */
static bool log_state_file(const struct event *event)
{
	char source[ADDRESS_TEXT_MAX];

	switch (event->kind) {
	case EVENT_LOST:
		if (event->door)
			log_line(LOG_ERR, "grants/%s is damaged: closing the door that it names",
				 event->reason);
		else
			log_line(LOG_ERR, "ignoring grants/%s: not a grant's state file",
				 event->reason);
		return true;
	case EVENT_UNREADABLE:
		log_line(LOG_ERR, "cannot read grants/%s, will retry: a door may be open",
			 event->reason);
		return true;
	case EVENT_STALE:
		log_line(LOG_ERR,
			 "cannot remove grants/%s@%s: %s; the door will be closed again after the "
			 "next start",
			 event->door, address_format(&event->source, source), event->reason);
		return true;
	default:
		return false;
	}
}

static void on_event(void *userdata, const struct event *event)
{
	const struct grant_loop *loop = userdata;
	struct event dated = *event;

	if (log_state_file(event))
		return;
	if (event->left_us > 0)
		dated.deadline_us = clock_us(CLOCK_REALTIME) + event->left_us;
	if (event->own_left_us > 0)
		dated.own_deadline_us = clock_us(CLOCK_REALTIME) + event->own_left_us;
	if (event->kind < N_AUDIT_EVENTS)
		audit_send(&dated);
	if (loop->on_event)
		loop->on_event(loop->userdata, &dated);
}

void grant_loop_listen(struct grant_loop *loop, event_fn fn, void *userdata)
{
	loop->on_event = fn;
	loop->userdata = userdata;
}

void grant_loop_rearm(struct grant_loop *loop)
{
	uint64_t next_us = grants_next_us(loop->grants);
	uint64_t soon_us = clock_us(CLOCK_BOOTTIME) + BREATH_US;

	if (next_us < soon_us)
		next_us = soon_us;
	sd_event_source_set_time(loop->timer, next_us);
	sd_event_source_set_enabled(loop->timer,
				    next_us < UINT64_MAX ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

static void grant_loop_step(struct grant_loop *loop)
{
	grants_run(loop->grants, clock_us(CLOCK_BOOTTIME));
	grant_loop_rearm(loop);
}

static int on_time(sd_event_source *source, uint64_t time_us, void *userdata)
{
	(void)source;
	(void)time_us;
	grant_loop_step(userdata);
	return 0;
}

static int on_command(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	(void)source;
	(void)fd;
	(void)events;
	grant_loop_step(userdata);
	return 0;
}

/* Deadlines come before records: a flood of records must not hold a door open. */
static int grant_loop_attach(struct grant_loop *loop)
{
	int r;

	r = sd_event_add_time(loop->event, &loop->timer, CLOCK_BOOTTIME, UINT64_MAX, 1000, on_time,
			      loop);
	if (r >= 0)
		r = sd_event_source_set_priority(loop->timer, SD_EVENT_PRIORITY_IMPORTANT);
	if (r >= 0)
		r = sd_event_add_io(loop->event, &loop->commands, grants_fd(loop->grants), EPOLLIN,
				    on_command, loop);
	if (r >= 0)
		r = sd_event_source_set_priority(loop->commands, SD_EVENT_PRIORITY_IMPORTANT);
	if (r < 0)
		return r;
	grant_loop_rearm(loop);
	return 0;
}

/* A child of a daemon that was killed may keep the directory locked until it has become the command
 * that it is to run. */
static int grants_new_patiently(const struct grants_options *options, struct grants **ret)
{
	uint64_t end_us = clock_us(CLOCK_MONOTONIC) + PATIENCE_US;
	int r;

	while ((r = grants_new(options, ret)) == -EBUSY && clock_us(CLOCK_MONOTONIC) < end_us)
		poll(NULL, 0, 10);
	return r;
}

int grant_loop_new(sd_event *event, const char *runtime_directory, struct grant_loop **ret)
{
	CLEANUP(cleanup_grant_loop_free) struct grant_loop *loop = calloc(1, sizeof *loop);
	CLEANUP(cleanup_free) char *directory = NULL;
	char boot_id[SD_ID128_STRING_MAX] = "unknown";
	sd_id128_t boot;
	int r;

	if (!loop || asprintf(&directory, "%s/grants", runtime_directory) < 0)
		return -ENOMEM;
	if (sd_id128_get_boot(&boot) >= 0)
		sd_id128_to_string(boot, boot_id);
	loop->event = sd_event_ref(event);
	r = grants_new_patiently(
		&(struct grants_options){
			.directory = directory,
			.boot_id = boot_id,
			.on_event = on_event,
			.userdata = loop,
		},
		&loop->grants);
	if (r < 0) {
		log_line(LOG_ERR, "cannot save grants in %s: %s", directory,
			 r == -EBUSY ? "another knocktaild does" : strerror(-r));
		return r;
	}
	r = grant_loop_attach(loop);
	if (r < 0) {
		log_line(LOG_ERR, "cannot watch deadlines: %s", strerror(-r));
		return r;
	}
	*ret = TAKE_PTR(loop);
	return 0;
}

struct grant_loop *grant_loop_free(struct grant_loop *loop)
{
	if (loop) {
		sd_event_source_unref(loop->timer);
		sd_event_source_unref(loop->commands);
		grants_free(loop->grants);
		sd_event_unref(loop->event);
		free(loop);
	}
	return NULL;
}

struct grants *grant_loop_grants(struct grant_loop *loop)
{
	return loop->grants;
}

int grant_loop_wait_empty(struct grant_loop *loop)
{
	uint64_t start_us = clock_us(CLOCK_BOOTTIME), now_us = start_us;

	while (grants_count(loop->grants) > 0 && now_us - start_us < END_LIMIT_US) {
		int r = sd_event_run(loop->event, END_LIMIT_US - (now_us - start_us));

		if (r < 0)
			return r;
		now_us = clock_us(CLOCK_BOOTTIME);
	}
	return grants_count(loop->grants) == 0 ? 0 : -ETIMEDOUT;
}

int grant_loop_suspend(struct grant_loop *loop)
{
	grants_suspend(loop->grants, clock_us(CLOCK_BOOTTIME));
	grant_loop_rearm(loop);
	return grant_loop_wait_empty(loop);
}
