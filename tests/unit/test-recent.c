/* What is remembered of a source's last probes, and of how many sources. */
#include "core/keyed/recent.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka-all.h"

#define S UINT64_C(1000000)

static const uint8_t key[RECENT_KEY_BYTES] = {1, 2, 3};

static struct recent_table *make(size_t n_max)
{
	struct recent_table *table = NULL;

	assert_int_equal(recent_table_new(n_max, key, &table), 0);
	return table;
}

static struct address source(unsigned i)
{
	return (struct address){{0x20, 1, 0xd, 0xb8, [14] = (uint8_t)(i >> 8), (uint8_t)i}};
}

/* What is known of the source then. */
static struct recent *get(struct recent_table *table, unsigned i, uint64_t now_us)
{
	struct address address = source(i);

	return recent_table_get(table, &address, now_us);
}

/* A source is not crowded out as long as there is room for far more. */
static void test_sources_are_kept_apart(void **state)
{
	struct recent_table *table = make(4096);

	(void)state;
	for (unsigned i = 0; i < 400; i++)
		assert_true(recent_add(get(table, i, S), 1, (uint16_t)(1000 + i)));
	for (unsigned i = 0; i < 400; i++) {
		struct recent *recent = get(table, i, S);

		assert_int_equal(recent_count(recent), 1);
		assert_int_equal(recent_port(recent, 0), 1000 + i);
	}
	recent_table_free(table);
}

/* Where there is no room, it is the one that was quiet for longest that is forgotten. */
static void test_the_least_recently_seen_gives_way(void **state)
{
	struct recent_table *table = make(8); /* one bucket */

	(void)state;
	for (unsigned i = 0; i < 8; i++)
		recent_add(get(table, i, S + i), 1, 7);
	recent_add(get(table, 0, S + 8), 1, 8); /* which makes it the last */
	recent_add(get(table, 8, S + 9), 1, 7);
	assert_int_equal(recent_count(get(table, 0, S + 10)), 2);
	for (unsigned i = 2; i < 9; i++)
		assert_int_equal(recent_count(get(table, i, S + 10)), 1);
	assert_int_equal(recent_count(get(table, 1, S + 11)), 0);
	recent_table_free(table);
}

/* To the microsecond. */
static void test_who_was_quiet_for_long_begins_again(void **state)
{
	struct recent_table *table = make(8);

	(void)state;
	recent_add(get(table, 0, S), 1, 7);
	assert_int_equal(recent_count(get(table, 0, S + RECENT_IDLE_US)), 1);
	assert_int_equal(recent_count(get(table, 0, S + 2 * RECENT_IDLE_US)), 1);
	assert_int_equal(recent_count(get(table, 0, S + 3 * RECENT_IDLE_US + 1)), 0);
	recent_table_free(table);
}

/* Lines may be a little out of order, and that does not make the source look older; what is further
 * back is another clock. */
static void test_a_clock_that_goes_back(void **state)
{
	struct recent_table *table = make(8);

	(void)state;
	recent_add(get(table, 0, 100 * S), 1, 7);
	assert_int_equal(recent_count(get(table, 0, 99 * S)), 1);
	assert_int_equal(recent_count(get(table, 0, 100 * S + RECENT_IDLE_US)), 1);
	assert_int_equal(recent_count(get(table, 0, 99 * S + RECENT_IDLE_US - 1)), 0);
	/* A clock at its very beginning is none the worse. */
	recent_add(get(table, 1, 0), 1, 7);
	assert_int_equal(recent_count(get(table, 1, 0)), 1);
	assert_int_equal(recent_count(get(table, 1, 1)), 1);
	recent_table_free(table);
}

static void test_a_retransmission_counts_once(void **state)
{
	struct recent_table *table = make(8);
	struct recent *recent = get(table, 0, S);

	(void)state;
	assert_true(recent_add(recent, 1, 7));
	assert_false(recent_add(recent, 1, 7));
	assert_false(recent_add(recent, 2, 7)); /* nor does a port that comes again */
	assert_true(recent_add(recent, 1, 8));
	assert_false(recent_add(recent, 1, 7));
	assert_int_equal(recent_count(recent), 2);
	for (uint16_t i = 0; i < 10 * RECENT_PROBES; i++)
		assert_false(recent_add(recent, 10 + i, 7 + i % 2));
	assert_int_equal(recent_count(recent), 2);
	recent_table_free(table);
}

/* There are places for so many; then the oldest gives its place up, with all that was known of it.
 */
