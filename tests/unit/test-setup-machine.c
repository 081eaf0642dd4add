/* What setup suggests: the ports that this machine answers at today, and a sequence that none of
 * them is in. */
#include "cli/setup/machine.h"

#include <netinet/in.h>
#include <sched.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/setup/answer.h"
#include "cmocka-all.h"

/* A socket that is bound to all addresses, or to this machine's own alone; its port. */
static uint16_t listen_at(int type, uint32_t address, uint16_t port, int *ret_fd)
{
	struct sockaddr_in at = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(address), .sin_port = htons(port)};
	socklen_t size = sizeof at;

	*ret_fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	assert_true(*ret_fd >= 0);
	if (bind(*ret_fd, (struct sockaddr *)&at, sizeof at) < 0)
		return 0;
	if (type == SOCK_STREAM)
		assert_int_equal(listen(*ret_fd, 1), 0);
	assert_int_equal(getsockname(*ret_fd, (struct sockaddr *)&at, &size), 0);
	return ntohs(at.sin_port);
}

static bool suggests(const struct port_set *guarded, uint16_t port, const char *protocol)
{
	char text[ANSWER_MAX + 2] = ",", wanted[32];

	machine_open_ports(guarded, text + 1);
	strcat(text, ",");
	snprintf(wanted, sizeof wanted, ",%u/%s,", port, protocol);
	return strstr(text, wanted);
}

static void test_what_is_open_today(void **state)
{
	struct port_set guarded = {.n_ranges = 0};
	int fds[4];
	uint16_t tcp = listen_at(SOCK_STREAM, INADDR_ANY, 0, &fds[0]),
		 local = listen_at(SOCK_STREAM, INADDR_LOOPBACK, 0, &fds[1]),
		 client = listen_at(SOCK_DGRAM, INADDR_ANY, 0, &fds[2]), udp = 20999;

	(void)state;
	while (listen_at(SOCK_DGRAM, INADDR_ANY, udp, &fds[3]) == 0) {
		close(fds[3]);
		udp--;
	}
	assert_true(suggests(&guarded, tcp, "tcp"));
	assert_false(suggests(&guarded, local, "tcp"));
	assert_true(suggests(&guarded, udp, "udp"));
	assert_false(suggests(&guarded, udp, "tcp"));
	/* Of a client, which was given a port. */
	assert_true(client >= 32768);
	assert_false(suggests(&guarded, client, "udp"));
	/* What a knock is going to open. */
	guarded.ranges[guarded.n_ranges++] =
		(struct port_range){.first = tcp, .last = tcp, .protocol = IPPROTO_TCP};
	assert_false(suggests(&guarded, tcp, "tcp"));
	for (size_t i = 0; i < 4; i++)
		close(fds[i]);
}

static void test_sequences(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		unsigned ports[4];
		char text[SETUP_SEQUENCE_MAX];

		machine_sequence(text);
		assert_int_equal(
			sscanf(text, "%u, %u, %u, %u", &ports[0], &ports[1], &ports[2], &ports[3]),
			4);
		/* No scan in the order of ports knocks so. */
		assert_true(ports[0] > ports[3]);
		for (size_t j = 0; j < 4; j++) {
			assert_in_range(ports[j], 1024, 32767);
			for (size_t k = 0; k < j; k++)
				assert_int_not_equal(ports[j], ports[k]);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_open_today),
		cmocka_unit_test(test_sequences),
	};

	if (sodium_init() < 0)
		return 1;
	/* Where nobody else listens, if that can be had: what is suggested has its bounds. */
	if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		print_message("among all that listens here\n");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
