/* What a probe costs with doors that tokens and SPA knocks open, for few keys and for many. */
#include <netinet/in.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/door.h"
#include "core/keyed/access.h"
#include "core/keyed/expected.h"
#include "core/keyed/keyed.h"
#include "core/probe.h"
#include "core/secret.h"
#include "core/spa.h"
#include "core/token.h"

enum { EXPECTED_DOORS = 10 };
enum { N_PROBES = 500000, ROUNDS = 3, SOURCES_MAX = 65536 };

#define EVENING UINT64_C(1795384800)

static char some_set[] = "some";
static char *everybody[] = {(char *)"*", NULL};
static struct door doors[] = {
	{.name = "ssh",
	 .auth = AUTH_TOKEN | AUTH_SPA,
	 .users = everybody,
	 .knock.filter = {.flags_set = TCP_FLAG_SYN, .flags_clear = TCP_FLAG_ACK},
	 .opening.set = {some_set, some_set}}};
static uint32_t random_state = 1;

static uint32_t next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 17;
	random_state ^= random_state << 5;
	return random_state;
}

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now); /* others may use the machine, too */
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void on_request(void *userdata, const struct request *request)
{
	(void)request;
	++*(size_t *)userdata;
}

static struct keyed *make(size_t n_keys, struct secret *secrets, struct key_holder *holders)
{
	const struct keyed_limits limits = {
		.max_sources = SOURCES_MAX, .ipv6_prefix = 128, .skew_s = 30};
	struct keyed *keyed = NULL;

	for (size_t i = 0; i < n_keys; i++) {
		randombytes_buf(&secrets[i], sizeof secrets[i]);
		holders[i] = (struct key_holder){"user", &secrets[i]};
	}
	if (keyed_new(&limits, doors, 1, holders, n_keys, &keyed) < 0)
		exit(1);
	for (int i = 0; i < 100; i++)
		keyed_tend(keyed, EVENING);
	return keyed;
}

struct load {
	const char *name;
	unsigned n_sources;
	bool option; /* an SPA option that is nobody's, at alice's port */
	enum bind_source bind;
};

static struct probe make_probe(const struct load *load, uint16_t port, uint64_t i)
{
	struct probe probe = {
		.time_us = 1000000 + i * 50, /* 20,000 a second */
		.protocol = load->option ? IPPROTO_TCP : IPPROTO_UDP,
		.tcp_flags = load->option ? TCP_FLAG_SYN : 0,
		.port = load->option ? port : (uint16_t)next_random(),
		.source_port = (uint16_t)next_random(),
		.n_options = load->option ? SPA_OPTION_SIZE : 0,
		.options = {253, 40, 0x4b, 0x54},
		.source.bytes = {[10] = 255, [11] = 255},
	};
	uint32_t source = next_random() % load->n_sources;

	for (int j = 0; j < 4; j++)
		probe.source.bytes[12 + j] = (uint8_t)(source >> 8 * j);
	return probe;
}

/* Where the first key's SPA knocks go. */
static uint16_t first_port(const struct secret *secrets)
{
	struct mac_key base;

	mac_key_init(&base, secrets);
	return spa_port(&base, token_step(EVENING));
}

static double measure(struct keyed *keyed, const struct load *load, uint16_t port)
{
	double best = 1e9;
	size_t n_requests = 0;

	for (int round = 0; round < ROUNDS; round++) {
		double empty = now_s(), start;

		for (uint64_t i = 0; i < N_PROBES; i++)
			(void)make_probe(load, port, i);
		start = now_s();
		empty = start - empty;
		for (uint64_t i = 0; i < N_PROBES; i++) {
			struct probe probe = make_probe(load, port, i);

			keyed_feed(keyed, &probe, EVENING, on_request, &n_requests);
		}
		start = (now_s() - start - empty) / N_PROBES * 1e9;
		best = start < best ? start : best;
	}
	return best;
}

