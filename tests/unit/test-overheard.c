#include "match/overheard.h"

#include <netinet/in.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "core/door.h"
#include "core/probe.h"

#include "cmocka-all.h"

enum { SECOND = 1000000 };

struct trial {
	struct overheard *overheard;
	uint64_t now_us;
	struct address source;
	size_t n_whole, last;
};

static size_t n_random; /* bytes that were asked for */

void __real_randombytes_buf(void *buffer, size_t size);
void __wrap_randombytes_buf(void *buffer, size_t size);

void __wrap_randombytes_buf(void *buffer, size_t size)
{
	n_random += size;
	__real_randombytes_buf(buffer, size);
}

static struct knock knock_of(const char *sequence)
{
	struct knock knock = {.seq_timeout_us = 10 * SECOND};
	size_t step;

	assert_int_equal(sequence_parse(sequence, &knock.sequence, &step), 0);
	return knock;
}

static struct trial begin(const char *sequence)
{
	struct trial trial = {.now_us = 5};
	const struct knock knock = knock_of(sequence);

	assert_int_equal(overheard_new(2, 64, &trial.overheard), 0);
	overheard_set(trial.overheard, 0, &knock);
	assert_int_equal(address_parse("198.51.100.7", &trial.source), 0);
	return trial;
}

static void on_whole(void *userdata, size_t line)
{
	struct trial *trial = userdata;

	trial->n_whole++;
	trial->last = line;
}

/* How many lines are whole with it. */
static size_t feed(struct trial *trial, uint16_t port, uint8_t protocol)
{
	trial->n_whole = 0;
	trial->now_us += 100000;
	overheard_feed(trial->overheard,
		       &(struct probe){.time_us = trial->now_us,
				       .source = trial->source,
				       .port = port,
				       .protocol = protocol},
		       on_whole, trial);
	return trial->n_whole;
}

/* Which of the TCP ports makes it whole: its number from 1; 0: none. */
static size_t feed_all(struct trial *trial, const uint16_t *ports)
{
	for (size_t i = 0; ports[i] != 0; i++)
		if (feed(trial, ports[i], IPPROTO_TCP) > 0)
			return i + 1;
	return 0;
}

static void test_whole_and_in_order(void **state)
{
	static const struct {
		uint16_t ports[10];
		size_t whole;
	} cases[] = {
		{{7, 9, 8}, 3},	      {{7, 1, 9, 2, 3, 8}, 6}, {{7, 9, 7, 8}, 4},
		{{7, 7, 9, 9, 8}, 5}, {{8, 7, 9, 8}, 4},       {{9, 8, 7}, 0},
		{{7, 8, 9}, 0},	      {{9, 7, 8, 9, 7}, 0},    {{7, 9}, 0},
		{{9, 8}, 0},	      {{8, 8, 8}, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct trial trial = begin("7, 9, 8");
		size_t whole = feed_all(&trial, cases[i].ports);

		if (whole != cases[i].whole)
			fail_msg("case %zu: %zu", i, whole);
		overheard_free(trial.overheard);
	}
}

static void test_in_time(void **state)
{
	struct trial trial = begin("7, 9, 8");

	(void)state;
	feed(&trial, 7, IPPROTO_TCP);
	trial.now_us += 10 * SECOND - 200000;
	feed(&trial, 9, IPPROTO_TCP);
	assert_int_equal(feed(&trial, 8, IPPROTO_TCP), 1);
	trial.now_us += 20 * SECOND;
	feed(&trial, 7, IPPROTO_TCP);
	trial.now_us += 10 * SECOND - 199999;
	feed(&trial, 9, IPPROTO_TCP);
	assert_int_equal(feed(&trial, 8, IPPROTO_TCP), 0);
	/* The later of two beginnings counts. */
	trial.now_us += 20 * SECOND;
	feed(&trial, 7, IPPROTO_TCP);
	trial.now_us += 9 * SECOND;
	feed(&trial, 7, IPPROTO_TCP);
	feed(&trial, 9, IPPROTO_TCP);
	trial.now_us += 5 * SECOND;
	assert_int_equal(feed(&trial, 8, IPPROTO_TCP), 1);
	overheard_free(trial.overheard);
}

/* Time may begin with the first probe. */
static void test_from_the_first_moment(void **state)
{
	(void)state;
	for (uint64_t first_us = 0; first_us < 3; first_us++) {
		struct trial trial = begin("7, 7");

		trial.now_us = first_us - 100000;
		assert_int_equal(feed(&trial, 7, IPPROTO_TCP), 0);
		assert_true(trial.now_us == first_us);
		assert_int_equal(feed(&trial, 7, IPPROTO_TCP), 1);
		overheard_free(trial.overheard);
	}
}

static void test_a_port_has_a_protocol(void **state)
{
	struct trial trial = begin("7, 7/udp, 7");

	(void)state;
	feed(&trial, 7, IPPROTO_TCP);
	feed(&trial, 7, IPPROTO_TCP);
	assert_int_equal(feed(&trial, 7, IPPROTO_TCP), 0);
	feed(&trial, 7, IPPROTO_UDP);
	assert_int_equal(feed(&trial, 7, IPPROTO_TCP), 1);
	overheard_free(trial.overheard);
}

static void test_each_source_for_itself(void **state)
{
	struct trial trial = begin("7, 9, 8");
	const uint16_t ports[] = {7, 9};

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(address_parse(i ? "2001:db8::1" : "198.51.100.8", &trial.source),
				 0);
		feed_all(&trial, (const uint16_t[]){ports[0], ports[1], 0});
	}
	assert_int_equal(address_parse("198.51.100.9", &trial.source), 0);
	assert_int_equal(feed(&trial, 8, IPPROTO_TCP), 0);
	assert_int_equal(address_parse("2001:db8:0:1::1", &trial.source), 0);
	assert_int_equal(feed(&trial, 8, IPPROTO_TCP), 0);
	assert_int_equal(address_parse("2001:db8::2", &trial.source), 0); /* of the same /64 */
	assert_int_equal(feed(&trial, 8, IPPROTO_TCP), 1);
	assert_int_equal(address_parse("198.51.100.8", &trial.source), 0);
	overheard_forget(trial.overheard);
	assert_int_equal(feed(&trial, 8, IPPROTO_TCP), 0);
	overheard_free(trial.overheard);
}

