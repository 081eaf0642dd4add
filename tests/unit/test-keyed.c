#include "core/keyed/keyed.h"

#include <errno.h>
#include <netinet/in.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "core/door.h"
#include "core/keyed/access.h"
#include "core/keyed/base.h"
#include "core/keyed/budget.h"
#include "core/keyed/selectors.h"
#include "core/probe.h"
#include "core/secret.h"
#include "core/token.h"

#include "cmocka-all.h"

/* While a probe is fed, nothing may be allocated. */
static bool forbidden;

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);

void *__wrap_malloc(size_t size)
{
	assert_false(forbidden);
	return __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	assert_false(forbidden);
	return __real_calloc(n, size);
}

enum { ALICE, BOB, MALLORY, N_USERS };
enum { SSH, WEB, ADMIN, EITHER, N_DOORS };

static const struct secret secrets[N_USERS] = {{"alice's key"}, {"bob's key"}, {"mallory's"}};
static const struct key_holder keys[] = {{"alice", &secrets[ALICE]}, {"bob", &secrets[BOB]}};
static char *alice_only[] = {(char *)"alice", (char *)"nobody", NULL};
static char *everybody[] = {(char *)"*", NULL};

static const struct door doors[N_DOORS] = {
	[SSH] = {.name = "ssh",
		 .auth = AUTH_TOKEN | AUTH_SPA,
		 .users = everybody,
		 .knock.filter = {.flags_set = TCP_FLAG_SYN, .flags_clear = TCP_FLAG_ACK}},
	[WEB] = {.name = "web", .auth = AUTH_SEQUENCE},
	[EITHER] = {.name = "either",
		    .auth = AUTH_TOKEN | AUTH_SPA,
		    .users = everybody,
		    .bind_source = BIND_OPTIONAL,
		    .knock.filter = {.flags_set = TCP_FLAG_SYN, .flags_clear = TCP_FLAG_ACK}},
	[ADMIN] = {.name = "admin",
		   .auth = AUTH_TOKEN | AUTH_SPA,
		   .users = alice_only,
		   .bind_source = BIND_YES,
		   .knock.filter = {.flags_set = TCP_FLAG_SYN, .flags_clear = TCP_FLAG_ACK}},
};

#define EVENING UINT64_C(1795384800)

struct trial {
	struct keyed *keyed;
	uint64_t time_us; /* the kernel's clock */
	uint64_t unix_s;
	struct address source;
	uint16_t source_port;
	struct request last;
	size_t n_requests;
};

static struct address address(const char *text)
{
	struct address parsed;

	assert_int_equal(address_parse(text, &parsed), 0);
	return parsed;
}

static struct trial begin(void)
{
	const struct keyed_limits limits = {.max_sources = 64, .ipv6_prefix = 128, .skew_s = 30};
	struct trial trial = {
		.time_us = 1000000,
		.unix_s = EVENING,
		.source = address("198.51.100.7"),
		.source_port = 40000,
	};

	assert_int_equal(keyed_new(&limits, doors, N_DOORS, keys, 2, &trial.keyed), 0);
	return trial;
}

static void on_request(void *userdata, const struct request *request)
{
	struct trial *trial = userdata;

	trial->last = *request;
	trial->n_requests++;
}

static bool feed(struct trial *trial, struct probe *probe)
{
	bool underway;

	trial->time_us += 1000;
	probe->time_us = trial->time_us;
	probe->source = trial->source;
	probe->source_port = trial->source_port++;
	forbidden = true;
	underway = keyed_feed(trial->keyed, probe, trial->unix_s, on_request, trial);
	forbidden = false;
	return underway;
}

static bool knock(struct trial *trial, uint16_t port)
{
	return feed(trial, &(struct probe){.protocol = IPPROTO_UDP, .port = port});
}

/* The verdict on what was fed since the last call; N_VERDICTS: nothing was said. */
enum { NOTHING = -1, SEVERAL = -2 };

static int verdict(struct trial *trial)
{
	size_t n = trial->n_requests;

	trial->n_requests = 0;
	return n == 0 ? NOTHING : n == 1 ? (int)trial->last.verdict : SEVERAL;
}

static struct mac_key base_of(int user)
{
	struct mac_key base;

	mac_key_init(&base, &secrets[user]);
	return base;
}

static void token_over(enum family family, int user, int door, int64_t late_s,
		       const struct address *bound, uint16_t *ret_ports)
{
	const struct mac_key base = base_of(user);
	const struct token_seed seed = {
		.base = &base,
		.door = doors[door].name,
		.family = family,
		.step = token_step((uint64_t)((int64_t)EVENING - late_s)),
	};

	token_ports(&seed, bound, ret_ports);
}

static void token(int user, int door, int64_t late_s, const struct address *bound,
		  uint16_t *ret_ports)
{
	token_over(FAMILY_IPV4, user, door, late_s, bound, ret_ports);
}

