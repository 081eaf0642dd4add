#include "cli/setup/machine.h"

#include <netinet/in.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/common/boot-paths.h"
#include "cli/common/process.h"
#include "config/listeners.h"
#include "core/sequence.h"
#include "util/cleanup.h"
#include "util/programs.h"

/* What is bound from there on is a client's. */
enum { EPHEMERAL_MIN = 32768 };

DEFINE_CLEANUP(struct listeners *, listeners_free)

const char *machine_firewall(void)
{
	char pid[PROCESS_PID_SIZE];

	if (process_find("firewalld", pid))
		return "firewalld";
	if (boot_ufw_is_on())
		return "ufw";
	return access(PROGRAM_NFT, X_OK) == 0 ? "nft" : "iptables";
}

static struct listeners *find_listeners(void)
{
	struct listeners *listeners = NULL;

	return listeners_read("/proc/self/net", &listeners) == 0 ? listeners : NULL;
}

/* A client of DHCP takes its answers past the firewall, or as answers; those of mDNS come from next
 * door. */
static bool is_of_a_client(const struct step *step)
{
	return step->protocol == IPPROTO_UDP && (step->port >= EPHEMERAL_MIN || step->port == 68 ||
						 step->port == 546 || step->port == 5353);
}

void machine_open_ports(const struct port_set *guarded, char ret[static ANSWER_MAX])
{
	CLEANUP(cleanup_listeners_free) struct listeners *listeners = find_listeners();
	static const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_UDP};
	size_t length = 0;

	snprintf(ret, ANSWER_MAX, "none");
	for (size_t i = 0; listeners && i < sizeof protocols; i++)
		for (uint32_t port = 1; port <= UINT16_MAX; port++) {
			const struct step step = {.port = (uint16_t)port, .protocol = protocols[i]};

			if (length + sizeof ",65535/tcp" > ANSWER_MAX ||
			    !listeners_have(listeners, &step) || is_of_a_client(&step) ||
			    port_set_has(guarded, &step))
				continue;
			length += (size_t)snprintf(ret + length, ANSWER_MAX - length, "%s%u/%s",
						   length > 0 ? "," : "", port,
						   protocol_word(step.protocol));
		}
}

static bool is_taken(const uint16_t ports[], size_t n, uint16_t port)
{
	for (size_t i = 0; i < n; i++)
		if (ports[i] == port)
			return true;
	return false;
}

static uint16_t choose_port(const struct listeners *listeners)
{
	struct step step = {.protocol = IPPROTO_TCP};

	do
		step.port = (uint16_t)(1024 + randombytes_uniform(EPHEMERAL_MIN - 1024));
	while (listeners && listeners_have(listeners, &step));
	return step.port;
}

/* All different, and the last below the first. */
void machine_sequence(char ret[static SETUP_SEQUENCE_MAX])
{
	CLEANUP(cleanup_listeners_free) struct listeners *listeners = find_listeners();
	uint16_t ports[SETUP_SEQUENCE_STEPS];
	size_t n = 0;

	while (n < SETUP_SEQUENCE_STEPS) {
		ports[n] = choose_port(listeners);
		n += !is_taken(ports, n, ports[n]);
	}
	if (ports[0] < ports[n - 1]) {
		uint16_t first = ports[0];

		ports[0] = ports[n - 1];
		ports[n - 1] = first;
	}
	snprintf(ret, SETUP_SEQUENCE_MAX, "%u, %u, %u, %u", ports[0], ports[1], ports[2], ports[3]);
}
