#include "cli/replay/batches.h"

#include <stdio.h>
#include <string.h>

#include "cmocka-all.h"
#include "core/record.h"

/* Counts what comes, in the other thread; only looked at when that has ended. */
struct count {
	uint64_t n;
	bool wrong;
};

/* Record number n says so, in a text whose length varies. */
static size_t write_text(char text[static 8192], uint64_t n)
{
	size_t length = n % 97 == 0 ? 8191 : n % 61;

	memset(text, (int)('a' + n % 26), length);
	return length;
}

static void check(struct count *count, const struct record *record)
{
	char text[8192];
	size_t length = write_text(text, count->n);

	count->wrong |= record->kernel_us != count->n || record->length != length ||
			memcmp(record->text, text, length) != 0;
	count->n++;
}

static void on_records(void *userdata, const struct record *records, size_t n)
{
	for (size_t i = 0; i < n; i++)
		check(userdata, &records[i]);
}

static void test_all_come_in_their_order(void **state)
{
	static const uint64_t amounts[] = {0, 1, 511, 512, 513, 5000, 100000};

	(void)state;
	for (size_t i = 0; i < sizeof amounts / sizeof amounts[0]; i++) {
		struct count count = {0};
		struct batches *batches;
		char text[8192];

		assert_int_equal(batches_new(on_records, &count, &batches), 0);
		for (uint64_t n = 0; n < amounts[i]; n++) {
			struct record record = {
				.text = text,
				.length = write_text(text, n),
				.kernel_us = n,
			};

			batches_put(batches, &record);
		}
		memset(text, 0, sizeof text);
		assert_null(batches_free(batches));
		assert_true(count.n == amounts[i]);
		assert_false(count.wrong);
	}
	assert_null(batches_free(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_come_in_their_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