static int send_token(struct trial *trial, int user, int door, int64_t late_s,
		      const struct address *bound)
{
	uint16_t ports[TOKEN_PORTS];

	token(user, door, late_s, bound, ports);
	for (size_t i = 0; i < TOKEN_PORTS; i++)
		knock(trial, ports[i]);
	return verdict(trial);
}

static void test_who_is_in_the_middle_of_a_token(void **state)
{
	struct trial trial = begin();
	uint16_t ports[TOKEN_PORTS];

	(void)state;
	token(ALICE, ADMIN, 0, NULL, ports);
	assert_false(knock(&trial, 100));
	assert_true(knock(&trial, ports[0]));
	keyed_free(trial.keyed);
}

static void test_a_token_in_any_order(void **state)
{
	struct trial trial = begin();
	uint16_t ports[TOKEN_PORTS], swap;

	(void)state;
	token(ALICE, SSH, 0, NULL, ports);
	for (int round = 0; round < 500; round++) {
		trial.time_us += 40000000; /* what was before is forgotten */
		for (size_t i = TOKEN_PORTS - 1; i > 0; i--) {
			size_t j = randombytes_uniform((uint32_t)i + 1);

			swap = ports[i], ports[i] = ports[j], ports[j] = swap;
		}
		for (size_t i = 0; i < TOKEN_PORTS; i++) {
			assert_int_equal(verdict(&trial), NOTHING);
			if (i % 2)
				knock(&trial, ports[i]);
			else
				feed(&trial, &(struct probe){.protocol = IPPROTO_TCP,
							     .tcp_flags = TCP_FLAG_SYN,
							     .port = ports[i]});
		}
		assert_int_equal(verdict(&trial), REQUEST_GOOD);
	}
	assert_int_equal(trial.last.kind, KNOCK_TOKEN);
	assert_int_equal(trial.last.door, SSH);
	assert_int_equal(trial.last.key, ALICE);
	assert_int_equal(trial.last.step, token_step(EVENING));
	assert_true(address_equal(&trial.last.source, &trial.source));
	keyed_free(trial.keyed);
}

static void test_seven_of_eight_are_nothing(void **state)
{
	uint16_t ports[TOKEN_PORTS];

	(void)state;
	token(ALICE, SSH, 0, NULL, ports);
	for (size_t missing = 0; missing < TOKEN_PORTS; missing++) {
		struct trial trial = begin();

		for (int round = 0; round < 3; round++)
			for (size_t i = 0; i < TOKEN_PORTS; i++)
				if (i != missing)
					knock(&trial, ports[i]);
		assert_int_equal(verdict(&trial), NOTHING);
		/* Not from elsewhere either. */
		trial.source = address("198.51.100.8");
		knock(&trial, ports[missing]);
		assert_int_equal(verdict(&trial), NOTHING);
		trial.source = address("198.51.100.7");
		knock(&trial, ports[missing]);
		assert_int_equal(verdict(&trial), REQUEST_GOOD);
		keyed_free(trial.keyed);
	}
}

/* Ports that are none of the token's. */
static void knock_others(struct trial *trial, size_t n, const uint16_t *ports)
{
	for (uint16_t port = 1; n > 0; port++) {
		bool is_other = true;

		for (size_t i = 0; i < TOKEN_PORTS; i++)
			is_other &= ports[i] != port;
		if (is_other) {
			knock(trial, port);
			n--;
		}
	}
}

static void test_others_in_between_do_not_matter(void **state)
{
	uint16_t ports[TOKEN_PORTS];

	(void)state;
	token(ALICE, SSH, 0, NULL, ports);
	for (size_t n_others = 24; n_others <= 25; n_others++) {
		struct trial trial = begin();

		knock(&trial, ports[0]);
		knock_others(&trial, n_others, ports);
		for (size_t i = 1; i < TOKEN_PORTS; i++)
			knock(&trial, ports[i]);
		/* All eight must be among the last 32. */
		assert_int_equal(verdict(&trial), n_others == 24 ? REQUEST_GOOD : NOTHING);
		keyed_free(trial.keyed);
	}
}

static void test_a_token_is_told_once_each_time(void **state)
{
	struct trial trial = begin();

	(void)state;
	assert_int_equal(send_token(&trial, ALICE, SSH, 0, NULL), REQUEST_GOOD);
	/* The same packets again are retransmissions. */
	trial.source_port -= TOKEN_PORTS;
	assert_int_equal(send_token(&trial, ALICE, SSH, 0, NULL), NOTHING);
	/* Somebody's own copy is another token, of which the caller has to know that it is used. */
	assert_int_equal(send_token(&trial, ALICE, SSH, 0, NULL), REQUEST_GOOD);
	assert_int_equal(send_token(&trial, BOB, SSH, 0, NULL), REQUEST_GOOD);
	assert_int_equal(trial.last.key, BOB);
	keyed_free(trial.keyed);
}