static void test_the_oldest_probe_gives_way(void **state)
{
	struct recent_table *table = make(8);
	struct recent *recent = get(table, 0, S);
	uint16_t ports[RECENT_PROBES];

	(void)state;
	for (uint16_t i = 0; i < RECENT_PROBES; i++)
		assert_true(recent_add(recent, 1, 100 + i));
	recent_spend(recent, (const uint16_t[]){100, 101}, 2);
	assert_int_equal(recent_count(recent), RECENT_PROBES - 2);
	recent->marked = recent->bound = recent->tried = UINT32_MAX;
	recent->compared = recent->paired = UINT32_MAX;
	for (uint16_t i = 0; i < RECENT_PROBES + 2; i++) {
		assert_true(recent_add(recent, 1, 200 + i));
		assert_false(recent_is_spent(recent));
		assert_int_equal(recent_port(recent, recent->newest), 200 + i);
	}
	assert_int_equal(recent_count(recent), RECENT_PROBES);
	assert_int_equal(recent_ports(recent, ports), RECENT_PROBES);
	for (uint16_t i = 0; i < RECENT_PROBES; i++)
		assert_int_equal(ports[i], 200 + i + (i < 2 ? RECENT_PROBES : 0));
	assert_int_equal(recent->marked | recent->bound | recent->tried, 0);
	assert_int_equal(recent->compared | recent->paired, 0);
	recent_table_free(table);
}

/* What was part of a token that is complete counts no more, from whatever source port it came. */
static void test_spent_ports_count_no_more(void **state)
{
	struct recent_table *table = make(8);
	struct recent *recent = get(table, 0, S);
	uint16_t ports[RECENT_PROBES];

	(void)state;
	recent_add(recent, 1, 8);
	recent_add(recent, 2, 7);
	assert_false(recent_is_spent(recent));
	recent_spend(recent, (const uint16_t[]){7, 9}, 2);
	assert_true(recent_is_spent(recent));
	assert_int_equal(recent_count(recent), 1);
	assert_int_equal(recent_ports(recent, ports), 1);
	assert_int_equal(ports[0], 8);
	assert_true(recent_add(recent, 0x8002, 7)); /* a new one counts */
	assert_int_equal(recent_count(recent), 2);
	recent_table_free(table);
}

/* Another table learns what sources have probed, but nothing that was made of it. */
static void test_inherits_probes_alone(void **state)
{
	struct recent_table *table = make(64), *heir = make(64);
	struct recent *recent = get(table, 3, S);

	(void)state;
	recent_add(recent, 1, 7);
	recent_mark(recent, true);
	recent->tried = recent->compared = recent->paired = 1;
	recent->awaits = true;
	recent_add(get(table, 4, 0), 1, 7); /* at the clock's very beginning */
	recent_table_inherit(heir, table);
	recent = get(heir, 3, S);
	assert_int_equal(recent_count(recent), 1);
	assert_int_equal(recent->marked, 1);
	assert_int_equal(recent->bound, 1);
	assert_int_equal(recent->tried | recent->compared | recent->paired, 0);
	assert_false(recent->awaits);
	assert_int_equal(recent_count(get(heir, 4, 1)), 1);
	assert_int_equal(recent_count(get(heir, 0, S)), 0);
	recent_table_clear(heir);
	assert_int_equal(recent_count(get(heir, 3, S)), 0);
	recent_table_free(heir);
	recent_table_free(table);
}

static void test_marks_are_the_newests(void **state)
{
	struct recent_table *table = make(8);
	struct recent *recent = get(table, 0, S);

	(void)state;
	recent_add(recent, 1, 7);
	recent_add(recent, 1, 8);
	recent_mark(recent, false);
	recent_add(recent, 1, 9);
	recent_mark(recent, true);
	assert_int_equal(recent->marked, 6);
	assert_int_equal(recent->bound, 4);
	recent_table_free(table);
}

/* Ports that count, and no place that has no probe. */
static void test_pairs(void **state)
{
	static const uint16_t set[PAIRS_PORTS] = {7, 14, 1, 2, 3, 4, 5, 6};
	struct recent_table *table = make(8);
	struct recent *recent = get(table, 0, S);
	struct pairs pairs;

	(void)state;
	assert_int_equal(pairs_init(&pairs, 1), 0);
	pairs_add(&pairs, set);
	recent_add(recent, 1, 7);
	recent_add(recent, 1, 9);
	assert_false(recent_has_pair(recent, &pairs));
	assert_int_equal(recent->compared, 3);
	recent_spend(recent, (const uint16_t[]){7}, 1);
	recent_add(recent, 1, 14);
	assert_false(recent_has_pair(recent, &pairs));
	recent_add(recent, 2, 7);
	assert_true(recent_has_pair(recent, &pairs));
	pairs_done(&pairs);
	recent_table_free(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sources_are_kept_apart),
		cmocka_unit_test(test_the_least_recently_seen_gives_way),
		cmocka_unit_test(test_who_was_quiet_for_long_begins_again),
		cmocka_unit_test(test_a_clock_that_goes_back),
		cmocka_unit_test(test_a_retransmission_counts_once),
		cmocka_unit_test(test_the_oldest_probe_gives_way),
		cmocka_unit_test(test_spent_ports_count_no_more),
		cmocka_unit_test(test_inherits_probes_alone),
		cmocka_unit_test(test_marks_are_the_newests),
		cmocka_unit_test(test_pairs),
	};

	return sodium_init() < 0 ? 99 : cmocka_run_group_tests(tests, NULL, NULL);
}
