#include "config/listeners.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/sequence.h"
#include "util/cleanup.h"

/* The `st` column of the tables: as the kernel numbers TCP's states. */
enum { STATE_CLOSE = 7, STATE_LISTEN = 10 };

static const struct socket_table {
	const char *name;
	unsigned state; /* of a socket that takes packets from anybody; for UDP: not connected */
	uint8_t protocol;
} tables[] = {
	{"tcp", STATE_LISTEN, IPPROTO_TCP},
	{"tcp6", STATE_LISTEN, IPPROTO_TCP},
	{"udp", STATE_CLOSE, IPPROTO_UDP},
	{"udp6", STATE_CLOSE, IPPROTO_UDP},
};

enum { N_TABLES = sizeof(tables) / sizeof(tables[0]) };

struct listeners {
	uint8_t ports[2][(UINT16_MAX + 1) / 8]; /* a bit each; TCP, UDP */
};

static size_t row_of(uint8_t protocol)
{
	return protocol == IPPROTO_UDP ? 1 : 0;
}

/* An address as the tables write it: each 32 bits of it as a number of this machine's. */
static bool is_loopback(const char *hex)
{
	uint32_t words[4] = {0};
	char word[9] = "";
	struct in6_addr address;
	size_t n = strlen(hex) / 8;

	for (size_t i = 0; i < n && i < 4; i++) {
		memcpy(word, hex + 8 * i, 8);
		words[i] = (uint32_t)strtoul(word, NULL, 16);
	}
	if (n == 1)
		return ntohl(words[0]) >> 24 == IN_LOOPBACKNET;
	memcpy(&address, words, sizeof(address));
	return IN6_IS_ADDR_LOOPBACK(&address) ||
	       (IN6_IS_ADDR_V4MAPPED(&address) && address.s6_addr[12] == IN_LOOPBACKNET);
}

static void listeners_take_line(const char *line, const struct socket_table *table,
				struct listeners *listeners)
{
	char address[33];
	unsigned port, state;

	if (sscanf(line, " %*[0-9]: %32[0-9A-F]:%4x %*[0-9A-F]:%*4x %2x", address, &port, &state) !=
	    3)
		return; /* the heading */
	if (state == table->state && !is_loopback(address))
		listeners->ports[row_of(table->protocol)][port / 8] |= (uint8_t)(1U << port % 8);
}

static int listeners_read_table(const char *proc_net, const struct socket_table *table,
				struct listeners *listeners)
{
	char *path CLEANUP(cleanup_free) = NULL;
	char *line CLEANUP(cleanup_free) = NULL;
	FILE *file CLEANUP(cleanup_fclose) = NULL;
	size_t size = 0;

	if (asprintf(&path, "%s/%s", proc_net, table->name) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	file = fopen(path, "re");
	if (!file)
		return errno == ENOMEM ? -ENOMEM : 0;
	while (getline(&line, &size, file) >= 0)
		listeners_take_line(line, table, listeners);
	return 0;
}

int listeners_read(const char *proc_net, struct listeners **ret)
{
	struct listeners *listeners = calloc(1, sizeof(*listeners));

	if (!listeners)
		return -ENOMEM;
	for (size_t i = 0; i < N_TABLES; i++) {
		int r = listeners_read_table(proc_net, &tables[i], listeners);

		if (r < 0) {
			listeners_free(listeners);
			return r;
		}
	}
	*ret = listeners;
	return 0;
}

struct listeners *listeners_free(struct listeners *listeners)
{
	free(listeners);
	return NULL;
}

bool listeners_have(const struct listeners *listeners, const struct step *step)
{
	return listeners->ports[row_of(step->protocol)][step->port / 8] & 1U << step->port % 8;
}
