#include "core/keyed/expected.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/door.h"
#include "core/keyed/access.h"
#include "core/secret.h"
#include "core/token.h"
#include "vectors.h"

#include "cmocka-all.h"

enum { N_PORTS = UINT16_MAX + 1, SKEW_S = 30 };

/* At the beginning of a step. */
#define EVENING UINT64_C(1770000000)

static char *everybody[] = {(char *)"*", NULL};
static char some_set[] = "some";

/* What the firewall's set would hold. */
struct mirror {
	struct access access;
	struct expected_ports *expected;
	uint64_t now_s;
	uint64_t until_s[N_PORTS];
};

static struct door door_of(const char *name, unsigned auth, enum bind_source bind_source)
{
	struct door door = {
		.auth = auth,
		.users = everybody,
		.bind_source = bind_source,
		.opening.set = {some_set, some_set},
	};

	strcpy(door.name, name);
	return door;
}

static struct mirror *mirror_new(const struct door *doors, size_t n_doors,
				 const struct key_holder *keys, size_t n_keys)
{
	struct mirror *mirror = calloc(1, sizeof *mirror);

	assert_non_null(mirror);
	assert_int_equal(access_init(doors, n_doors, keys, n_keys, &mirror->access), 0);
	assert_int_equal(expected_ports_new(&mirror->access, SKEW_S, &mirror->expected), 0);
	return mirror;
}

static void mirror_free(struct mirror *mirror)
{
	expected_ports_free(mirror->expected);
	access_done(&mirror->access);
	free(mirror);
}

/* Takes over what is new; returns how much that was. */
static size_t take(struct mirror *mirror)
{
	uint64_t until_s;
	uint16_t port;
	size_t n = 0;

	for (; expected_ports_next(mirror->expected, &port, &until_s); n++) {
		assert_true(until_s > mirror->now_s && until_s > mirror->until_s[port]);
		mirror->until_s[port] = until_s;
	}
	return n;
}

static size_t move(struct mirror *mirror, uint64_t unix_s)
{
	mirror->now_s = unix_s;
	expected_ports_move(mirror->expected, unix_s);
	return take(mirror);
}

static bool has(const struct mirror *mirror, uint16_t port)
{
	return mirror->until_s[port] > mirror->now_s;
}

static size_t count(const struct mirror *mirror)
{
	size_t n = 0;

	for (size_t port = 0; port < N_PORTS; port++)
		n += has(mirror, (uint16_t)port);
	return n;
}

/* The ports of test vectors are there while their knock is good, and not long before or after. */
static void check_times(struct mirror *mirror, uint64_t time_s, uint16_t port)
{
	uint64_t begin_s = time_s / TOKEN_STEP_S * TOKEN_STEP_S;

	move(mirror, begin_s - SKEW_S - EXPECTED_LEAD_S - 1);
	assert_false(has(mirror, port));
	for (uint64_t i = begin_s - SKEW_S - EXPECTED_LEAD_S; i < begin_s + TOKEN_STEP_S + SKEW_S;
	     i++) {
		move(mirror, i);
		assert_true(has(mirror, port));
	}
	move(mirror, begin_s + TOKEN_STEP_S + SKEW_S);
	assert_false(has(mirror, port));
}

static void check_token(const struct vector *vector)
{
	const char *text = vector_text(vector, "ports");
	const struct secret base = vector_base(vector);
	const struct key_holder holder = {"alice", &base};
	struct expected_offer offer = {.step = token_step(vector_number(vector, "time"))};
	bool bound = vector_source(vector, &offer.source);
	const struct door door =
		door_of(vector_text(vector, "door"), AUTH_TOKEN, bound ? BIND_YES : BIND_NO);
	char *end = (char *)text;

	for (size_t i = 0; i < TOKEN_PORTS; i++) {
		struct mirror *mirror = mirror_new(&door, 1, &holder, 1);
		uint16_t port = (uint16_t)strtoul(end, &end, 10);

		if (!bound || i == 0) {
			check_times(mirror, vector_number(vector, "time"), port);
		} else {
			move(mirror, vector_number(vector, "time"));
			assert_false(has(mirror, port));
			expected_ports_offer(mirror->expected, &offer, mirror->now_s);
			take(mirror);
			assert_true(has(mirror, port));
			move(mirror, mirror->now_s + EXPECTED_OFFER_S);
			assert_false(has(mirror, port));
		}
		mirror_free(mirror);
	}
}

