#include "daemon/notifier.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "util/cleanup.h"
#include "util/clock.h"

enum { TEXT_MAX = 1024 };

/* When to try again if the manager's queue is full. */
#define RETRY_US UINT64_C(100000)

#define ACCURACY_US UINT64_C(10000)

struct notifier {
	struct sockaddr_un address;
	socklen_t length; /* of the address; 0: no manager */
	int fd;
	sd_event_source *timer;
	uint64_t period_us;    /* between two signs of life; UINT64_MAX: not asked for */
	uint64_t alive_us;     /* when the next one is due */
	char unsent[TEXT_MAX]; /* there was no room for it */
};

DEFINE_CLEANUP(struct notifier *, notifier_free)

/* Where NOTIFY_SOCKET is: a path, or an abstract name behind an "@". */
static void notifier_find_manager(struct notifier *notifier)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t length = path ? strlen(path) : 0;

	if (length < 2 || (path[0] != '/' && path[0] != '@') ||
	    length >= sizeof notifier->address.sun_path)
		return;
	notifier->address.sun_family = AF_UNIX;
	memcpy(notifier->address.sun_path, path, length);
	if (path[0] == '@')
		notifier->address.sun_path[0] = '\0';
	notifier->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
}

/* False: there is no room now. Other failures will not go away. */
static bool notifier_send(const struct notifier *notifier, const char *text)
{
	return notifier->length == 0 ||
	       sendto(notifier->fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL,
		      (const struct sockaddr *)&notifier->address, notifier->length) >= 0 ||
	       (errno != EAGAIN && errno != ENOBUFS);
}

static void notifier_rearm(struct notifier *notifier, uint64_t due_us)
{
	sd_event_source_set_time(notifier->timer, due_us);
	sd_event_source_set_enabled(notifier->timer,
				    due_us < UINT64_MAX ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

static int on_time(sd_event_source *source, uint64_t time_us, void *userdata)
{
	struct notifier *notifier = userdata;
	uint64_t now_us = clock_us(CLOCK_MONOTONIC);

	(void)source;
	(void)time_us;
	if (notifier->unsent[0] && notifier_send(notifier, notifier->unsent))
		notifier->unsent[0] = '\0';
	if (now_us >= notifier->alive_us && notifier_send(notifier, "WATCHDOG=1"))
		notifier->alive_us = now_us + notifier->period_us;
	notifier_rearm(notifier, notifier->unsent[0] || notifier->alive_us <= now_us
					 ? now_us + RETRY_US
					 : notifier->alive_us);
	return 0;
}

/* Of the same priority as the tail: a loop that has no time for records has none for this. */
static int notifier_attach(struct notifier *notifier, sd_event *event)
{
	uint64_t limit_us;
	int r = sd_watchdog_enabled(false, &limit_us);

	if (r < 0)
		return r;
	notifier->alive_us = notifier->period_us = UINT64_MAX;
	if (r > 0) {
		notifier->alive_us = clock_us(CLOCK_MONOTONIC);
		notifier->period_us = limit_us / 2;
	}
	r = sd_event_add_time(event, &notifier->timer, CLOCK_MONOTONIC, 0, ACCURACY_US, on_time,
			      notifier);
	if (r >= 0)
		notifier_rearm(notifier, notifier->alive_us);
	return r < 0 ? r : 0;
}

int notifier_new(sd_event *event, struct notifier **ret)
{
	CLEANUP(cleanup_notifier_free) struct notifier *notifier = calloc(1, sizeof *notifier);
	int r;

	if (!notifier)
		return -ENOMEM;
	notifier_find_manager(notifier);
	notifier->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (notifier->fd < 0)
		return -errno;
	r = notifier_attach(notifier, event);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(notifier);
	return 0;
}

struct notifier *notifier_free(struct notifier *notifier)
{
	if (notifier) {
		cleanup_close(&notifier->fd);
		sd_event_source_unref(notifier->timer);
		free(notifier);
	}
	return NULL;
}

void notifier_say(struct notifier *notifier, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(notifier->unsent, sizeof notifier->unsent, format, arguments);
	va_end(arguments);
	if (notifier_send(notifier, notifier->unsent))
		notifier->unsent[0] = '\0';
	else
		notifier_rearm(notifier, clock_us(CLOCK_MONOTONIC) + RETRY_US);
}
