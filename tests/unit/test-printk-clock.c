#include "daemon/kernel/printk-clock.h"

#include "cmocka-all.h"
#include "util/clock.h"

#define S    US_PER_S
#define HOUR (3600 * S)

/* Read at once; `offset` is how far ahead our clock is. */
static void learn(struct printk_clock *clock, uint64_t raw_us, int64_t offset_us)
{
	printk_clock_learn(clock, raw_us - (uint64_t)offset_us, raw_us);
}

static uint64_t age_us(const struct printk_clock *clock, uint64_t kernel_us, uint64_t raw_us)
{
	return printk_clock_age_us(clock, kernel_us, raw_us);
}

static void test_at_first_both_began_with_the_machine(void **state)
{
	struct printk_clock clock = {0};

	(void)state;
	assert_int_equal(age_us(&clock, HOUR, HOUR), 0);
	/* Nothing was seen for an hour: it may have drifted. */
	assert_int_equal(age_us(&clock, HOUR - 60 * S, HOUR), 60 * S - HOUR / 5000);
}

/* As a message is learnt from before it is judged, it must not vouch for itself. */
static void test_an_old_message_is_old(void **state)
{
	struct printk_clock clock = {0};

	(void)state;
	learn(&clock, HOUR, 0);
	printk_clock_learn(&clock, HOUR, HOUR + 40 * S);
	assert_in_range(age_us(&clock, HOUR, HOUR + 40 * S), 39 * S, 40 * S);
	learn(&clock, HOUR + 41 * S, 0);
	assert_int_equal(age_us(&clock, HOUR + 41 * S, HOUR + 41 * S), 0);
}

/* The ring is read again, hours later: minutes of it come at once, the oldest first. */
static void test_a_ring_that_is_read_again(void **state)
{
	struct printk_clock clock = {0};
	uint64_t now_us = 9 * HOUR;

	(void)state;
	learn(&clock, HOUR, 0);
	for (uint64_t kernel_us = HOUR / 2; kernel_us <= HOUR; kernel_us += 10 * S) {
		printk_clock_learn(&clock, kernel_us, now_us += 1000);
		assert_in_range(age_us(&clock, kernel_us, now_us), 7 * HOUR, 9 * HOUR);
	}
}

static void test_a_clock_that_runs_slowly_is_followed(void **state)
{
	struct printk_clock clock = {0};

	(void)state;
	for (uint64_t raw_us = S; raw_us < 2000 * HOUR; raw_us += HOUR) {
		uint64_t kernel_us = raw_us - raw_us / 6000;

		printk_clock_learn(&clock, kernel_us, raw_us);
		assert_in_range(age_us(&clock, kernel_us, raw_us), 0, 1000);
		assert_in_range(age_us(&clock, kernel_us - 60 * S, raw_us), 57 * S, 60 * S + 1000);
	}
}

static void test_a_clock_that_runs_ahead_is_followed(void **state)
{
	struct printk_clock clock = {0};

	(void)state;
	learn(&clock, HOUR, -(int64_t)(500 * S)); /* it went on while the machine slept */
	assert_int_equal(age_us(&clock, HOUR + 500 * S, HOUR), 0);
	assert_int_equal(age_us(&clock, HOUR + 440 * S, HOUR), 60 * S);
}

/* A virtual machine that was paused, where one of the clocks went on: what is new looks old, for
 * two minutes at most. */
static void test_a_clock_that_stood_still_is_believed_soon(void **state)
{
	struct printk_clock clock = {0};
	uint64_t now_us = 2 * HOUR;

	(void)state;
	learn(&clock, HOUR - S, 0);
	learn(&clock, now_us, 1800 * S);
	assert_in_range(age_us(&clock, now_us - 1800 * S, now_us), 1799 * S, 1800 * S);
	for (int i = 0; i < 13; i++)
		learn(&clock, now_us += 10 * S, 1800 * S);
	assert_int_equal(age_us(&clock, now_us - 1800 * S, now_us), 0);
	assert_int_equal(age_us(&clock, now_us - 1840 * S, now_us), 40 * S);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_at_first_both_began_with_the_machine),
		cmocka_unit_test(test_an_old_message_is_old),
		cmocka_unit_test(test_a_ring_that_is_read_again),
		cmocka_unit_test(test_a_clock_that_runs_slowly_is_followed),
		cmocka_unit_test(test_a_clock_that_runs_ahead_is_followed),
		cmocka_unit_test(test_a_clock_that_stood_still_is_believed_soon),
	};

	return cmocka_run_group_tests_name("printk-clock", tests, NULL, NULL);
}
