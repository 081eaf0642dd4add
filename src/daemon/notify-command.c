#include "daemon/notify-command.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "core/event.h"
#include "core/placeholder.h"
#include "core/strv.h"
#include "daemon/growth.h"
#include "util/children.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/log.h"

struct notify_command {
	struct children *children;
	sd_event_source *timer, *io;
	struct growth dropped;
	uint64_t n_dropped;
};

DEFINE_CLEANUP(struct notify_command *, notify_command_free)
DEFINE_CLEANUP(char **, strv_free)

static void log_exit(const struct child_exit *exit)
{
	if (exit->timed_out)
		log_line(LOG_WARNING, "notify_command took too long and was killed");
	else if (exit->code != CLD_EXITED)
		log_line(LOG_WARNING, "notify_command was ended by signal %d", exit->status);
	else if (exit->status != 0)
		log_line(LOG_WARNING, "notify_command exited with status %d%s%s", exit->status,
			 *exit->output ? ": " : "", exit->output);
}

static void notify_command_rearm(struct notify_command *notify)
{
	uint64_t next_us = children_next_us(notify->children);

	sd_event_source_set_time(notify->timer, next_us);
	sd_event_source_set_enabled(notify->timer,
				    next_us < UINT64_MAX ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

static void notify_command_step(struct notify_command *notify)
{
	struct child_exit exit;

	while (children_next(notify->children, clock_us(CLOCK_BOOTTIME), &exit))
		log_exit(&exit);
	notify_command_rearm(notify);
}

static int on_time(sd_event_source *source, uint64_t time_us, void *userdata)
{
	(void)source;
	(void)time_us;
	notify_command_step(userdata);
	return 0;
}

static int on_child(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	(void)source;
	(void)fd;
	(void)events;
	notify_command_step(userdata);
	return 0;
}

/* Doors come first. */
static int notify_command_attach(struct notify_command *notify, sd_event *event)
{
	int r = sd_event_add_time(event, &notify->timer, CLOCK_BOOTTIME, UINT64_MAX, 0, on_time,
				  notify);

	if (r >= 0)
		r = sd_event_source_set_priority(notify->timer, SD_EVENT_PRIORITY_IDLE);
	if (r >= 0)
		r = sd_event_add_io(event, &notify->io, children_fd(notify->children), EPOLLIN,
				    on_child, notify);
	if (r >= 0)
		r = sd_event_source_set_priority(notify->io, SD_EVENT_PRIORITY_IDLE);
	if (r < 0)
		return r;
	notify_command_rearm(notify);
	return 0;
}

int notify_command_new(sd_event *event, struct notify_command **ret)
{
	CLEANUP(cleanup_notify_command_free)
	struct notify_command *notify = calloc(1, sizeof *notify);
	int r;

	if (!notify)
		return -ENOMEM;
	r = children_new(NOTIFY_MAX, &notify->children);
	if (r == 0)
		r = notify_command_attach(notify, event);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(notify);
	return 0;
}

struct notify_command *notify_command_free(struct notify_command *notify)
{
	if (notify) {
		sd_event_source_unref(notify->timer);
		sd_event_source_unref(notify->io);
		children_free(notify->children);
		free(notify);
	}
	return NULL;
}

static void notify_command_drop(struct notify_command *notify)
{
	uint64_t more = growth_take(&notify->dropped, ++notify->n_dropped);

	if (more > 0)
		log_line(LOG_WARNING,
			 "notify_command was not run (%" PRIu64 " times more): %d still run", more,
			 NOTIFY_MAX);
}

void notify_command_run(struct notify_command *notify, char *const argv[],
			const struct event *event)
{
	const struct placeholder_values values = {
		.door = event->door,
		.source = event->source,
		.user = event->user,
		.timeout_us = event->left_us,
	};
	CLEANUP(cleanup_strv_free) char **expanded = placeholder_expand_all(argv, &values);
	int r = -ENOMEM;

	if (expanded)
		r = children_spawn(notify->children, expanded,
				   clock_us(CLOCK_BOOTTIME) + NOTIFY_LIMIT_US, notify);
	if (r == -EAGAIN)
		notify_command_drop(notify);
	else if (r < 0)
		log_line(LOG_WARNING, "cannot run notify_command: %s", strerror(-r));
	notify_command_rearm(notify);
}