static void check_spa(const struct vector *vector)
{
	const struct secret base = vector_base(vector);
	const struct key_holder holder = {"alice", &base};
	const struct door door = door_of("other", AUTH_SPA, BIND_OPTIONAL);
	struct mirror *mirror = mirror_new(&door, 1, &holder, 1);

	check_times(mirror, vector_number(vector, "time"), (uint16_t)vector_number(vector, "port"));
	mirror_free(mirror);
}

static void test_vectors(void **state)
{
	(void)state;
	assert_true(vectors_each("token", check_token) > 0);
	assert_true(vectors_each("spa", check_spa) > 0);
}

static const struct secret bases[] = {{"alice's"}, {"bob's"}};
static const struct key_holder two[] = {{"alice", &bases[0]}, {"bob", &bases[1]}};

/* Nothing is there for a door that a key does not open, for families that it is not opened for, for
 * sequences, or for what others log. */
static void test_counts(void **state)
{
	char *alice[] = {(char *)"alice", NULL};
	struct door doors[] = {
		door_of("a", AUTH_TOKEN, BIND_NO),
		door_of("b", AUTH_TOKEN | AUTH_SPA, BIND_YES),
		door_of("c", AUTH_SEQUENCE, BIND_NO),
		door_of("d", AUTH_TOKEN | AUTH_SPA, BIND_OPTIONAL),
	};
	struct mirror *mirror;
	size_t n;

	(void)state;
	doors[0].users = alice;
	doors[0].opening.set[FAMILY_IPV6] = NULL;
	doors[3].knock.filter.log = 4711;
	mirror = mirror_new(doors, 4, two, 2);
	/* Four steps of 8 of alice's, and for each of the two 2 and their SPA knock's. */
	assert_int_equal(expected_ports_count(mirror->expected), 4 * (8 + 2 * (2 + 1)));
	n = move(mirror, EVENING);
	assert_int_equal(n, count(mirror));
	assert_in_range(n, 3 * 14 - 3, 4 * 14);
	for (uint64_t i = 1; i < 3600; i++) {
		move(mirror, EVENING + i);
		assert_in_range(count(mirror), 3 * 14 - 6, expected_ports_count(mirror->expected));
	}
	mirror_free(mirror);
}

/* A clock that jumps leaves nothing out. */
static void test_clocks_that_jump(void **state)
{
	static const int64_t jumps[] = {1000000, -3600, -5, 29, -1, 86400};
	const struct door door = door_of("ssh", AUTH_TOKEN, BIND_NO);
	struct mirror *mirror = mirror_new(&door, 1, two, 2), *fresh;
	uint64_t now_s = EVENING;

	(void)state;
	move(mirror, now_s);
	for (size_t i = 0; i < sizeof jumps / sizeof jumps[0]; i++) {
		now_s += (uint64_t)jumps[i];
		if (jumps[i] < 0)
			memset(mirror->until_s, 0, sizeof mirror->until_s);
		move(mirror, now_s);
		fresh = mirror_new(&door, 1, two, 2);
		move(fresh, now_s);
		for (size_t port = 0; port < N_PORTS; port++)
			assert_true(has(mirror, (uint16_t)port) || !has(fresh, (uint16_t)port));
		mirror_free(fresh);
	}
	mirror_free(mirror);
}

static void test_repeats(void **state)
{
	const struct door door = door_of("ssh", AUTH_TOKEN, BIND_OPTIONAL);
	struct expected_offer offer = {.step = token_step(EVENING)};
	struct mirror *mirror = mirror_new(&door, 1, two, 2);
	size_t n;

	(void)state;
	assert_int_equal(address_parse("192.0.2.1", &offer.source), 0);
	move(mirror, EVENING);
	assert_int_equal(move(mirror, EVENING + 1), 0);
	expected_ports_offer(mirror->expected, &offer, mirror->now_s);
	take(mirror);
	n = count(mirror);
	memset(mirror->until_s, 0, sizeof mirror->until_s);
	expected_ports_repeat(mirror->expected);
	expected_ports_repeat(mirror->expected);
	assert_int_equal(take(mirror), n);
	assert_int_equal(count(mirror), n);
	mirror_free(mirror);
}

/* Whoever has heard a first port sends it in many names: others' tokens are offered all the same,
 * and the set stays small. */
