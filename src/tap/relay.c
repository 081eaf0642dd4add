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

/* One way. It reads only when all that it has read before is written. */
struct direction {
	int from, to;
	bool done;
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
static void watch(const struct direction *direction, struct pollfd pollfds[static 2])
{
	bool full = has_bytes(direction);

	pollfds[0] = (struct pollfd){.fd = direction->done || full ? -1 : direction->from,
				     .events = POLLIN};
	/* Without bytes it still tells that nobody is there to take any. */
	pollfds[1] = (struct pollfd){.fd = direction->done ? -1 : direction->to,
				     .events = full ? POLLOUT : 0};
}

static int move_in(struct direction *direction)
{
	ssize_t n = read(direction->from, direction->bytes, sizeof(direction->bytes));

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	direction->start = 0;
	direction->end = (size_t)n;
	direction->done = n == 0;
	return 0;
}

static int move_out(struct direction *direction)
{
	size_t length = direction->end - direction->start;
	ssize_t n;

	if (length > direction->write_max)
		length = direction->write_max;
	n = write(direction->to, direction->bytes + direction->start, length);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	direction->start += (size_t)n;
	return 0;
}

static int move(struct direction *direction, const struct pollfd pollfds[static 2])
{
	int r = 0;

	if (pollfds[1].revents & POLLOUT)
		r = move_out(direction);
	else if (pollfds[1].revents)
		r = -EPIPE;
	if (r == 0 && pollfds[0].revents)
		r = move_in(direction);
	if (r < 0)
		direction->done = true;
	return r;
}

/* Moves what can be moved. A broken way up leaves what still comes down; without an output there is
 * nothing left to do. */
static int relay_step(struct direction *up, struct direction *down, int *error)
{
	bool up_was_done = up->done;
	struct pollfd pollfds[4];
	int r;

	watch(up, pollfds);
	watch(down, pollfds + 2);
	if (poll(pollfds, 4, -1) < 0)
		return errno == EINTR ? 0 : -errno;
	r = move(up, pollfds);
	if (r < 0 && *error == 0)
		*error = r;
	if (up->done && !up_was_done)
		shutdown(up->to, SHUT_WR);
	r = move(down, pollfds + 2);
	if (r == 0 && down->done) {
		close(down->to);
		down->to = -1;
	}
	return r;
}

int relay(int socket, int input, int output)
{
	struct direction up = {.from = input, .to = socket, .write_max = BUFFER_SIZE};
	struct direction down = {.from = socket, .to = output, .write_max = PIPE_BUF};
	int r = 0, error = 0;

	while (r == 0 && (!up.done || !down.done))
		r = relay_step(&up, &down, &error);
	if (down.to >= 0)
		close(down.to);
	close(input);
	close(socket);
	return r < 0 ? r : error;
}