static void test_a_token_is_for_one_key_and_door(void **state)
{
	struct trial trial = begin();
	struct address here = trial.source, there = address("198.51.100.8");

	(void)state;
	assert_int_equal(send_token(&trial, MALLORY, SSH, 0, NULL), NOTHING);
	assert_int_equal(send_token(&trial, ALICE, WEB, 0, NULL), NOTHING);
	assert_int_equal(send_token(&trial, BOB, ADMIN, 0, &here), REQUEST_WRONG_USER);
	assert_int_equal(send_token(&trial, BOB, ADMIN, 0, NULL), REQUEST_WRONG_USER);
	assert_int_equal(send_token(&trial, ALICE, ADMIN, 0, &there), NOTHING);
	assert_int_equal(send_token(&trial, ALICE, ADMIN, 0, NULL), REQUEST_WRONG_SOURCE);
	assert_int_equal(send_token(&trial, ALICE, ADMIN, 0, &here), REQUEST_GOOD);
	assert_int_equal(trial.last.door, ADMIN);
	assert_int_equal(send_token(&trial, ALICE, SSH, 0, &here), NOTHING);
	keyed_free(trial.keyed);
}

static void test_a_token_is_for_its_time(void **state)
{
	/* EVENING is the first second of its step. */
	static const struct {
		int64_t late_s;
		int verdict;
		int64_t off_s;
	} cases[] = {
		{0, REQUEST_GOOD, 0},	  {1, REQUEST_GOOD, 1},	     {30, REQUEST_GOOD, 1},
		{31, REQUEST_STALE, 31},  {120, REQUEST_STALE, 91},  {-29, REQUEST_GOOD, 0},
		{-30, REQUEST_GOOD, -30}, {-60, REQUEST_STALE, -60}, {-120, REQUEST_STALE, -120},
		{-3600, NOTHING, 0},	  {3600, NOTHING, 0},
	};
	struct trial trial = begin();

	(void)state;
	keyed_tend(trial.keyed, EVENING);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_int_equal(send_token(&trial, ALICE, SSH, cases[i].late_s, NULL),
				 cases[i].verdict);
		if (cases[i].verdict != NOTHING)
			assert_int_equal(trial.last.off_s, cases[i].off_s);
	}
	trial.unix_s = 0; /* nobody knows when */
	assert_false(knock(&trial, 100));
	assert_int_equal(send_token(&trial, ALICE, SSH, (int64_t)EVENING, NULL), NOTHING);
	keyed_free(trial.keyed);
}

/* The index moves with the time: tended or not, forwards, far, and backwards. */
static void test_time_goes_by(void **state)
{
	struct trial trial = begin();

	(void)state;
	for (int64_t late_s = 0; late_s > -3600; late_s -= 7) {
		trial.unix_s = (uint64_t)((int64_t)EVENING - late_s);
		if (late_s < -1800)
			keyed_tend(trial.keyed, trial.unix_s);
		trial.source_port += 8;
		assert_int_equal(send_token(&trial, ALICE, SSH, late_s, NULL), REQUEST_GOOD);
		assert_int_equal(send_token(&trial, BOB, SSH, late_s + 30, NULL), REQUEST_GOOD);
		assert_int_equal(send_token(&trial, BOB, SSH, late_s - 30, NULL), REQUEST_GOOD);
	}
	trial.unix_s = EVENING + 86400;
	assert_int_equal(send_token(&trial, ALICE, SSH, -86400, NULL), REQUEST_GOOD);
	trial.unix_s = EVENING;
	assert_int_equal(send_token(&trial, ALICE, SSH, 0, NULL), REQUEST_GOOD);
	trial.unix_s = 1;
	assert_int_equal(send_token(&trial, ALICE, SSH, (int64_t)EVENING, NULL), REQUEST_GOOD);
	keyed_free(trial.keyed);
}

static void test_a_reload_and_a_reboot(void **state)
{
	struct trial trial = begin(), next = begin();
	uint16_t ports[TOKEN_PORTS];

	(void)state;
	token(ALICE, SSH, 0, NULL, ports);
	for (size_t i = 0; i < TOKEN_PORTS - 1; i++)
		knock(&trial, ports[i]);
	keyed_inherit(next.keyed, trial.keyed);
	next.time_us = trial.time_us;
	knock(&next, ports[TOKEN_PORTS - 1]);
	assert_int_equal(verdict(&next), REQUEST_GOOD);
	keyed_forget(trial.keyed);
	knock(&trial, ports[TOKEN_PORTS - 1]);
	assert_int_equal(verdict(&trial), NOTHING);
	keyed_free(trial.keyed);
	keyed_free(next.keyed);
}

