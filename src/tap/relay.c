#include "tap/relay.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

/* A descriptor of somebody else's must not be made non-blocking, but a pipe that is ready takes so
 * much at once (POSIX, PIPE_BUF). */
#ifndef PIPE_BUF
#define PIPE_BUF 512
#endif

enum { BUFFER_SIZE = 16384 };

enum flow {
	FLOWS,
	ENDED,	  /* nothing more comes, and what came is written */
	DESERTED, /* nobody is there to take anything */
};

/* One way. It reads only when all that it has read before is written. */
struct direction {
	int from, to;
	enum flow flow;
	int error; /* 0, or the negative errno that ended it */
	size_t start, end;
	size_t write_max;
	char bytes[BUFFER_SIZE];
};

static bool has_bytes(const struct direction *direction)
{
	return direction->start < direction->end;
}

/* What to wait for: [0] where it reads, [1] where it writes. What it does not wait for must not be
 * looked at either, for poll() reports the end of it without being asked, again and again. */
static void direction_watch(const struct direction *direction, struct pollfd pollfds[static 2])
{
	bool flows = direction->flow == FLOWS, full = has_bytes(direction);

	pollfds[0] = (struct pollfd){.fd = flows && !full ? direction->from : -1, .events = POLLIN};
	/* Without bytes it still tells that nobody is there to take any. */
	pollfds[1] =
		(struct pollfd){.fd = flows ? direction->to : -1, .events = full ? POLLOUT : 0};
}

static void direction_read(struct direction *direction)
{
	ssize_t n = read(direction->from, direction->bytes, sizeof(direction->bytes));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0)
		direction->error = -errno;
	if (n <= 0)
		direction->flow = ENDED;
	direction->start = 0;
	direction->end = n < 0 ? 0 : (size_t)n;
}

static void direction_write(struct direction *direction)
{
	size_t length = direction->end - direction->start;
	ssize_t n;

	if (length > direction->write_max)
		length = direction->write_max;
	n = write(direction->to, direction->bytes + direction->start, length);
	if (n >= 0) {
		direction->start += (size_t)n;
	} else if (errno != EAGAIN && errno != EINTR) {
		direction->error = -errno;
		direction->flow = DESERTED;
	}
}

static void direction_move(struct direction *direction, const struct pollfd pollfds[static 2])
{
	if (pollfds[1].revents & POLLOUT)
		direction_write(direction);
	else if (pollfds[1].revents)
		direction->flow = DESERTED;
	if (pollfds[0].revents && direction->flow == FLOWS)
		direction_read(direction);
}

int relay_run(int socket, int input, int output)
{
	struct direction up = {.from = input, .to = socket, .write_max = BUFFER_SIZE};
	struct direction down = {.from = socket, .to = output, .write_max = PIPE_BUF};
	bool up_is_open = true, down_is_open = true;

	while (up.flow == FLOWS || down.flow == FLOWS) {
		struct pollfd pollfds[4];
		int n;

		direction_watch(&up, pollfds);
		direction_watch(&down, pollfds + 2);
		/* An ssh that says goodbye leaves at once: what it has said is still passed on. */
		n = poll(pollfds, 4, down.flow == DESERTED ? 0 : -1);
		if (n == 0)
			break;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		direction_move(&up, pollfds);
		direction_move(&down, pollfds + 2);
		if (up.flow != FLOWS && up_is_open) {
			shutdown(socket, SHUT_WR);
			up_is_open = false;
		}
		if (down.flow == ENDED && down_is_open) {
			close(output);
			down_is_open = false;
		}
	}
	if (up.error != 0)
		return up.error;
	return down.error == -EPIPE ? 0 : down.error;
}
