/* Any probes at the keyed knocks: none makes a good request without a key, and what the options
 * hold is never read beyond their end. A probe has
 * 44 bytes. */
#include <netinet/in.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/door.h"
#include "core/keyed/access.h"
#include "core/keyed/keyed.h"
#include "core/probe.h"
#include "core/secret.h"
#include "core/spa.h"
#include "core/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW UINT64_C(1795384800)

enum { PROBE_SIZE = 4 + SPA_OPTION_SIZE };

static const struct secret secret = {"a key that nobody can know"};
static char *everybody[] = {(char *)"*", NULL};
static const struct door doors[] = {
	{.name = "ssh", .auth = AUTH_TOKEN | AUTH_SPA, .users = everybody},
	{.name = "any",
	 .auth = AUTH_TOKEN | AUTH_SPA,
	 .users = everybody,
	 .bind_source = BIND_OPTIONAL},
	{.name = "web", .auth = AUTH_TOKEN | AUTH_SPA, .users = everybody, .bind_source = BIND_YES},
};

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* The ports are no secret to this attacker, so it gets as far as decryption. */
static void on_request(void *userdata, const struct request *request)
{
	(void)userdata;
	require(request->kind == KNOCK_TOKEN || request->verdict == REQUEST_NO_KEY ||
		request->verdict == REQUEST_OTHER_SOURCE || request->verdict == REQUEST_DROPPED);
}

static uint16_t port_now(void)
{
	struct mac_key base;

	mac_key_init(&base, &secret);
	return spa_port(&base, token_step(NOW));
}

static struct probe make_probe(const uint8_t *data, uint64_t now_us)
{
	struct probe probe = {
		.time_us = now_us,
		.protocol = data[0] & 1 ? IPPROTO_TCP : IPPROTO_UDP,
		.tcp_flags = data[0] & 1 ? data[1] : 0,
		.port = data[0] & 2 ? port_now() : (uint16_t)(data[2] << 8 | data[3]),
		.source_port = (uint16_t)now_us,
		.n_options = data[0] % (TCP_OPTIONS_MAX + 1),
	};

	if (data[0] & 4)
		probe.n_options = SPA_OPTION_SIZE;
	memcpy(probe.options, data + 4, SPA_OPTION_SIZE);
	probe.source.bytes[15] = data[0] >> 4;
	return probe;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct keyed *keyed;
	static uint64_t now_us;
	const struct keyed_limits limits = {.max_sources = 16, .ipv6_prefix = 64, .skew_s = 30};
	const struct key_holder holder = {"alice", &secret};

	if (!keyed)
		require(sodium_init() >= 0 &&
			keyed_new(&limits, doors, 3, &holder, 1, &keyed) == 0);
	for (; size >= PROBE_SIZE; data += PROBE_SIZE, size -= PROBE_SIZE) {
		struct probe probe = make_probe(data, now_us += 100000);

		require(spa_is_option(probe.options, probe.n_options) ==
			(probe.n_options == 40 && memcmp(probe.options, "\xfd\x28KT", 4) == 0));
		keyed_feed(keyed, &probe, NOW, on_request, NULL);
	}
	return 0;
}