/* What came in where a door looked is nothing to one that looks elsewhere. */
static void test_another_filter_begins_again(void **state)
{
	const struct keyed_limits limits = {.max_sources = 64, .ipv6_prefix = 128, .skew_s = 30};
	struct trial trial = begin(), next = trial;
	struct door anywhere = doors[SSH];
	uint16_t ports[TOKEN_PORTS];

	(void)state;
	memset(&anywhere.knock.filter, 0, sizeof anywhere.knock.filter);
	assert_int_equal(keyed_new(&limits, &anywhere, 1, keys, 2, &next.keyed), 0);
	token(ALICE, SSH, 0, NULL, ports);
	for (size_t i = 0; i < TOKEN_PORTS - 1; i++)
		knock(&trial, ports[i]);
	keyed_inherit(next.keyed, trial.keyed);
	next.time_us = trial.time_us;
	knock(&next, ports[TOKEN_PORTS - 1]);
	assert_int_equal(verdict(&next), NOTHING);
	for (size_t i = 0; i < TOKEN_PORTS - 1; i++)
		knock(&next, ports[i]);
	assert_int_equal(verdict(&next), REQUEST_GOOD);
	keyed_free(trial.keyed);
	keyed_free(next.keyed);
}

static void test_sources_of_a_prefix_are_one(void **state)
{
	const struct keyed_limits limits = {.max_sources = 64, .ipv6_prefix = 64, .skew_s = 30};
	struct trial trial = begin();
	uint16_t ports[TOKEN_PORTS];

	(void)state;
	keyed_free(trial.keyed);
	assert_int_equal(keyed_new(&limits, doors, N_DOORS, keys, 2, &trial.keyed), 0);
	token_over(FAMILY_IPV6, ALICE, SSH, 0, NULL, ports);
	for (size_t i = 0; i < TOKEN_PORTS; i++) {
		trial.source = address("2001:db8::1");
		trial.source.bytes[15] = (uint8_t)i;
		knock(&trial, ports[i]);
	}
	assert_int_equal(verdict(&trial), REQUEST_GOOD);
	assert_true(address_equal(&trial.last.source, &trial.source));
	keyed_free(trial.keyed);
}

/* One SYN. `spoil` is a bit of the option to be flipped, or -1. */
/* A token for one family is nothing over the other. */
static void test_a_token_is_for_one_family(void **state)
{
	struct trial trial = begin();
	uint16_t ports[N_FAMILIES][TOKEN_PORTS];

	(void)state;
	for (enum family of = 0; of < N_FAMILIES; of++)
		token_over(of, ALICE, SSH, 0, NULL, ports[of]);
	for (enum family over = 0; over < N_FAMILIES; over++) {
		for (enum family of = 0; of < N_FAMILIES; of++) {
			trial.time_us += 40000000;
			trial.source =
				address(over == FAMILY_IPV4 ? "198.51.100.7" : "2001:db8::7");
			for (size_t i = 0; i < TOKEN_PORTS; i++)
				knock(&trial, ports[of][i]);
			assert_int_equal(verdict(&trial), of == over ? REQUEST_GOOD : NOTHING);
		}
	}
	keyed_free(trial.keyed);
}

static int send_spa(struct trial *trial, int user, const char *door, int64_t late_s,
		    const struct address *bound, int spoil)
{
	const struct mac_key base = base_of(user);
	struct spa_request request = {
		.time_s = (uint32_t)((int64_t)EVENING - late_s),
		.door = spa_door(door),
		.seconds = 77,
	};
	struct probe probe = {
		.protocol = IPPROTO_TCP,
		.tcp_flags = TCP_FLAG_SYN,
		.port = spa_port(&base, token_step(request.time_s)),
		.n_options = SPA_OPTION_SIZE,
	};
	uint8_t nonce[SPA_NONCE_SIZE];
	struct secret key;

	randombytes_buf(nonce, sizeof nonce);
	spa_key(&base, &key);
	spa_seal(&key, &request, bound, nonce, probe.options);
	if (spoil >= 0)
		probe.options[spoil / 8] ^= (uint8_t)(1 << spoil % 8);
	feed(trial, &probe);
	if (trial->n_requests > 0 && trial->last.key != REQUEST_NOBODY)
		assert_memory_equal(trial->last.nonce, nonce, sizeof nonce);
	return verdict(trial);
}

static void test_spa_is_for_one_key_and_door(void **state)
{
	struct trial trial = begin();
	struct address here = trial.source, there = address("198.51.100.8");

	(void)state;
	assert_int_equal(send_spa(&trial, ALICE, "ssh", 0, NULL, -1), REQUEST_GOOD);
	assert_int_equal(trial.last.kind, KNOCK_SPA);
	assert_int_equal(trial.last.door, SSH);
	assert_int_equal(trial.last.key, ALICE);
	assert_int_equal(trial.last.seconds, 77);
	assert_int_equal(trial.last.time_s, EVENING);
	assert_int_equal(send_spa(&trial, MALLORY, "ssh", 0, NULL, -1), REQUEST_NO_KEY);
	assert_int_equal(trial.last.key, REQUEST_NOBODY);
	assert_int_equal(send_spa(&trial, ALICE, "nowhere", 0, NULL, -1), REQUEST_NO_DOOR);
	assert_int_equal(send_spa(&trial, ALICE, "web", 0, NULL, -1), REQUEST_NO_DOOR);
	assert_int_equal(send_spa(&trial, BOB, "admin", 0, &here, -1), REQUEST_WRONG_USER);
	assert_int_equal(send_spa(&trial, ALICE, "admin", 0, NULL, -1), REQUEST_WRONG_SOURCE);
	assert_int_equal(send_spa(&trial, ALICE, "ssh", 0, &here, -1), REQUEST_WRONG_SOURCE);
	assert_int_equal(send_spa(&trial, ALICE, "admin", 0, &there, -1), REQUEST_OTHER_SOURCE);
	assert_int_equal(trial.last.door, ADMIN);
	assert_int_equal(trial.last.key, ALICE);
	trial.time_us += 1000000; /* another share of the budget */
	assert_int_equal(send_spa(&trial, ALICE, "ssh", 0, &there, -1), REQUEST_OTHER_SOURCE);
	assert_int_equal(send_spa(&trial, ALICE, "nowhere", 0, &there, -1), REQUEST_NO_KEY);
	assert_int_equal(send_spa(&trial, MALLORY, "ssh", 0, &here, -1), REQUEST_NO_KEY);
	trial.unix_s++; /* within the same share */
	assert_int_equal(send_spa(&trial, ALICE, "admin", 0, &here, -1), REQUEST_GOOD);
	keyed_free(trial.keyed);
}

