#include "fleet/ledger.h"

#include <string.h>

#include "cmocka-all.h"
#include "util/clock.h"

#define NOW (UINT64_C(1700000000) * US_PER_S)
#define S   US_PER_S

static int set_up(void **state)
{
	return ledger_new("me", (struct ledger **)state);
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
	const struct ledger_entry *entry;

	assert_int_equal(say_at(state, NOW, old), FLEET_ACCEPTED);
	entry = ledger_find(*state, &old);
	assert_false(entry->is_void);
	assert_int_equal(SAY(FLEET_SHUT, "b", NOW + 5, NOW + 60 * S), FLEET_ACCEPTED);
	assert_true(entry->is_void);
	assert_int_equal(SAY(FLEET_OPEN, "c", NOW + 5, NOW + 60 * S), FLEET_VOID);
	assert_int_equal(SAY(FLEET_OPEN, "c", NOW + 6, NOW + 60 * S), FLEET_ACCEPTED);
	/* What was shut was this source's. */
	old.source.bytes[15] ^= 1;
	old.stamp_us++;
	assert_int_equal(say_at(state, NOW, old), FLEET_ACCEPTED);
}

/* Until an older word would be stale by any clock. */
static void test_closes_are_remembered(void **state)
{
	struct fleet_message open = word(FLEET_OPEN, "a", NOW, NOW + 60 * S);

	assert_int_equal(SAY(FLEET_CLOSED, "a", NOW + 1, NOW + 60 * S), FLEET_ACCEPTED);
	assert_int_equal(ledger_count_hosts(*state), 1);
	ledger_sweep(*state, NOW + 60 * S);
	assert_int_equal(say_at(state, NOW + 59 * S, open), FLEET_OLD);
	ledger_sweep(*state, NOW + 60 * S + LEDGER_SKEW_US);
	assert_int_equal(ledger_count(*state), 0);
	assert_int_equal(ledger_count_hosts(*state), 0);
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

static enum fleet_verdict tell_at(void **state, uint64_t now_us, struct fleet_message *message)
{
	struct ledger_entry *entry;

	return ledger_say(*state, message, now_us, &entry);
}

/* What was closed stays so over a restart, for as long as the longest word to open it, whatever the
 * clock says at the start. */
static void test_a_restart_forgets_nothing(void **state)
{
	struct fleet_message longer = word(FLEET_OPEN, "a", NOW, NOW + 600 * S);
	struct fleet_message closed = word(FLEET_CLOSED, "a", NOW + 2, NOW + 60 * S);
	const struct ledger_entry *entry;
	struct ledger *next;

	assert_int_equal(say_at(state, NOW, longer), FLEET_ACCEPTED);
	assert_int_equal(SAY(FLEET_OPEN, "a", NOW + 1, NOW + 60 * S), FLEET_ACCEPTED);
	assert_int_equal(say_at(state, NOW, closed), FLEET_ACCEPTED);
	entry = ledger_find(*state, &closed);
	assert_int_equal(ledger_new("me", &next), 0);
	assert_non_null(ledger_restore(next, entry));
	ledger_sweep(next, NOW + 300 * S);
	assert_int_equal(say_at((void **)&next, NOW + 300 * S, longer), FLEET_OLD);
	ledger_free(next);
}

/* What was saved before what is known; and more than there is room for. */
static void test_what_is_restored(void **state)
{
	struct fleet_message shut = word(FLEET_SHUT, "a", NOW + 2, NOW + 60 * S);
	struct ledger_entry saved = {
		.message = word(FLEET_SHUT, "a", NOW + 1, NOW + 60 * S),
		.heard_us = NOW,
		.forget_us = NOW + 900 * S,
	};
	const struct ledger_entry *entry;

	assert_int_equal(say_at(state, NOW, shut), FLEET_ACCEPTED);
	entry = ledger_find(*state, &shut);
	assert_ptr_equal(ledger_restore(*state, &saved), entry);
	assert_int_equal(entry->message.stamp_us, NOW + 2);
	saved.message.stamp_us = NOW + 3;
	assert_ptr_equal(ledger_restore(*state, &saved), entry);
	assert_int_equal(entry->message.stamp_us, NOW + 3);
	assert_int_equal(entry->forget_us, NOW + 900 * S);
	for (uint32_t i = 1; i < LEDGER_SHUT_MAX / LEDGER_OF_ONE; i++) {
		memcpy(saved.message.source.bytes, &i, sizeof i);
		assert_non_null(ledger_restore(*state, &saved));
	}
	saved.message.source.bytes[15]++;
	assert_null(ledger_restore(*state, &saved));
}

/* What is shown to be older than what was closed may last longer than all that we knew of. */
static void test_a_longer_word_that_was_late(void **state)
{
	struct fleet_message longer = word(FLEET_OPEN, "a", NOW, NOW + 600 * S);
	struct fleet_message other = word(FLEET_OPEN, "c", NOW, NOW + 900 * S);

	assert_int_equal(SAY(FLEET_CLOSED, "a", NOW + 1, NOW + 60 * S), FLEET_ACCEPTED);
	assert_int_equal(SAY(FLEET_SHUT, "b", NOW + 1, NOW + 60 * S), FLEET_ACCEPTED);
	assert_int_equal(say_at(state, NOW, longer), FLEET_OLD);
	assert_int_equal(say_at(state, NOW, other), FLEET_VOID);
	ledger_sweep(*state, NOW + 300 * S);
	assert_int_equal(say_at(state, NOW + 300 * S, longer), FLEET_OLD);
	assert_int_equal(say_at(state, NOW + 300 * S, other), FLEET_VOID);
}

/* It is known for as long as what it has shut could be believed. */
static void test_shut_is_known_for_long(void **state)
{
	struct fleet_message longer = word(FLEET_OPEN, "a", NOW, NOW + 600 * S);

	assert_int_equal(say_at(state, NOW, longer), FLEET_ACCEPTED);
	assert_int_equal(SAY(FLEET_SHUT, "b", NOW + 1, NOW + 60 * S), FLEET_ACCEPTED);
	ledger_sweep(*state, NOW + 300 * S);
	strcpy(longer.host, "c");
	assert_int_equal(say_at(state, NOW + 300 * S, longer), FLEET_VOID);
}

/* Our word is as old as the knock that it is about: what was shut since stays so. */
static void test_an_old_hold_opens_nothing(void **state)
{
	struct fleet_message hold = word(FLEET_OPEN, "x", NOW, NOW + 600 * S);

	assert_int_equal(
		say_at(state, NOW + 30 * S, word(FLEET_SHUT, "b", NOW + 5 * S, NOW + 900 * S)),
		FLEET_ACCEPTED);
	assert_int_equal(tell_at(state, NOW + 30 * S, &hold), FLEET_VOID);
	hold.stamp_us = NOW + 6 * S;
	assert_int_equal(tell_at(state, NOW + 30 * S, &hold), FLEET_ACCEPTED);
	assert_string_equal(hold.host, "me");
	assert_int_equal(hold.stamp_us, NOW + 6 * S);
}

/* Who knocks after we had heard of it is let in, though the clock of who shut it is ahead. */
static void test_a_knock_after_it_was_shut(void **state)
{
	struct fleet_message hold = word(FLEET_OPEN, "x", NOW + 1, NOW + 600 * S);

	assert_int_equal(SAY(FLEET_SHUT, "b", NOW + 30 * S, NOW + 900 * S), FLEET_ACCEPTED);
	assert_int_equal(tell_at(state, NOW + S, &hold), FLEET_ACCEPTED);
	assert_int_equal(hold.stamp_us, NOW + 30 * S + 1);
	/* And whoever has it shut then shuts that, too. */
	hold = word(FLEET_SHUT, "x", NOW + 2 * S, NOW + 900 * S);
	assert_int_equal(tell_at(state, NOW + 2 * S, &hold), FLEET_ACCEPTED);
	assert_int_equal(hold.stamp_us, NOW + 30 * S + 1);
	/* But not what was opened between that and our hearing of it. */
	assert_int_equal(
		say_at(state, NOW + 3 * S, word(FLEET_OPEN, "c", NOW + 31 * S, NOW + 900 * S)),
		FLEET_ACCEPTED);
	hold.stamp_us = NOW + 3 * S - 1;
	assert_int_equal(tell_at(state, NOW + 4 * S, &hold), FLEET_ACCEPTED);
	assert_int_equal(hold.stamp_us, NOW + 30 * S + 2);
}

/* A clock that was set back silences nobody; one that was wrong before is forgotten. */
static void test_a_clock_that_was_set_back(void **state)
{
	struct fleet_message hold = word(FLEET_OPEN, "x", NOW, NOW + 600 * S);
	struct fleet_message closed = word(FLEET_CLOSED, "x", 0, NOW + 600 * S);
	struct fleet_message other = word(FLEET_OPEN, "x", 0, NOW + 600 * S);

	assert_int_equal(tell_at(state, NOW, &hold), FLEET_ACCEPTED);
	assert_int_equal(tell_at(state, NOW - 600 * S, &closed), FLEET_ACCEPTED);
	assert_int_equal(closed.stamp_us, NOW + 1);
	other.source.bytes[15] ^= 1;
	assert_int_equal(tell_at(state, NOW - 600 * S, &other), FLEET_ACCEPTED);
	assert_int_equal(other.stamp_us, NOW - 600 * S);
	closed.stamp_us = 0;
	assert_int_equal(tell_at(state, NOW - 7200 * S, &closed), FLEET_ACCEPTED);
	assert_int_equal(closed.stamp_us, NOW - 7200 * S);
}

/* However long it is asked for. */
static void test_shut_has_an_end(void **state)
{
	struct fleet_message shut = word(FLEET_SHUT, "x", 0, UINT64_MAX / 2);

	assert_int_equal(tell_at(state, NOW, &shut), FLEET_ACCEPTED);
	strcpy(shut.host, "b");
	assert_int_equal(say_at(state, NOW, shut), FLEET_ACCEPTED);
}

/* What is said to be used must not be of a time that its host cannot have known. */
static void test_used_up_front(void **state)
{
	struct fleet_message burnt = {
		.kind = FLEET_BURNT, .host = "a", .stamp_us = NOW, .until_us = NOW + 600 * S};

	burnt.time_s = (uint32_t)(NOW / S + 400);
	assert_int_equal(say_at(state, NOW, burnt), FLEET_ACCEPTED);
	burnt.time_s += 100;
	assert_int_equal(say_at(state, NOW, burnt), FLEET_MALFORMED);
	burnt.time_s = 0;
	burnt.step = (NOW / S + 500) / 30;
	assert_int_equal(say_at(state, NOW, burnt), FLEET_MALFORMED);
}

/* Each key, step, time and nonce is another. */
static void test_used_ones_are_told_apart(void **state)
{
	const struct fleet_message token = {.kind = FLEET_BURNT,
					    .host = "a",
					    .door = "ssh/4",
					    .key = {{1}},
					    .step = 5,
					    .stamp_us = NOW,
					    .until_us = NOW + 60 * S};
	struct fleet_message other = token;

	assert_int_equal(say_at(state, NOW, token), FLEET_ACCEPTED);
	assert_int_equal(say_at(state, NOW, token), FLEET_REPEATED);
	other.key.bytes[0]++;
	assert_int_equal(say_at(state, NOW, other), FLEET_ACCEPTED);
	other.step++;
	assert_int_equal(say_at(state, NOW, other), FLEET_ACCEPTED);
	strcpy(other.door, "ssh/6");
	assert_int_equal(say_at(state, NOW, other), FLEET_ACCEPTED);
	other.door[0] = '\0';
	other.step = 0;
	other.time_s = 9;
	assert_int_equal(say_at(state, NOW, other), FLEET_ACCEPTED);
	other.time_s++;
	assert_int_equal(say_at(state, NOW, other), FLEET_ACCEPTED);
	other.nonce[11]++;
	assert_int_equal(say_at(state, NOW, other), FLEET_ACCEPTED);
	assert_int_equal(say_at(state, NOW, other), FLEET_REPEATED);
	assert_int_equal(ledger_count(*state), 7);
}

/* Whichever of those who have shut it forgets first. */
static void test_shut_by_two(void **state)
{
	struct fleet_message old = word(FLEET_OPEN, "d", NOW, NOW + 900 * S);

	assert_int_equal(SAY(FLEET_SHUT, "b", NOW + 1, NOW + 60 * S), FLEET_ACCEPTED);
	assert_int_equal(SAY(FLEET_SHUT, "c", NOW + 2, NOW + 600 * S), FLEET_ACCEPTED);
	assert_int_equal(say_at(state, NOW, old), FLEET_VOID);
	old.stamp_us = NOW + 2;
	old.until_us += 60 * S;
	assert_int_equal(say_at(state, NOW, old), FLEET_VOID);
	ledger_sweep(*state, NOW + 899 * S);
	assert_int_equal(say_at(state, NOW + 899 * S, old), FLEET_VOID);
	old.stamp_us = NOW;
	old.until_us = NOW + 900 * S;
	assert_int_equal(say_at(state, NOW + 899 * S, old), FLEET_VOID);
	old.stamp_us = NOW + 3;
	assert_int_equal(say_at(state, NOW + 899 * S, old), FLEET_ACCEPTED);
}

static void test_until_when_it_may_be_open(void **state)
{
	struct fleet_message open = word(FLEET_OPEN, "a", NOW, NOW + 60 * S);

	assert_int_equal(ledger_latest_us(*state, "ssh", &open.source), 0);
	assert_int_equal(SAY(FLEET_SHUT, "c", NOW - 1, NOW + 900 * S), FLEET_ACCEPTED);
	assert_int_equal(ledger_latest_us(*state, "ssh", &open.source), 0);
	assert_int_equal(say_at(state, NOW, open), FLEET_ACCEPTED);
	assert_int_equal(SAY(FLEET_OPEN, "b", NOW, NOW + 90 * S), FLEET_ACCEPTED);
	assert_int_equal(SAY(FLEET_CLOSED, "b", NOW + 1, NOW + 20 * S), FLEET_ACCEPTED);
	assert_int_equal(ledger_latest_us(*state, "ssh", &open.source), NOW + 90 * S);
	assert_int_equal(ledger_latest_us(*state, "web", &open.source), 0);
}

/* What is on its way to the daemon, or waits for it, is known until it is there. */
static void test_what_is_due_is_not_forgotten(void **state)
{
	struct fleet_message open = word(FLEET_OPEN, "a", NOW, NOW + 60 * S);
	struct ledger_entry *entry;

	assert_int_equal(say_at(state, NOW, open), FLEET_ACCEPTED);
	entry = ledger_find(*state, &open);
	entry->is_asked = true;
	ledger_sweep(*state, NOW + 900 * S);
	assert_int_equal(ledger_count(*state), 1);
	entry->is_asked = false;
	entry->is_queued = true;
	ledger_sweep(*state, NOW + 900 * S);
	assert_int_equal(ledger_count(*state), 1);
	entry->is_queued = false;
	ledger_sweep(*state, NOW + 900 * S);
	assert_int_equal(ledger_count(*state), 0);
}

static struct fleet_message numbered(struct fleet_message message, uint32_t number)
{
	memcpy(message.source.bytes + 12, &number, sizeof number);
	return message;
}

/* One host has a share of the room; what is over makes room; what closes and what we say has its
 * own. */
static void test_there_is_an_end(void **state)
{
	struct fleet_message open = word(FLEET_OPEN, "a", NOW, NOW + 60 * S);
	struct fleet_message closed = word(FLEET_CLOSED, "a", NOW + 1, NOW + 60 * S);
	struct fleet_message own = word(FLEET_OPEN, "me", 0, NOW + 60 * S);
	uint32_t n = LEDGER_OPEN_MAX / LEDGER_OF_ONE;

	for (uint32_t i = 0; i < LEDGER_OPEN_MAX; i++) {
		open.host[0] = (char)('a' + i / n);
		assert_int_equal(say_at(state, NOW, numbered(open, i)), FLEET_ACCEPTED);
	}
	open.host[0] = 'x';
	assert_int_equal(say_at(state, NOW, numbered(open, 1)), FLEET_FULL);
	/* Those that are known go on. */
	assert_int_equal(say_at(state, NOW, numbered(closed, 0)), FLEET_ACCEPTED);
	assert_int_equal(say_at(state, NOW, numbered(closed, n + 1)), FLEET_ACCEPTED);
	assert_int_equal(SAY(FLEET_SHUT, "x", NOW, NOW + 60 * S), FLEET_ACCEPTED);
	assert_int_equal(SAY(FLEET_STATUS, "x", NOW, NOW + 60 * S), FLEET_ACCEPTED);
	assert_int_equal(tell_at(state, NOW + 2, &own), FLEET_ACCEPTED);
	/* It is looked through when it is needed. */
	open.stamp_us = NOW + 130 * S;
	open.until_us = NOW + 160 * S;
	assert_int_equal(say_at(state, NOW + 130 * S, numbered(open, 1)), FLEET_ACCEPTED);
	assert_int_equal(ledger_count(*state), 1);
}

static void test_nobody_takes_it_all(void **state)
{
	struct fleet_message open = word(FLEET_OPEN, "a", NOW, NOW + 60 * S);

	for (uint32_t i = 0; i < LEDGER_OPEN_MAX / LEDGER_OF_ONE; i++)
		assert_int_equal(say_at(state, NOW, numbered(open, i)), FLEET_ACCEPTED);
	assert_int_equal(SAY(FLEET_OPEN, "a", NOW, NOW + 60 * S), FLEET_FULL);
	assert_int_equal(SAY(FLEET_OPEN, "b", NOW, NOW + 60 * S), FLEET_ACCEPTED);
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
		cmocka_unit_test_setup_teardown(test_a_restart_forgets_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_longer_word_that_was_late, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_shut_is_known_for_long, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_an_old_hold_opens_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_knock_after_it_was_shut, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_clock_that_was_set_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_shut_has_an_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_used_up_front, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nobody_takes_it_all, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_used_ones_are_told_apart, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_shut_by_two, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_until_when_it_may_be_open, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_is_due_is_not_forgotten, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_what_is_restored, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_there_is_an_end, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