static void test_offers_have_bounds(void **state)
{
	const struct door door = door_of("ssh", AUTH_TOKEN, BIND_YES);
	struct mirror *mirror = mirror_new(&door, 1, two, 2);
	struct expected_offer offer = {.step = token_step(EVENING)};
	size_t n, n_news = 0;
	char text[32];

	(void)state;
	move(mirror, EVENING);
	n = count(mirror);
	for (int i = 0; i < 250; i++) {
		snprintf(text, sizeof text, "192.0.2.%d", i);
		assert_int_equal(address_parse(text, &offer.source), 0);
		expected_ports_offer(mirror->expected, &offer, mirror->now_s);
		n_news += take(mirror);
	}
	assert_in_range(count(mirror), n + 1, n + (size_t)7 * EXPECTED_OFFERS_TOKEN);
	/* No longer than it is good. */
	for (int i = -4; i <= 4; i++) {
		offer.step = token_step(EVENING) + (uint64_t)i;
		assert_int_equal(address_parse("198.51.100.1", &offer.source), 0);
		expected_ports_offer(mirror->expected, &offer, mirror->now_s);
		/* The step itself has no share left. */
		assert_int_equal(take(mirror) > 0, i == -1 || i == 1);
	}
	offer.step = token_step(EVENING);
	offer.key = 1;
	expected_ports_offer(mirror->expected, &offer, mirror->now_s);
	assert_true(take(mirror) > 0);
	/* From the same source it is one, which lasts longer if it comes again. */
	expected_ports_offer(mirror->expected, &offer, mirror->now_s);
	assert_int_equal(take(mirror), 0);
	move(mirror, mirror->now_s + EXPECTED_WINDOW_S - 1);
	expected_ports_offer(mirror->expected, &offer, mirror->now_s);
	assert_true(take(mirror) > 0);
	expected_ports_offer(mirror->expected, &offer, mirror->now_s);
	assert_int_equal(take(mirror), 0);
	/* In the next window all of the room is there again. */
	move(mirror, mirror->now_s + 1);
	offer.key = 0;
	expected_ports_offer(mirror->expected, &offer, mirror->now_s);
	assert_true(take(mirror) > 0);
	mirror_free(mirror);
}

static void test_all_offers_have_a_bound(void **state)
{
	enum { N_DOORS = 20 };
	struct door doors[N_DOORS];
	struct mirror *mirror;
	struct expected_offer offer = {.step = token_step(EVENING)};
	size_t n;
	char text[32];

	(void)state;
	for (size_t i = 0; i < N_DOORS; i++) {
		snprintf(text, sizeof text, "door%zu", i);
		doors[i] = door_of(text, AUTH_TOKEN, BIND_YES);
	}
	mirror = mirror_new(doors, N_DOORS, two, 2);
	move(mirror, EVENING);
	n = count(mirror);
	for (int i = 0; i < 20; i++)
		for (offer.door = 0; offer.door < N_DOORS; offer.door++) {
			snprintf(text, sizeof text, "192.0.2.%d", i);
			assert_int_equal(address_parse(text, &offer.source), 0);
			expected_ports_offer(mirror->expected, &offer, mirror->now_s);
			take(mirror);
		}
	assert_in_range(count(mirror), n + (size_t)6 * EXPECTED_OFFERS_ALL,
			n + (size_t)7 * EXPECTED_OFFERS_ALL);
	mirror_free(mirror);
}

/* A key that may not open the door; a door whose log is another. */
static void test_offers_to_nobody(void **state)
{
	char *alice[] = {(char *)"alice", NULL};
	struct door doors[] = {
		door_of("hers", AUTH_TOKEN, BIND_YES),
		door_of("far", AUTH_TOKEN, BIND_YES),
	};
	struct expected_offer offer = {.key = 1, .step = token_step(EVENING)};
	struct mirror *mirror;

	(void)state;
	doors[0].users = alice;
	doors[1].knock.filter.log = 4711;
	assert_int_equal(address_parse("192.0.2.1", &offer.source), 0);
	mirror = mirror_new(doors, 2, two, 2);
	move(mirror, EVENING);
	for (offer.door = 0; offer.door < 2; offer.door++) {
		expected_ports_offer(mirror->expected, &offer, mirror->now_s);
		assert_int_equal(take(mirror), 0);
	}
	mirror_free(mirror);
}