/* That others take tokens is no matter. */
static void test_a_door_for_spa_knocks_alone(void **state)
{
	const struct keyed_limits limits = {.max_sources = 64, .ipv6_prefix = 128, .skew_s = 30};
	struct door few[] = {doors[SSH], doors[EITHER]};
	struct trial trial = begin();

	(void)state;
	few[0].auth = AUTH_SPA;
	keyed_free(trial.keyed);
	assert_int_equal(keyed_new(&limits, few, 2, keys, 2, &trial.keyed), 0);
	assert_int_equal(send_token(&trial, ALICE, SSH, 0, NULL), NOTHING);
	assert_int_equal(send_token(&trial, ALICE, EITHER, 0, NULL), REQUEST_GOOD);
	assert_int_equal(send_spa(&trial, ALICE, "ssh", 0, NULL, -1), REQUEST_GOOD);
	keyed_free(trial.keyed);
}

static void test_spa_is_for_its_time(void **state)
{
	static const struct {
		int64_t late_s;
		int verdict;
	} cases[] = {{30, REQUEST_GOOD},    {31, REQUEST_STALE},  {-30, REQUEST_GOOD},
		     {-31, REQUEST_STALE},  {120, REQUEST_STALE}, {-120, REQUEST_STALE},
		     {1000, REQUEST_NO_KEY}};
	struct trial trial = begin();

	(void)state;
	keyed_tend(trial.keyed, EVENING);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_int_equal(send_spa(&trial, ALICE, "ssh", cases[i].late_s, NULL, -1),
				 cases[i].verdict);
		if (cases[i].verdict != REQUEST_NO_KEY)
			assert_int_equal(trial.last.off_s, cases[i].late_s);
	}
	keyed_free(trial.keyed);
}

/* Nothing is left out that may be good, even if the clock is set back; what is tended has more of
 * them than a probe brings forward. */
static void test_spa_of_many_keys(void **state)
{
	enum { MANY = 100 };
	const struct keyed_limits limits = {.max_sources = 64, .ipv6_prefix = 128, .skew_s = 30};
	struct secret others[MANY];
	struct key_holder holders[MANY];
	struct trial trial = begin();

	(void)state;
	keyed_free(trial.keyed);
	for (size_t i = 0; i < MANY; i++) {
		randombytes_buf(&others[i], sizeof others[i]);
		holders[i] = (struct key_holder){"user", &others[i]};
	}
	holders[MANY - 1].base = &secrets[ALICE];
	assert_int_equal(keyed_new(&limits, doors, N_DOORS, holders, MANY, &trial.keyed), 0);
	assert_int_equal(send_spa(&trial, ALICE, "ssh", 0, NULL, -1), REQUEST_GOOD);
	trial.unix_s -= 60;
	assert_int_equal(send_spa(&trial, ALICE, "ssh", 90, NULL, -1), REQUEST_GOOD);
	trial.unix_s += 60;
	for (int i = 0; i < 10 * MANY; i++)
		keyed_tend(trial.keyed, EVENING);
	assert_int_equal(send_spa(&trial, ALICE, "ssh", 120, NULL, -1), REQUEST_STALE);
	keyed_free(trial.keyed);
}

/* What is left of a request can be read without its address or its MAC. */
static int verdict_on_flipped(int bit)
{
	enum { TIME = 8 * 16, TAG = TIME + 32, SECONDS = TAG + 16 };
	uint64_t time_s = EVENING;

	if (bit < 32)
		return NOTHING; /* without the head it is nobody's request at all */
	if (bit >= TIME && bit < TAG)
		time_s ^= UINT64_C(1) << (8 * (3 - (bit - TIME) / 8) + bit % 8);
	if (bit < TIME || (bit >= TAG && bit < SECONDS) || time_s < EVENING - TOKEN_STEP_S ||
	    time_s >= EVENING + 2 * TOKEN_STEP_S)
		return REQUEST_NO_KEY;
	return REQUEST_OTHER_SOURCE;
}

