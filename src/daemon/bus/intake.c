#include "daemon/bus/intake.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "daemon/bus/framing.h"
#include "util/cleanup.h"

struct intake {
	int from, to;
	sd_event_source *input, *output;
	struct framing framing;
	bool open; /* messages may pass */
	uint8_t bytes[2048];
	size_t n, n_judged; /* that are here, and that may pass */
};

DEFINE_CLEANUP(struct intake *, intake_free)

/* sd-bus sees the end of it. */
static void intake_end(struct intake *intake)
{
	intake->input = sd_event_source_disable_unref(intake->input);
	intake->output = sd_event_source_disable_unref(intake->output);
	cleanup_close(&intake->to);
	intake->to = -1;
}

/* Passes on what may pass, and as much as there is room for. 0 or a negative errno. */
static int intake_pass(struct intake *intake)
{
	while (intake->n > 0 &&
	       (intake->open || !intake->framing.greeted || intake->n_judged > 0)) {
		ssize_t r = 0;

		if (intake->n_judged == 0) {
			r = framing_feed(&intake->framing, intake->bytes, intake->n);
			if (r < 0)
				return (int)r;
			intake->n_judged = (size_t)r;
		}
		r = send(intake->to, intake->bytes, intake->n_judged, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (r < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -errno;
		intake->n -= (size_t)r;
		intake->n_judged -= (size_t)r;
		memmove(intake->bytes, intake->bytes + r, intake->n);
	}
	return 0;
}

/* It reads when it has nothing, and waits for room when it has something that may pass. */
static void intake_go_on(struct intake *intake)
{
	if (intake_pass(intake) < 0 ||
	    sd_event_source_set_io_events(intake->input, intake->n == 0 ? EPOLLIN : 0) < 0 ||
	    sd_event_source_set_enabled(intake->output,
					intake->n_judged > 0 ? SD_EVENT_ON : SD_EVENT_OFF) < 0)
		intake_end(intake);
}

static int on_input(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct intake *intake = userdata;
	ssize_t n = 0;

	(void)source;
	if (intake->n == 0) {
		n = recv(fd, intake->bytes, sizeof intake->bytes, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
	} else if (!(events & (EPOLLHUP | EPOLLERR))) {
		return 0;
	}
	if (n <= 0) {
		intake_end(intake);
		return 0;
	}
	intake->n = (size_t)n;
	intake_go_on(intake);
	return 0;
}

static int on_output(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	(void)source;
	(void)fd;
	(void)events;
	intake_go_on(userdata);
	return 0;
}

static int intake_attach(struct intake *intake, sd_event *event, int64_t priority)
{
	int r = sd_event_add_io(event, &intake->input, intake->from, EPOLLIN, on_input, intake);

	if (r >= 0)
		r = sd_event_source_set_priority(intake->input, priority);
	if (r >= 0)
		r = sd_event_add_io(event, &intake->output, intake->to, EPOLLOUT, on_output,
				    intake);
	if (r >= 0)
		r = sd_event_source_set_enabled(intake->output, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_source_set_priority(intake->output, priority);
	return r < 0 ? r : 0;
}

int intake_new(sd_event *event, int64_t priority, int fd, struct intake **ret, int *ret_fd)
{
	CLEANUP(cleanup_intake_free) struct intake *intake = calloc(1, sizeof *intake);
	int pair[2], r;

	if (!intake) {
		close(fd);
		return -ENOMEM;
	}
	intake->from = fd;
	intake->to = -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	intake->to = pair[0];
	r = intake_attach(intake, event, priority);
	if (r < 0) {
		close(pair[1]);
		return r;
	}
	*ret_fd = pair[1];
	*ret = TAKE_PTR(intake);
	return 0;
}

struct intake *intake_free(struct intake *intake)
{
	if (intake) {
		intake_end(intake);
		cleanup_close(&intake->from);
		free(intake);
	}
	return NULL;
}

void intake_open(struct intake *intake)
{
	intake->open = true;
	if (intake->to < 0)
		return;
	if (intake->framing.greeted)
		intake_go_on(intake);
	else
		intake_end(intake); /* sd-bus has seen an end of the hello that we have not */
}
