/* Tokens among random probes: what is found, against a search that is obviously right and slow. */
#include "core/keyed/keyed.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "core/door.h"
#include "core/keyed/access.h"
#include "core/keyed/pairs.h"
#include "core/keyed/recent.h"
#include "core/probe.h"
#include "core/secret.h"
#include "core/token.h"

#include "cmocka-all.h"

#define EVENING UINT64_C(1795384800)

enum { N_KEYS = 3, N_DOORS = 4, N_PICKED = 3, N_PROBES = 60000, ROUNDS = 20 };

static const struct secret secrets[N_KEYS] = {{"alice's key"}, {"bob's key"}, {"carol's key"}};
static const struct key_holder keys[N_KEYS] = {
	{"alice", &secrets[0]}, {"bob", &secrets[1]}, {"carol", &secrets[2]}};
static char *everybody[] = {(char *)"*", NULL};
static char *alice_only[] = {(char *)"alice", NULL};
static const struct door doors[N_DOORS] = {
	{.name = "open", .auth = AUTH_TOKEN, .users = everybody},
	{.name = "bound", .auth = AUTH_TOKEN, .users = everybody, .bind_source = BIND_YES},
	{.name = "either", .auth = AUTH_TOKEN, .users = everybody, .bind_source = BIND_OPTIONAL},
	{.name = "hers", .auth = AUTH_TOKEN, .users = alice_only},
};

/* A token that may be found. */
struct candidate {
	size_t key, door;
	uint64_t step;
	bool names_source;
	uint16_t ports[TOKEN_PORTS];
};

enum { N_STEPS = 13, N_CANDIDATES = N_KEYS * N_DOORS * N_STEPS * 2 };

struct trial {
	struct keyed *keyed;
	struct probe probe;
	struct candidate candidates[N_CANDIDATES];
	size_t n_candidates;
	uint32_t packets[RECENT_PROBES]; /* the newest last */
	bool spent[RECENT_PROBES];
	size_t n;
	struct request told[4];
	size_t n_told, n_completed, n_bound;
};

static void on_request(void *userdata, const struct request *request)
{
	struct trial *trial = userdata;

	assert_true(trial->n_told < 4);
	trial->told[trial->n_told++] = *request;
}

static void collect(struct trial *trial)
{
	for (size_t key = 0; key < N_KEYS; key++)
		for (size_t door = 0; door < N_DOORS; door++)
			for (uint64_t step = 0; step < N_STEPS; step++)
				for (int bound = 0; bound <= (doors[door].bind_source != BIND_NO);
				     bound++) {
					struct candidate *one =
						&trial->candidates[trial->n_candidates++];
					struct mac_key base;

					*one = (struct candidate){
						.key = key,
						.door = door,
						.step = token_step(EVENING) + step - N_STEPS / 2,
						.names_source = bound,
					};
					mac_key_init(&base, &secrets[key]);
					token_ports(&(struct token_seed){.base = &base,
									 .door = doors[door].name,
									 .step = one->step},
						    bound ? &trial->probe.source : NULL,
						    one->ports);
				}
}

static struct trial *begin(void)
{
	const struct keyed_limits limits = {.max_sources = 64, .ipv6_prefix = 128, .skew_s = 30};
	struct trial *trial = calloc(1, sizeof *trial);

	assert_non_null(trial);
	assert_int_equal(keyed_new(&limits, doors, N_DOORS, keys, N_KEYS, &trial->keyed), 0);
	for (int i = 0; i < 100; i++)
		keyed_tend(trial->keyed, EVENING);
	trial->probe.protocol = IPPROTO_UDP;
	assert_int_equal(address_parse("198.51.100.7", &trial->probe.source), 0);
	trial->probe.time_us = 1000000;
	collect(trial);
	return trial;
}

static void end(struct trial *trial)
{
	keyed_free(trial->keyed);
	free(trial);
}

static bool naive_has(const struct trial *trial, uint16_t port)
{
	for (size_t i = 0; i < trial->n; i++)
		if (!trial->spent[i] && (uint16_t)trial->packets[i] == port)
			return true;
	return false;
}

static bool naive_is_complete(const struct trial *trial, const struct candidate *one)
{
	for (size_t i = 0; i < TOKEN_PORTS; i++)
		if (!naive_has(trial, one->ports[i]))
			return false;
	return true;
}

/* False: a retransmission, or a port that counts already. */
static bool naive_add(struct trial *trial)
{
	uint32_t packet = (uint32_t)trial->probe.source_port << 16 | trial->probe.port;

	for (size_t i = 0; i < trial->n; i++)
		if (trial->packets[i] == packet ||
		    ((uint16_t)trial->packets[i] == trial->probe.port && !trial->spent[i]))
			return false;
	if (trial->n == RECENT_PROBES) {
		trial->n--;
		memmove(trial->packets, trial->packets + 1, trial->n * sizeof *trial->packets);
		memmove(trial->spent, trial->spent + 1, trial->n * sizeof *trial->spent);
	}
	trial->packets[trial->n] = packet;
	trial->spent[trial->n++] = false;
	return true;
}

static void naive_spend(struct trial *trial, const struct candidate *one)
{
	for (size_t i = 0; i < trial->n; i++)
		for (size_t j = 0; j < TOKEN_PORTS; j++)
			if ((uint16_t)trial->packets[i] == one->ports[j])
				trial->spent[i] = true;
}

static enum request_verdict naive_verdict(const struct candidate *one)
{
	int64_t off = (int64_t)(one->step - token_step(EVENING));