static void test_spa_with_a_flipped_bit(void **state)
{
	struct trial trial = begin();

	(void)state;
	for (int bit = 0; bit < 8 * SPA_OPTION_SIZE; bit++) {
		trial.time_us += 1000000; /* another share of the budget */
		assert_int_equal(send_spa(&trial, ALICE, "ssh", 0, NULL, bit),
				 verdict_on_flipped(bit));
	}
	keyed_free(trial.keyed);
}

static void feed_forged(struct trial *trial)
{
	const struct mac_key base = base_of(ALICE);
	struct probe probe = {
		.protocol = IPPROTO_TCP,
		.tcp_flags = TCP_FLAG_SYN,
		.port = spa_port(&base, token_step(EVENING)),
		.n_options = SPA_OPTION_SIZE,
		.options = {253, 40, 0x4b, 0x54},
	};

	feed(trial, &probe);
	trial->time_us -= 1000;
}

/* Who floods from one address has no part in what others may try. */
static void test_a_flood_from_one_source(void **state)
{
	struct trial trial = begin();
	const struct keyed_counts *counts = keyed_counts(trial.keyed);

	(void)state;
	trial.source = address("203.0.113.1");
	for (int i = 0; i < 100000; i++)
		feed_forged(&trial);
	assert_int_equal(verdict(&trial), SEVERAL);
	assert_int_equal(trial.last.verdict, REQUEST_DROPPED);
	assert_int_equal(counts->tries, BUDGET_A_SECOND);
	assert_true(counts->dropped > 99000);
	trial.source = address("198.51.100.7");
	assert_int_equal(send_spa(&trial, ALICE, "ssh", 0, NULL, -1), REQUEST_GOOD);
	keyed_free(trial.keyed);
}

/* As long as tokens wait for another share, each probe of their source is one that was dropped. */
static void test_tokens_that_wait_for_a_share(void **state)
{
	struct trial trial = begin();
	const struct keyed_counts *counts = keyed_counts(trial.keyed);
	uint16_t ports[TOKEN_PORTS];

	(void)state;
	token(ALICE, ADMIN, 0, &trial.source, ports);
	for (int i = 0; i < BUDGET_A_SECOND; i++)
		feed_forged(&trial);
	knock_others(&trial, TOKEN_PORTS, ports);
	assert_int_equal(counts->dropped, 0);
	knock(&trial, ports[0]);
	assert_int_equal(counts->dropped, 1);
	knock(&trial, 100);
	assert_int_equal(counts->dropped, 2);
	trial.time_us += 1000000;
	knock(&trial, 101);
	assert_int_equal(counts->dropped, 2);
	keyed_free(trial.keyed);
}

/* To the microsecond; a second back is out of order, and two are another boot. */
static void test_a_budget(void **state)
{
	static struct budget budget;
	const struct address source = address("198.51.100.7");

	(void)state;
	for (int i = 0; i < BUDGET_A_SECOND; i++)
		assert_true(budget_take(&budget, &source, 5000000));
	assert_false(budget_take(&budget, &source, 5999999));
	for (int i = 0; i < BUDGET_A_SECOND; i++)
		assert_true(budget_take(&budget, &source, 6000000));
	assert_false(budget_take(&budget, &source, 5000000));
	assert_true(budget_take(&budget, &source, 4999999));
}

static bool shares(struct budget *budget, const struct address *a, const struct address *b,
		   uint64_t now_us)
{
	for (int i = 0; i < BUDGET_A_SECOND; i++)
		budget_take(budget, a, now_us);
	return !budget_take(budget, b, now_us);
}

/* Who shares with whom hangs on the key, so that nobody can aim at another. */
static void test_shares_hang_on_the_key(void **state)
{
	static struct budget known, keyed = {.key = {1}};
	struct keyed_limits limits = {.max_sources = 64, .ipv6_prefix = 128, .hash_key = {1}};
	const struct address flooder = address("203.0.113.1");
	struct address other = flooder;
	struct trial trial = begin();
	uint64_t now_us = 0;

	(void)state;
	do {
		randombytes_buf(other.bytes + 12, 4);
		now_us += 1000000;
	} while (!shares(&known, &flooder, &other, now_us) ||
		 shares(&keyed, &flooder, &other, now_us));
	keyed_free(trial.keyed);
	assert_int_equal(keyed_new(&limits, doors, N_DOORS, keys, 2, &trial.keyed), 0);
	trial.source = flooder;
	for (int i = 0; i < BUDGET_A_SECOND; i++)
		feed_forged(&trial);
	trial.source = other;
	feed_forged(&trial);
	assert_int_equal(keyed_counts(trial.keyed)->dropped, 0);
	keyed_free(trial.keyed);
}

