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

/* How long a predecessor may take to be gone. */
#define PATIENCE_US UINT64_C(1000000)

struct grant_loop {
	sd_event *event;
	sd_event_source *timer, *commands;
	struct grants *grants;
	grant_loop_news_fn news;
	void *userdata; /* of `news` */
};

DEFINE_CLEANUP(struct grant_loop *, grant_loop_free)

/* What is wrong with a record concerns no door. Whether the news was of that kind. */
static bool log_record(const struct grant_news *news)
{
	char source[ADDRESS_TEXT_MAX];

	switch (news->event) {
	case GRANT_LOST:
		if (news->door)
			log_line(LOG_ERR, "grants/%s is damaged: closing the door that it names",
				 news->reason);
		else
			log_line(LOG_ERR, "grants/%s is not the record of a grant", news->reason);
		return true;
	case GRANT_UNREADABLE:
		log_line(LOG_ERR, "cannot read grants/%s, and will try again: a door may be open",
			 news->reason);
		return true;
	case GRANT_STALE:
		log_line(LOG_ERR,
			 "cannot remove grants/%s@%s: %s; the door will be closed once more after "
			 "the next start",
			 news->door, address_format(&news->source, source), news->reason);
		return true;
	default:
		return false;
	}
}

static void on_news(void *userdata, const struct grant_news *news)
{
	static const enum audit_event events[] = {
		[GRANT_OPENED] = AUDIT_OPENED,
		[GRANT_RENEWED] = AUDIT_RENEWED,
		[GRANT_CLOSED] = AUDIT_CLOSED,
		[GRANT_REFUSED] = AUDIT_REFUSED,
		[GRANT_CLOSE_FAILED] = AUDIT_CLOSE_FAILED,
		[GRANT_ADOPTED] = AUDIT_ADOPTED,
		[GRANT_RESTORED] = AUDIT_RESTORED,
		[GRANT_MISSING] = AUDIT_MISSING,
	};
	const struct grant_loop *doors = userdata;
	uint64_t deadline_us = news->left_us > 0 ? clock_us(CLOCK_REALTIME) + news->left_us : 0;

	if (log_record(news))
		return;
	audit_send(&(struct audit_entry){
		.event = events[news->event],
		.door = news->door,
		.user = news->user,
		.way = news->way,
		.source = news->source,
		.deadline_us = deadline_us,
		.reason = news->reason,
	});
	if (doors->news)
		doors->news(doors->userdata, news, deadline_us);
}

void grant_loop_listen(struct grant_loop *doors, grant_loop_news_fn fn, void *userdata)
{
	doors->news = fn;
	doors->userdata = userdata;
}

void grant_loop_rearm(struct grant_loop *doors)
{
	uint64_t next_us = grants_next_us(doors->grants);
	uint64_t soon_us = clock_us(CLOCK_BOOTTIME) + BREATH_US;

	if (next_us < soon_us)
		next_us = soon_us;
	sd_event_source_set_time(doors->timer, next_us);
	sd_event_source_set_enabled(doors->timer,
				    next_us < UINT64_MAX ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

static void run(struct grant_loop *doors)
{
	grants_run(doors->grants, clock_us(CLOCK_BOOTTIME));
	grant_loop_rearm(doors);
}

static int on_time(sd_event_source *source, uint64_t time_us, void *userdata)
{
	(void)source;
	(void)time_us;
	run(userdata);
	return 0;
}

static int on_command(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	(void)source;
	(void)fd;
	(void)events;
	run(userdata);
	return 0;
}

/* Deadlines come before records: a flood of records must not hold a door open. */
static int attach(struct grant_loop *doors)
{
	int r;

	r = sd_event_add_time(doors->event, &doors->timer, CLOCK_BOOTTIME, UINT64_MAX, 1000,
			      on_time, doors);
	if (r >= 0)
		r = sd_event_source_set_priority(doors->timer, SD_EVENT_PRIORITY_IMPORTANT);
	if (r >= 0)
		r = sd_event_add_io(doors->event, &doors->commands, grants_fd(doors->grants),
				    EPOLLIN, on_command, doors);
	if (r >= 0)
		r = sd_event_source_set_priority(doors->commands, SD_EVENT_PRIORITY_IMPORTANT);
	if (r < 0)
		return r;
	grant_loop_rearm(doors);
	return 0;
}

/* Of a daemon that was killed, a child may hold on to the records until it has become the command
 * that it is to run. */
static int take_records(const struct grants_options *options, struct grants **ret)
{
	uint64_t end_us = clock_us(CLOCK_MONOTONIC) + PATIENCE_US;
	int r;

	while ((r = grants_new(options, ret)) == -EBUSY && clock_us(CLOCK_MONOTONIC) < end_us)
		poll(NULL, 0, 10);
	return r;
}

int grant_loop_new(sd_event *event, const char *runtime_directory, struct grant_loop **ret)
{
	CLEANUP(cleanup_grant_loop_free) struct grant_loop *doors = calloc(1, sizeof *doors);
	CLEANUP(cleanup_free) char *directory = NULL;
	char boot_id[SD_ID128_STRING_MAX] = "unknown";
	sd_id128_t boot;
	int r;

	if (!doors || asprintf(&directory, "%s/grants", runtime_directory) < 0)
		return -ENOMEM;
	if (sd_id128_get_boot(&boot) >= 0)
		sd_id128_to_string(boot, boot_id);
	doors->event = sd_event_ref(event);
	r = take_records(
		&(struct grants_options){
			.directory = directory,
			.boot_id = boot_id,
			.news = on_news,
			.userdata = doors,
		},
		&doors->grants);
	if (r < 0) {
		log_line(LOG_ERR, "cannot keep records of grants in %s: %s", directory,
			 r == -EBUSY ? "another knocktaild does" : strerror(-r));
		return r;
	}
	r = attach(doors);
	if (r < 0) {
		log_line(LOG_ERR, "cannot watch deadlines: %s", strerror(-r));
		return r;
	}
	*ret = TAKE_PTR(doors);
	return 0;
}

struct grant_loop *grant_loop_free(struct grant_loop *doors)
{
	if (doors) {
		sd_event_source_unref(doors->timer);
		sd_event_source_unref(doors->commands);
		grants_free(doors->grants);
		sd_event_unref(doors->event);
		free(doors);
	}
	return NULL;
}

struct grants *grant_loop_grants(struct grant_loop *doors)
{
	return doors->grants;
}

int grant_loop_wait_empty(struct grant_loop *doors)
{
	uint64_t start_us = clock_us(CLOCK_BOOTTIME), now_us = start_us;

	while (grants_count(doors->grants) > 0 && now_us - start_us < END_LIMIT_US) {
		int r = sd_event_run(doors->event, END_LIMIT_US - (now_us - start_us));

		if (r < 0)
			return r;
		now_us = clock_us(CLOCK_BOOTTIME);
	}
	return grants_count(doors->grants) == 0 ? 0 : -ETIMEDOUT;
}

int grant_loop_suspend(struct grant_loop *doors)
{
	grants_suspend(doors->grants, clock_us(CLOCK_BOOTTIME));
	grant_loop_rearm(doors);
	return grant_loop_wait_empty(doors);
}
