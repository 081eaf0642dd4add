#include "audit/ratelimit.h"

#include <string.h>

#include "cmocka-all.h"

#define T0 UINT64_C(1000000000)

static void test_a_few_at_once_and_then_now_and_then(void **state)
{
	struct ratelimit limit = {0};
	uint64_t dropped = 99;

	(void)state;
	for (int i = 0; i < LIMIT_BURST; i++) {
		assert_true(ratelimit_take(&limit, "ssh", "alice", T0, &dropped));
		assert_int_equal(dropped, 0);
	}
	for (int i = 0; i < 1000; i++)
		assert_false(
			ratelimit_take(&limit, "ssh", "alice", T0 + LIMIT_REFILL_US - 1, &dropped));
	/* What others cause is counted for itself. */
	assert_true(ratelimit_take(&limit, "ssh", "bob", T0, &dropped));
	assert_true(ratelimit_take(&limit, "web", "alice", T0, &dropped));
	assert_true(ratelimit_take(&limit, "", "", T0, &dropped));
	assert_int_equal(dropped, 0);
	assert_true(ratelimit_take(&limit, "ssh", "alice", T0 + LIMIT_REFILL_US, &dropped));
	assert_int_equal(dropped, 1000);
	assert_false(ratelimit_take(&limit, "ssh", "alice", T0 + LIMIT_REFILL_US, &dropped));
	assert_true(ratelimit_take(&limit, "ssh", "alice", T0 + 2 * LIMIT_REFILL_US, &dropped));
	assert_int_equal(dropped, 1);
}

/* Anybody can cause strays without end: no other refusal shares their counter, whatever the seed.
 */
static void test_strays_silence_nobody(void **state)
{
	uint64_t dropped;

	(void)state;
	for (uint64_t seed = 0; seed < 1000; seed++) {
		struct ratelimit limit = {.seed = seed * UINT64_C(0x9e3779b97f4a7c15)};

		for (int i = 0; i < LIMIT_BURST; i++)
			assert_true(ratelimit_take(&limit, "", "", T0, &dropped));
		assert_false(ratelimit_take(&limit, "", "", T0, &dropped));
		assert_true(ratelimit_take(&limit, "ssh", "alice", T0, &dropped));
	}
}

static void test_after_a_while_all_is_forgotten(void **state)
{
	struct ratelimit limit = {0};
	uint64_t dropped, later_us = T0 + LIMIT_BURST * LIMIT_REFILL_US;

	(void)state;
	for (int i = 0; i < LIMIT_BURST; i++)
		assert_true(ratelimit_take(&limit, "ssh", "alice", T0, &dropped));
	for (int i = 0; i < LIMIT_BURST; i++)
		assert_true(ratelimit_take(&limit, "ssh", "alice", later_us, &dropped));
	assert_false(ratelimit_take(&limit, "ssh", "alice", later_us, &dropped));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_few_at_once_and_then_now_and_then),
		cmocka_unit_test(test_strays_silence_nobody),
		cmocka_unit_test(test_after_a_while_all_is_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