static void test_another_line(void **state)
{
	struct trial trial = begin("7, 9, 8");
	struct knock knock = knock_of("7, 6, 8");

	(void)state;
	feed(&trial, 7, IPPROTO_TCP);
	overheard_set(trial.overheard, 0, &knock);
	/* What was seen for the old one is nothing to the new one. */
	assert_int_equal(feed_all(&trial, (const uint16_t[]){9, 6, 8, 0}), 0);
	assert_int_equal(feed_all(&trial, (const uint16_t[]){7, 6, 8, 0}), 3);
	knock.filter.flags_set = TCP_FLAG_SYN; /* which these do not have */
	overheard_set(trial.overheard, 0, &knock);
	assert_int_equal(feed_all(&trial, (const uint16_t[]){7, 6, 8, 0}), 0);
	knock = knock_of("7, 6");
	overheard_set(trial.overheard, 1, &knock);
	overheard_set(trial.overheard, 0, NULL);
	assert_int_equal(feed_all(&trial, (const uint16_t[]){7, 6, 8, 0}), 2);
	assert_int_equal(trial.last, 1);
	overheard_free(trial.overheard);
}

/* Two thousand at once find room, for who comes takes nobody's place but the oldest's, and none for
 * a line that is another. */
static void test_many_sources(void **state)
{
	enum { N_SOURCES = 2000 };
	struct trial trial = begin("7, 9, 8");
	struct knock knock = knock_of("7, 9, 8"), other = knock_of("6, 5");
	size_t n_whole = 0;

	(void)state;
	overheard_forget(trial.overheard);
	overheard_set(trial.overheard, 1, &other);
	knock.seq_timeout_us = 1000 * (uint64_t)SECOND;
	overheard_set(trial.overheard, 0, &knock);
	for (size_t i = 0; i < 2 * N_SOURCES; i++) {
		trial.source.bytes[14] = (uint8_t)(i % N_SOURCES >> 8);
		trial.source.bytes[15] = (uint8_t)(i % N_SOURCES);
		if (i < N_SOURCES)
			feed_all(&trial, (const uint16_t[]){7, 9, 0});
		else
			n_whole += feed(&trial, 8, IPPROTO_TCP);
	}
	/* 4 of 8 places of a bucket are taken on average, by a hash that nobody knows. */
	assert_true(n_whole > N_SOURCES - 200);
	overheard_free(trial.overheard);
}

/* All places are taken, and all are free again when the line is another. */
static void test_another_line_for_many(void **state)
{
	enum { N_SOURCES = 20000 };
	struct trial trial = begin("7, 8");
	struct knock knock = knock_of("7, 8");

	(void)state;
	knock.seq_timeout_us = 10000 * (uint64_t)SECOND;
	overheard_set(trial.overheard, 0, &knock);
	for (size_t i = 0; i < 2 * N_SOURCES; i++) {
		/* The last ones, who have the places, come back first. */
		size_t n = i < N_SOURCES ? i : 2 * N_SOURCES - 1 - i;

		trial.source.bytes[14] = (uint8_t)(n >> 8);
		trial.source.bytes[15] = (uint8_t)n;
		if (i == N_SOURCES)
			overheard_set(trial.overheard, 0, &knock);
		assert_int_equal(feed(&trial, i < N_SOURCES ? 7 : 8, IPPROTO_TCP), 0);
	}
	overheard_free(trial.overheard);
}

/* What place a source has is known to nobody. */
static void test_the_hash_has_a_key(void **state)
{
	struct overheard *overheard;

	(void)state;
	n_random = 0;
	assert_int_equal(overheard_new(1, 64, &overheard), 0);
	assert_int_equal(n_random, crypto_shorthash_KEYBYTES);
	overheard_free(overheard);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_and_in_order),
		cmocka_unit_test(test_in_time),
		cmocka_unit_test(test_from_the_first_moment),
		cmocka_unit_test(test_a_port_has_a_protocol),
		cmocka_unit_test(test_each_source_for_itself),
		cmocka_unit_test(test_another_line),
		cmocka_unit_test(test_many_sources),
		cmocka_unit_test(test_another_line_for_many),
		cmocka_unit_test(test_the_hash_has_a_key),
	};

	return sodium_init() < 0 ? 99 : cmocka_run_group_tests(tests, NULL, NULL);
}
