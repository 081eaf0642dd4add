#include "tap/send.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sodium.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "core/sequence.h"
#include "tap/destination.h"
#include "util/cleanup.h"
#include "util/clock.h"

enum { TCP_OPTIONS = 40, TCP_HEADER = 20 + TCP_OPTIONS, TCP_CHECKSUM = 16, TCP_SYN = 0x02 };

void send_pause(uint64_t us)
{
	struct timespec left = {.tv_sec = (time_t)(us / US_PER_S),
				.tv_nsec = (long)(us % US_PER_S * 1000)};

	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		;
}

/* The kernel has sent the SYN when connect() returns; whatever an answer made of it, and the socket
 * that is closed at once sends no second one. */
static int send_connect(int fd, const struct destination *to)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&to->socket_address, to->size) == 0)
		return 0;
	switch (errno) {
	case EINPROGRESS:
	case EINTR:
	case ECONNREFUSED:
	case ECONNRESET:
		return 0;
	default:
		return -errno;
	}
}

static int send_step(const struct destination *host, const struct step *step)
{
	struct destination to = destination_at(host, step->port);
	bool udp = step->protocol == IPPROTO_UDP;
	CLEANUP(cleanup_close)
	int fd = socket(to.socket_address.ss_family, udp ? SOCK_DGRAM : SOCK_STREAM, 0);

	if (fd < 0)
		return -errno;
	if (!udp)
		return send_connect(fd, &to);
	if (sendto(fd, "", 0, 0, (struct sockaddr *)&to.socket_address, to.size) < 0)
		return -errno;
	return 0;
}

int send_sequence(const struct destination *to, const struct sequence *sequence, uint64_t delay_us)
{
	for (size_t i = 0; i < sequence->n_steps; i++) {
		int r;

		if (i > 0)
			send_pause(delay_us);
		r = send_step(to, &sequence->steps[i]);
		if (r < 0)
			return r;
	}
	return 0;
}

static void put_u16(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static uint32_t sum_words(const uint8_t *bytes, size_t size, uint32_t sum)
{
	for (size_t i = 0; i < size; i += 2)
		sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
	return sum;
}

/* RFC 9293, 3.1. The ffff of an IPv4 address in its mapped form is a zero of such sums. */
static uint16_t tcp_checksum(const uint8_t header[static TCP_HEADER], const struct address *from,
			     const struct address *to)
{
	uint32_t sum = IPPROTO_TCP + TCP_HEADER;

	sum = sum_words(from->bytes, sizeof(from->bytes), sum);
	sum = sum_words(to->bytes, sizeof(to->bytes), sum);
	sum = sum_words(header, TCP_HEADER, sum);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* What an ordinary SYN has, but for the options. */
static void make_syn(const struct address *from, const struct address *to, uint16_t port,
		     const uint8_t options[static TCP_OPTIONS], uint8_t header[static TCP_HEADER])
{
	memset(header, 0, TCP_HEADER);
	put_u16(header, (uint16_t)(32768 + randombytes_uniform(28232)));
	put_u16(header + 2, port);
	randombytes_buf(header + 4, 4);
	header[12] = TCP_HEADER / 4 << 4;
	header[13] = TCP_SYN;
	put_u16(header + 14, 64240);
	memcpy(header + 20, options, TCP_OPTIONS);
	put_u16(header + TCP_CHECKSUM, tcp_checksum(header, from, to));
}

int send_syn_open(int family, int *ret_fd)
{
	int fd = socket(family, SOCK_RAW, IPPROTO_TCP);

	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

int send_syn(int fd, const struct destination *to, uint16_t port,
	     const uint8_t options[static TCP_OPTIONS])
{
	struct address from_address, to_address = destination_address(to);
	struct destination from;
	uint8_t header[TCP_HEADER];
	int r = destination_source(to, &from);

	if (r < 0)
		return r;
	from_address = destination_address(&from);
	make_syn(&from_address, &to_address, port, options, header);
	if (sendto(fd, header, sizeof header, 0, (const struct sockaddr *)&to->socket_address,
		   to->size) < 0)
		return -errno;
	return 0;
}
