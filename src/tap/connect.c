#include "tap/connect.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <time.h>

#include "tap/destination.h"
#include "tap/send.h"
#include "util/cleanup.h"
#include "util/clock.h"

/* 0: there is a connection; -EAGAIN: not until `until_us`; another negative errno: refused. */
static int connect_await(int fd, uint64_t until_us)
{
	struct pollfd pollfd = {.fd = fd, .events = POLLOUT};
	int error;
	socklen_t size = sizeof error;

	for (;;) {
		uint64_t now = clock_us(CLOCK_MONOTONIC);
		int n = poll(&pollfd, 1, now < until_us ? (int)((until_us - now + 999) / 1000) : 0);

		if (n > 0)
			break;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0 && clock_us(CLOCK_MONOTONIC) >= until_us)
			return -EAGAIN;
	}
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
		return -errno;
	return -error;
}

static int connect_one(const struct destination *to, uint64_t until_us, int *ret_fd)
{
	CLEANUP(cleanup_close) int fd = socket(to->socket_address.ss_family, SOCK_STREAM, 0);
	int r;

	if (fd < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	/* What is typed next does not wait until what was typed last has arrived. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	if (connect(fd, (const struct sockaddr *)&to->socket_address, to->size) < 0) {
		if (errno != EINPROGRESS && errno != EINTR)
			return -errno;
		r = connect_await(fd, until_us);
		if (r < 0)
			return r;
	}
	*ret_fd = fd;
	fd = -1;
	return 0;
}

int connect_try(const struct destinations *to, uint16_t port, uint64_t patience_us,
		uint64_t deadline_us, int *ret_fd)
{
	uint64_t until = clock_us(CLOCK_MONOTONIC);
	int r = -EAGAIN;

	for (size_t i = 0; i < to->n; i++) {
		struct destination at = destination_at(&to->items[i], port);
		uint64_t now;

		until = until + patience_us < deadline_us ? until + patience_us : deadline_us;
		r = connect_one(&at, until, ret_fd);
		if (r == 0)
			return 0;
		now = clock_us(CLOCK_MONOTONIC);
		if (now >= deadline_us)
			return r;
	}
	if (until > clock_us(CLOCK_MONOTONIC))
		send_pause(until - clock_us(CLOCK_MONOTONIC));
	return r;
}