/* Processors log side by side: the turn of a second comes and goes a few times. */
static void test_a_flood_out_of_order(void **state)
{
	struct trial trial = begin();

	(void)state;
	for (int i = 0; i < 1000; i++) {
		trial.time_us = 5000000 - 1000 + (i % 2 ? 10 : -10);
		feed_forged(&trial);
	}
	assert_true(keyed_counts(trial.keyed)->tries <= 2 * BUDGET_A_SECOND);
	trial.n_requests = 0;
	trial.time_us = 1000000; /* another boot */
	assert_int_equal(send_spa(&trial, ALICE, "ssh", 0, NULL, -1), REQUEST_GOOD);
	keyed_free(trial.keyed);
}

static void test_a_flood_from_everywhere_is_bounded(void **state)
{
	struct trial trial = begin();
	const struct keyed_counts *counts = keyed_counts(trial.keyed);

	(void)state;
	for (int i = 0; i < 200000; i++) {
		randombytes_buf(trial.source.bytes + 12, 4);
		feed_forged(&trial);
	}
	assert_int_equal(counts->tries, BUDGET_SLOTS * BUDGET_A_SECOND);
	trial.time_us += 1000000;
	assert_int_equal(verdict(&trial), SEVERAL);
	assert_int_equal(send_spa(&trial, ALICE, "ssh", 0, NULL, -1), REQUEST_GOOD);
	keyed_free(trial.keyed);
}

/* Thousands of keys: each of their tokens is found, and nobody else's. */
static void test_many_keys(void **state)
{
	enum { MANY = 10000, TRIED = 300 };
	const struct keyed_limits limits = {.max_sources = 64, .ipv6_prefix = 128, .skew_s = 30};
	struct secret *many = calloc(MANY, sizeof *many);
	struct key_holder *holders = calloc(MANY, sizeof *holders);
	struct trial trial = begin();

	(void)state;
	keyed_free(trial.keyed);
	for (size_t i = 0; i < MANY; i++) {
		randombytes_buf(&many[i], sizeof many[i]);
		holders[i] = (struct key_holder){"user", &many[i]};
	}
	assert_int_equal(keyed_new(&limits, doors, 1, holders, MANY, &trial.keyed), 0);
	for (size_t i = 0; i < MANY; i += MANY / TRIED) {
		struct mac_key base;
		const struct token_seed seed = {
			.base = &base, .door = "ssh", .step = token_step(++trial.unix_s)};
		uint16_t ports[TOKEN_PORTS];

		mac_key_init(&base, &many[i]);
		token_ports(&seed, NULL, ports);
		for (size_t j = 0; j < TOKEN_PORTS; j++)
			knock(&trial, ports[(j + i) % TOKEN_PORTS]);
		assert_int_equal(verdict(&trial), REQUEST_GOOD);
		assert_int_equal(trial.last.key, i);
		if (i % 4 == 0)
			keyed_tend(trial.keyed, trial.unix_s);
	}
	keyed_free(trial.keyed);
	free(holders);
	free(many);
}

static void test_limits(void **state)
{
	const struct keyed_limits limits = {
		.max_sources = 64, .ipv6_prefix = 128, .skew_s = KEYED_SKEW_MAX_S + 600};
	struct key_holder *holders = calloc(65537, sizeof *holders);
	struct keyed_limits right = limits;
	struct keyed *keyed = NULL;

	(void)state;
	for (size_t i = 0; i < 65537; i++)
		holders[i] = (struct key_holder){"user", &secrets[0]};
	assert_int_equal(keyed_new(&limits, doors, N_DOORS, keys, 2, &keyed), -E2BIG);
	right.skew_s = KEYED_SKEW_MAX_S;
	assert_int_equal(keyed_new(&right, doors, 1, holders, 65537, &keyed), -E2BIG);
	assert_int_equal(keyed_new(&right, doors, N_DOORS, holders, SIZE_MAX, &keyed), -E2BIG);
	assert_int_equal(keyed_new(&right, doors, N_DOORS, NULL, 0, &keyed), 0);
	keyed_free(keyed);
	free(holders);
}

static void test_a_user_with_many_keys(void **state)
{
	static const struct key_holder holders[] = {{"aaron", &secrets[BOB]},
						    {"alice", &secrets[ALICE]},
						    {"alice", &secrets[ALICE]},
						    {"alice", &secrets[ALICE]},
						    {"bob", &secrets[BOB]}};
	const struct door three[] = {doors[WEB], doors[SSH], doors[ADMIN]};
	struct access access;

	(void)state;
	for (size_t n = 3; n <= 5; n++) {
		assert_int_equal(access_init(three, 3, holders, n, &access), 0);
		assert_int_equal(access.n_doors, 2);
		for (size_t key = 0; key < n; key++) {
			assert_true(access_holds(&access, 0, key));
			assert_int_equal(access_holds(&access, 1, key), key >= 1 && key <= 3);
		}
		assert_false(access_holds(&access, 1, n)); /* there is none */
		access_done(&access);
	}
}