/* 1,000 keys at 10 doors are too many, which takes no time to find out; 20 at five are not. */
static void test_too_many(void **state)
{
	enum { N_KEYS = 1000, N_DOORS = 10 };
	struct door doors[N_DOORS];
	struct key_holder keys[N_KEYS];
	struct mirror *mirror;
	char text[8];

	(void)state;
	for (size_t i = 0; i < N_DOORS; i++) {
		snprintf(text, sizeof text, "door%zu", i);
		doors[i] = door_of(text, AUTH_TOKEN | AUTH_SPA, BIND_OPTIONAL);
	}
	for (size_t i = 0; i < N_KEYS; i++)
		keys[i] = (struct key_holder){"user", &bases[i % 2]};
	mirror = mirror_new(doors, N_DOORS, keys, N_KEYS);
	assert_int_equal(expected_ports_count(mirror->expected),
			 (size_t)4 * N_KEYS * (N_DOORS * 16 + 1));
	assert_int_equal(move(mirror, EVENING), 0);
	expected_ports_offer(mirror->expected,
			     &(struct expected_offer){.step = token_step(EVENING)}, EVENING);
	assert_int_equal(take(mirror), 0);
	mirror_free(mirror);
	mirror = mirror_new(doors, N_DOORS / 2, keys, 19);
	assert_in_range(expected_ports_count(mirror->expected), 1, EXPECTED_MAX);
	assert_true(move(mirror, EVENING) > 0);
	mirror_free(mirror);
	/* In a rotation each user has two keys: rules that are loaded may log nothing else. */
	mirror = mirror_new(doors, N_DOORS / 2, keys, (size_t)2 * 19);
	assert_in_range(expected_ports_count(mirror->expected), EXPECTED_MAX + 1,
			EXPECTED_KEPT_MAX);
	assert_true(move(mirror, EVENING) > 0);
	mirror_free(mirror);
	mirror = mirror_new(doors, N_DOORS / 2, keys, (size_t)3 * 19);
	assert_true(expected_ports_count(mirror->expected) > EXPECTED_KEPT_MAX);
	assert_int_equal(move(mirror, EVENING), 0);
	mirror_free(mirror);
}

/* Random ports from random sources meet first ports, sixty times a second: what those take does not
 * keep people out. */
static void test_a_blind_flood(void **state)
{
	enum { N_KEYS = 10, SECONDS = 30, HITS = 60 };
	const struct door door = door_of("ssh", AUTH_TOKEN, BIND_YES);
	struct key_holder keys[N_KEYS];
	struct mirror *mirror;
	char text[32];

	(void)state;
	for (size_t i = 0; i < N_KEYS; i++)
		keys[i] = (struct key_holder){"user", &bases[i % 2]};
	mirror = mirror_new(&door, 1, keys, N_KEYS);
	for (uint64_t second = 0; second < SECONDS; second++) {
		struct expected_offer offer = {.step = token_step(EVENING + second)};

		move(mirror, EVENING + second);
		for (unsigned i = 0; i < HITS; i++) {
			offer.key = i % N_KEYS;
			snprintf(text, sizeof text, "10.%u.%u.%u", (unsigned)second, i / 250,
				 i % 250 + 1);
			assert_int_equal(address_parse(text, &offer.source), 0);
			offer.step = token_step(EVENING + second) + i / N_KEYS % 3 - 1;
			expected_ports_offer(mirror->expected, &offer, mirror->now_s);
		}
		take(mirror);
		snprintf(text, sizeof text, "198.51.100.%u", (unsigned)second + 1);
		assert_int_equal(address_parse(text, &offer.source), 0);
		offer.key = second % N_KEYS;
		offer.step = token_step(EVENING + second);
		expected_ports_offer(mirror->expected, &offer, mirror->now_s);
		assert_true(take(mirror) > 0);
	}
	mirror_free(mirror);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_clocks_that_jump),
		cmocka_unit_test(test_repeats),
		cmocka_unit_test(test_offers_have_bounds),
		cmocka_unit_test(test_all_offers_have_a_bound),
		cmocka_unit_test(test_offers_to_nobody),
		cmocka_unit_test(test_a_blind_flood),
		cmocka_unit_test(test_too_many),
	};

	return sodium_init() < 0 ? 99 : cmocka_run_group_tests(tests, NULL, NULL);
}