	if (strcmp(doors[one->door].name, "hers") == 0 && one->key != 0)
		return REQUEST_WRONG_USER;
	if (doors[one->door].bind_source == (one->names_source ? BIND_NO : BIND_YES))
		return REQUEST_WRONG_SOURCE;
	return off >= -1 && off <= 1 ? REQUEST_GOOD : REQUEST_STALE;
}

static const struct candidate *told_candidate(const struct trial *trial,
					      const struct request *request)
{
	for (size_t i = 0; i < trial->n_candidates; i++) {
		const struct candidate *one = &trial->candidates[i];

		if (one->key == request->key && one->door == request->door &&
		    one->step == request->step && naive_is_complete(trial, one) &&
		    naive_verdict(one) == request->verdict)
			return one;
	}
	fail_msg("a token was told that is not there");
	return NULL;
}

/* What is told is there, and nothing that is there is left untold. */
static void compare(struct trial *trial)
{
	for (size_t i = 0; i < trial->n_told; i++) {
		const struct candidate *one = told_candidate(trial, &trial->told[i]);

		trial->n_completed++;
		trial->n_bound += one->names_source;
		naive_spend(trial, one);
	}
	for (size_t i = 0; i < trial->n_candidates; i++)
		if (naive_is_complete(trial, &trial->candidates[i]))
			fail_msg("key %zu, door %zu, step %" PRIu64 ", bound %d was not told",
				 trial->candidates[i].key, trial->candidates[i].door,
				 trial->candidates[i].step, trial->candidates[i].names_source);
}

static void feed(struct trial *trial, uint16_t source_port, uint16_t port)
{
	trial->probe.time_us += 100000; /* the budget is not what is tested here */
	trial->probe.source_port = source_port;
	trial->probe.port = port;
	trial->n_told = 0;
	keyed_feed(trial->keyed, &trial->probe, EVENING, on_request, trial);
	if (naive_add(trial))
		compare(trial);
	else
		assert_int_equal(trial->n_told, 0);
}

/* Whether the same token, bound or not, is among those before it: a request does not say which of
 * them it is. */
static bool has_twin(const struct candidate *const *picked, size_t i)
{
	for (size_t j = 0; j < i; j++)
		if (picked[j]->key == picked[i]->key && picked[j]->door == picked[i]->door &&
		    picked[j]->step == picked[i]->step)
			return true;
	return false;
}

/* Ports of a few tokens in any order, some of them twice, with others in between. */
static void test_random_probes(void **state)
{
	struct trial *trial = begin();

	(void)state;
	for (int round = 0; round < ROUNDS * N_PROBES / 2000; round++) {
		const struct candidate *picked[N_PICKED];

		for (size_t i = 0; i < N_PICKED; i++)
			do
				picked[i] = &trial->candidates[randombytes_uniform(N_CANDIDATES) %
							       trial->n_candidates];
			while (has_twin(picked, i));
		for (int i = 0; i < 2000; i++) {
			const struct candidate *one = picked[randombytes_uniform(N_PICKED)];
			uint16_t port = one->ports[randombytes_uniform(TOKEN_PORTS)];

			if (randombytes_uniform(16) == 0)
				port = (uint16_t)randombytes_uniform(65536);
			feed(trial, (uint16_t)randombytes_uniform(8), port);
		}
	}
	assert_true(trial->n_completed > N_PROBES * ROUNDS / 100);
	assert_true(trial->n_bound > N_PROBES * ROUNDS / 1000);
	end(trial);
}

/* The filter has what was added, whatever came and went beside it. */
static void test_pairs(void **state)
{
	enum { N_SETS = 500 };
	static uint16_t sets[N_SETS][PAIRS_PORTS];
	struct pairs pairs;
	size_t n_wrong = 0;

	(void)state;
	assert_int_equal(pairs_init(&pairs, N_SETS), 0);
	for (int i = 0; i < 100000; i++) {
		uint16_t *set = sets[i % N_SETS];

		if (i >= N_SETS)
			pairs_remove(&pairs, set);
		randombytes_buf(set, sizeof sets[0]);
		pairs_add(&pairs, set);
		set = sets[randombytes_uniform(i < N_SETS ? (uint32_t)i + 1 : N_SETS)];
		for (size_t j = 0, n = 0; j < PAIRS_PORTS; j++) {
			for (size_t k = j + 1; k < PAIRS_PORTS; k++)
				n += pairs_class(set[j]) == pairs_class(set[k]) &&
				     pairs_has(&pairs, set[k], set[j]);
			if (j == PAIRS_PORTS - 1)
				assert_true(n > 0);
		}
		n_wrong += pairs_has(&pairs, (uint16_t)randombytes_uniform(65536),
				     (uint16_t)randombytes_uniform(65536));
	}
	assert_in_range(n_wrong, 0, 100);
	for (size_t i = 0; i < N_SETS; i++)
		pairs_remove(&pairs, sets[i]);
	for (size_t i = 0; i < pairs.n_buckets; i++) {
		for (size_t j = 0; j < PAIRS_MARKS; j++)
			assert_int_equal(pairs.buckets[i].marks[j], 0);
		assert_int_equal(pairs.buckets[i].n_beyond, 0);
	}
	pairs_done(&pairs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_probes),
		cmocka_unit_test(test_pairs),
	};

	return sodium_init() < 0 ? 99 : cmocka_run_group_tests(tests, NULL, NULL);
}