/* A door that takes both is opened by both, but never by what names somebody else. */
static void test_bound_or_not(void **state)
{
	struct trial trial = begin();
	struct address here = trial.source, there = address("198.51.100.8");

	(void)state;
	assert_int_equal(send_token(&trial, ALICE, EITHER, 0, &there), NOTHING);
	assert_int_equal(send_token(&trial, ALICE, EITHER, 0, &here), REQUEST_GOOD);
	assert_int_equal(trial.last.door, EITHER);
	assert_int_equal(send_token(&trial, ALICE, EITHER, 0, NULL), REQUEST_GOOD);
	assert_int_equal(send_spa(&trial, ALICE, "either", 0, &there, -1), REQUEST_OTHER_SOURCE);
	assert_int_equal(send_spa(&trial, ALICE, "either", 0, &here, -1), REQUEST_GOOD);
	assert_int_equal(send_spa(&trial, ALICE, "either", 0, NULL, -1), REQUEST_GOOD);
	keyed_free(trial.keyed);
}

/* Whose clock is off is told so where that is cheap. */
static void test_margin(void **state)
{
	(void)state;
	assert_int_equal(keyed_margin(KEYED_TELL_ROWS_MAX), KEYED_TELL_STEPS);
	assert_int_equal(keyed_margin(KEYED_TELL_ROWS_MAX + 1), 1);
}

/* Steps of half a minute, and one more. */
static void test_reach(void **state)
{
	struct keyed_base base = {.limits.skew_s = 0};

	(void)state;
	assert_int_equal(keyed_reach(&base), 1);
	base.limits.skew_s = 30;
	assert_int_equal(keyed_reach(&base), 2);
	base.limits.skew_s = 31;
	assert_int_equal(keyed_reach(&base), 3);
}

static void fill_one(void *userdata, size_t row, uint64_t step, uint16_t *ret_ports)
{
	(void)userdata;
	(void)row;
	*ret_ports = (uint16_t)step;
}

/* As many as were asked for, and now. */
static void test_steps_of_an_index(void **state)
{
	const struct selectors_options options = {
		.n_rows = 1, .n_ports = 1, .reach = 2, .margin = 3, .fill = fill_one};
	struct selectors *selectors;

	(void)state;
	assert_int_equal(selectors_new(&options, &selectors), 0);
	selectors_move(selectors, 100, 0);
	for (uint64_t step = 90; step <= 110; step++)
		assert_int_equal(selectors_has(selectors, step), step >= 95 && step <= 105);
	/* The very first ones are there at once, as long as there are none before them. */
	selectors_move(selectors, 2, 0);
	for (uint16_t step = 0; step <= 20; step++) {
		assert_int_equal(selectors_has(selectors, step), step <= 10);
		assert_int_equal(selectors_first(selectors, step) != SELECTORS_NONE, step <= 10);
	}
	selectors_free(selectors);
}

/* Each port has one of the bits, and none of them is idle. */
static void test_summary(void **state)
{
	uint64_t all = 0;

	(void)state;
	for (unsigned port = 0; port <= UINT16_MAX; port++) {
		uint64_t summary = selectors_summary(&(uint16_t){(uint16_t)port}, 1);

		assert_int_equal(__builtin_popcountll(summary), 1);
		all |= summary;
	}
	assert_true(all == UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_is_in_the_middle_of_a_token),
		cmocka_unit_test(test_a_token_in_any_order),
		cmocka_unit_test(test_seven_of_eight_are_nothing),
		cmocka_unit_test(test_others_in_between_do_not_matter),
		cmocka_unit_test(test_a_token_is_told_once_each_time),
		cmocka_unit_test(test_a_token_is_for_one_key_and_door),
		cmocka_unit_test(test_a_token_is_for_its_time),
		cmocka_unit_test(test_time_goes_by),
		cmocka_unit_test(test_a_reload_and_a_reboot),
		cmocka_unit_test(test_another_filter_begins_again),
		cmocka_unit_test(test_sources_of_a_prefix_are_one),
		cmocka_unit_test(test_a_token_is_for_one_family),
		cmocka_unit_test(test_bound_or_not),
		cmocka_unit_test(test_spa_is_for_one_key_and_door),
		cmocka_unit_test(test_a_door_for_spa_knocks_alone),
		cmocka_unit_test(test_spa_is_for_its_time),
		cmocka_unit_test(test_spa_of_many_keys),
		cmocka_unit_test(test_spa_with_a_flipped_bit),
		cmocka_unit_test(test_a_flood_from_one_source),
		cmocka_unit_test(test_tokens_that_wait_for_a_share),
		cmocka_unit_test(test_a_budget),
		cmocka_unit_test(test_shares_hang_on_the_key),
		cmocka_unit_test(test_a_flood_out_of_order),
		cmocka_unit_test(test_a_flood_from_everywhere_is_bounded),
		cmocka_unit_test(test_many_keys),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_a_user_with_many_keys),
		cmocka_unit_test(test_margin),
		cmocka_unit_test(test_reach),
		cmocka_unit_test(test_steps_of_an_index),
		cmocka_unit_test(test_summary),
	};

	return sodium_init() < 0 ? 99 : cmocka_run_group_tests(tests, NULL, NULL);
}
