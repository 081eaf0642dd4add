#include "fleet/ledger.h"

#include <string.h>

#include "cmocka-all.h"
#include "util/clock.h"

#define NOW (UINT64_C(1700000000) * US_PER_S)
#define S   US_PER_S

static int set_up(void **state)
{
	return ledger_new((struct ledger **)state);
}

static int tear_down(void **state)
{
	ledger_free(*state);
	return 0;
}

static struct fleet_message word(enum fleet_kind kind, const char *host, uint64_t stamp_us,
				 uint64_t until_us)
{
	struct fleet_message message = {.kind = kind, .stamp_us = stamp_us, .until_us = until_us};

	strcpy(message.host, host);
	strcpy(message.door, "ssh");
	address_parse("198.51.100.7", &message.source);
	return message;
}

static enum fleet_verdict say_at(void **state, uint64_t now_us, struct fleet_message message)
{
	struct ledger_entry *entry;
	uint64_t old_us;

	return ledger_take(*state, &message, now_us, &entry, &old_us);
}

#define SAY(...) say_at(state, NOW, word(__VA_ARGS__))

static void test_the_last_word_counts(void **state)
{
	assert_int_equal(SAY(FLEET_OPEN, "a", NOW, NOW + 60 * S), FLEET_ACCEPTED);
	assert_int_equal(SAY(FLEET_OPEN, "a", NOW, NOW + 60 * S), FLEET_REPEATED);
	assert_int_equal(SAY(FLEET_CLOSED, "a", NOW + 2, NOW + 60 * S), FLEET_ACCEPTED);
	assert_int_equal(SAY(FLEET_OPEN, "a", NOW, NOW + 60 * S), FLEET_OLD);
	assert_int_equal(SAY(FLEET_OPEN, "a", NOW + 1, NOW + 60 * S), FLEET_OLD);
	assert_int_equal(SAY(FLEET_OPEN, "b", NOW + 1, NOW + 60 * S), FLEET_ACCEPTED);
	assert_int_equal(SAY(FLEET_OPEN, "a", NOW + 3, NOW + 60 * S), FLEET_ACCEPTED);
}

/* A close that comes first counts as well: the open that it is about must not come after it. */
static void test_a_close_that_overtakes(void **state)
{
	assert_int_equal(SAY(FLEET_CLOSED, "a", NOW + 1, NOW + 60 * S), FLEET_ACCEPTED);
	assert_int_equal(SAY(FLEET_OPEN, "a", NOW, NOW + 60 * S), FLEET_OLD);
}

static void test_time_has_bounds(void **state)
{
	assert_int_equal(SAY(FLEET_OPEN, "a", NOW - 60 * S, NOW), FLEET_STALE);
	assert_int_equal(SAY(FLEET_OPEN, "a", NOW - 60 * S, NOW + 1), FLEET_ACCEPTED);
	assert_int_equal(SAY(FLEET_OPEN, "b", NOW + LEDGER_SKEW_US + 1, NOW + 3600 * S),
			 FLEET_FUTURE);
	assert_int_equal(SAY(FLEET_OPEN, "b", NOW + LEDGER_SKEW_US, NOW + 3600 * S),
			 FLEET_ACCEPTED);
	assert_int_equal(SAY(FLEET_OPEN, "c", NOW, NOW + (DOOR_TIMEOUT_MAX_S + 200) * S),
			 FLEET_MALFORMED);
}

/* What any host has shut no older word of any host opens. */
static void test_shut_is_for_all(void **state)
{
	struct fleet_message old = word(FLEET_OPEN, "a", NOW, NOW + 60 * S);

	assert_int_equal(say_at(state, NOW, old), FLEET_ACCEPTED);
	assert_false(ledger_is_void(*state, &old));
	assert_int_equal(SAY(FLEET_SHUT, "b", NOW + 5, NOW + 60 * S), FLEET_ACCEPTED);
	assert_true(ledger_is_void(*state, &old));
	assert_int_equal(SAY(FLEET_OPEN, "c", NOW + 5, NOW + 60 * S), FLEET_VOID);
	assert_int_equal(SAY(FLEET_OPEN, "c", NOW + 6, NOW + 60 * S), FLEET_ACCEPTED);
	/* What was shut was this source's. */
	old.source.bytes[15] ^= 1;
	assert_false(ledger_is_void(*state, &old));
}

/* Until an older word would be stale by any clock. */
static void test_closes_are_remembered(void **state)
{
	struct fleet_message open = word(FLEET_OPEN, "a", NOW, NOW + 60 * S);

	assert_int_equal(SAY(FLEET_CLOSED, "a", NOW + 1, NOW + 60 * S), FLEET_ACCEPTED);
	ledger_sweep(*state, NOW + 60 * S);
	assert_int_equal(say_at(state, NOW + 59 * S, open), FLEET_OLD);
	ledger_sweep(*state, NOW + 60 * S + LEDGER_SKEW_US);
	assert_int_equal(ledger_count(*state), 0);
	assert_int_equal(say_at(state, NOW + 60 * S, open), FLEET_STALE);
}

/* A shorter word does not make what closes it forgotten earlier. */
static void test_a_shorter_word(void **state)
{
	struct fleet_message longer = word(FLEET_OPEN, "a", NOW, NOW + 600 * S);
	struct ledger_entry *entry;
	uint64_t old_us = 0;
	struct fleet_message shorter = word(FLEET_OPEN, "a", NOW + 1, NOW + 60 * S);

	assert_int_equal(say_at(state, NOW, longer), FLEET_ACCEPTED);
	assert_int_equal(ledger_take(*state, &shorter, NOW, &entry, &old_us), FLEET_ACCEPTED);
	assert_int_equal(old_us, longer.until_us);
	ledger_sweep(*state, NOW + 300 * S);
	assert_int_equal(say_at(state, NOW + 300 * S, longer), FLEET_OLD);
}

/* A word that answers another is later than it, whatever our clock says. */
static void test_stamps_go_on(void **state)
{
	const struct fleet_message message = word(FLEET_OPEN, "a", 1, 1);
	uint64_t first_us = ledger_stamp(*state, NOW);

	assert_int_equal(first_us, NOW);
	assert_int_equal(ledger_stamp(*state, NOW - 5), NOW + 1);
	assert_int_equal(SAY(FLEET_OPEN, "a", NOW + 5 * S, NOW + 60 * S), FLEET_ACCEPTED);
	assert_int_equal(ledger_stamp(*state, NOW), NOW + 5 * S + 1);
	assert_int_equal(ledger_latest_us(*state, "ssh", &message.source), NOW + 60 * S);
}

static void test_there_is_an_end(void **state)
{
	struct fleet_message message = word(FLEET_OPEN, "a", NOW, NOW + 60 * S);

	for (uint32_t i = 0; i < LEDGER_MAX; i++) {
		memcpy(message.source.bytes + 12, &i, sizeof i);
		assert_int_equal(say_at(state, NOW, message), FLEET_ACCEPTED);
	}
	strcpy(message.host, "b");
	assert_int_equal(say_at(state, NOW, message), FLEET_FULL);
	/* Those that are known go on. */
	message = word(FLEET_CLOSED, "a", NOW + 1, NOW + 60 * S);
	memset(message.source.bytes + 12, 0, 4);
	assert_int_equal(say_at(state, NOW, message), FLEET_ACCEPTED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_the_last_word_counts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_close_that_overtakes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_time_has_bounds, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_shut_is_for_all, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_closes_are_remembered, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_shorter_word, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_stamps_go_on, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_there_is_an_end, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