/* The longest call of a minute that is tended every second, with a probe each. */
static double worst_ms(struct keyed *keyed)
{
	const struct load load = {.n_sources = 1};
	size_t n_requests = 0;
	double worst = 0;

	for (uint64_t second = 1; second <= 60; second++) {
		struct probe probe = make_probe(&load, 0, second);
		double start = now_s(), took;

		keyed_tend(keyed, EVENING + second);
		keyed_feed(keyed, &probe, EVENING + second, on_request, &n_requests);
		took = (now_s() - start) * 1e3;
		worst = took > worst ? took : worst;
	}
	return worst;
}

/* What the expected ports cost: to count them, to have them all, and the longest call of a minute
 * thereafter. */
static void measure_expected(size_t n_doors, size_t n_keys, struct key_holder *holders)
{
	struct door some[EXPECTED_DOORS];
	struct access access;
	struct expected_ports *expected;
	double start, counted, filled, worst = 0;

	for (size_t i = 0; i < n_doors; i++) {
		some[i] = doors[0];
		snprintf(some[i].name, sizeof some[i].name, "door%zu", i);
	}
	if (access_init(some, n_doors, holders, n_keys, &access) < 0)
		exit(1);
	start = now_s();
	if (expected_ports_new(&access, 30, &expected) < 0)
		exit(1);
	counted = (now_s() - start) * 1e3;
	start = now_s();
	expected_ports_move(expected, EVENING);
	filled = (now_s() - start) * 1e3;
	for (uint64_t second = 1; second <= 60; second++) {
		double took;

		start = now_s();
		expected_ports_move(expected, EVENING + second);
		took = (now_s() - start) * 1e3;
		worst = took > worst ? took : worst;
	}
	printf("expected ports, %4zu keys at %2zu doors: %7zu ports, counted in %.2f ms, filled in "
	       "%.2f ms, worst call %.2f ms\n",
	       n_keys, n_doors, expected_ports_count(expected), counted, filled, worst);
	expected_ports_free(expected);
	access_done(&access);
}

int main(void)
{
	static const size_t n_keys[] = {1, 100, 10000};
	static const struct load loads[] = {
		{"many sources", 1000000, false, BIND_NO},
		{"60,000 sources", 60000, false, BIND_NO},
		{"one source, a scan", 1, false, BIND_NO},
		{"bound, many sources", 1000000, false, BIND_YES},
		{"bound, 60,000 sources", 60000, false, BIND_YES},
		{"bound, one source, a scan", 1, false, BIND_YES},
		{"either, 60,000 sources", 60000, false, BIND_OPTIONAL},
		{"either, one source, a scan", 1, false, BIND_OPTIONAL},
		{"forged SPA, many sources", 1000000, true, BIND_NO},
		{"forged SPA, one source", 1, true, BIND_NO},
	};
	struct secret *secrets = calloc(10000, sizeof *secrets);
	struct key_holder *holders = calloc(10000, sizeof *holders);

	if (sodium_init() < 0 || !secrets || !holders)
		return 1;
	printf("%-26s", "ns a probe, keys:");
	for (size_t i = 0; i < 3; i++)
		printf("%10zu", n_keys[i]);
	putchar('\n');
	for (size_t i = 0; i < sizeof loads / sizeof loads[0]; i++) {
		printf("%-26s", loads[i].name);
		for (size_t j = 0; j < 3; j++) {
			struct keyed *keyed;

			doors[0].bind_source = loads[i].bind;
			keyed = make(n_keys[j], secrets, holders);
			printf("%10.0f", measure(keyed, &loads[i], first_port(secrets)));
			fflush(stdout);
			keyed_free(keyed);
		}
		putchar('\n');
	}
	printf("%-26s", "worst call, ms");
	for (size_t j = 0; j < 3; j++) {
		struct keyed *keyed = make(n_keys[j], secrets, holders);

		printf("%10.2f", worst_ms(keyed));
		keyed_free(keyed);
	}
	putchar('\n');
	measure_expected(1, 1, holders);
	measure_expected(EXPECTED_DOORS, 10, holders);
	measure_expected(EXPECTED_DOORS, 1000, holders);
	free(secrets);
	free(holders);
	return 0;
}
