/* The tokens that wait for a port: what is taken, what stays, what gives way. */
#include "core/keyed/pending.h"

#include <stdlib.h>

#include "cmocka-all.h"

/* With this key, no bucket gets more of test_each_is_taken_once()'s than it has places. */
static const uint8_t key[PENDING_KEY_BYTES] = {1, 2, 3};

static struct pending_tokens *make(void)
{
	struct pending_tokens *table = NULL;

	assert_int_equal(pending_tokens_new(key, &table), 0);
	return table;
}

static struct pending_token waiting(unsigned i)
{
	return (struct pending_token){
		.source = {{0x20, 1, 0xd, 0xb8, [14] = (uint8_t)(i >> 8), (uint8_t)i}},
		.step = 1000 + i,
		.row = i,
		.port = (uint16_t)(20000 + i)};
}

/* Whether one waits for the port of the i-th, and it is the i-th. */
static bool take(struct pending_tokens *table, unsigned i)
{
	struct pending_token wanted = waiting(i), taken = {0};

	if (!pending_tokens_take(table, &wanted.source, wanted.port, &taken))
		return false;
	assert_int_equal(taken.row, i);
	assert_int_equal(taken.step, wanted.step);
	return true;
}

/* The oldest first, so that each is taken from among others; those that are left stay. */
static void test_each_is_taken_once(void **state)
{
	enum { N = 512 };
	struct pending_tokens *table = make();

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		struct pending_token token = waiting(i);

		pending_tokens_put(table, &token);
		pending_tokens_put(table, &token);
	}
	for (unsigned i = 0; i < N; i++)
		assert_true(take(table, i));
	for (unsigned i = 0; i < N; i++)
		assert_false(take(table, i));
	pending_tokens_free(table);
}

/* Of one source and port there is one bucket, with places for four. */
static void test_the_oldest_gives_way(void **state)
{
	struct pending_tokens *table = make();
	struct pending_token token = waiting(0), taken;

	(void)state;
	for (token.row = 0; token.row < 5; token.row++)
		pending_tokens_put(table, &token);
	for (unsigned row = 5; row-- > 1;) {
		assert_true(pending_tokens_take(table, &token.source, token.port, &taken));
		assert_int_equal(taken.row, row);
	}
	assert_false(pending_tokens_take(table, &token.source, token.port, &taken));
	pending_tokens_free(table);
}

static void test_it_is_the_source_and_the_port(void **state)
{
	struct pending_tokens *table = make();
	struct pending_token token = waiting(1), taken;
	struct address other = waiting(2).source;

	(void)state;
	assert_false(pending_tokens_take(table, &token.source, 0, &taken)); /* of an empty place */
	pending_tokens_put(table, &token);
	assert_false(pending_tokens_take(table, &other, token.port, &taken));
	assert_false(pending_tokens_take(table, &token.source, (uint16_t)(token.port + 1), &taken));
	assert_true(take(table, 1));
	pending_tokens_free(table);
}

/* Neighbours do not crowd one another out, even if they wait for one port. */
static void test_every_bit_of_a_source_counts(void **state)
{
	enum { N = 256 };
	struct pending_tokens *table = make();
	struct pending_token token = waiting(0), taken;

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		token.source = waiting(i).source;
		pending_tokens_put(table, &token);
	}
	for (unsigned i = 0; i < N; i++) {
		token.source = waiting(i).source;
		assert_true(pending_tokens_take(table, &token.source, token.port, &taken));
	}
	pending_tokens_free(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_is_taken_once),
		cmocka_unit_test(test_the_oldest_gives_way),
		cmocka_unit_test(test_it_is_the_source_and_the_port),
		cmocka_unit_test(test_every_bit_of_a_source_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
