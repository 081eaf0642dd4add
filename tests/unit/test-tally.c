#include "cli/replay/tally.h"

#include <stdio.h>
#include <string.h>

#include "cmocka-all.h"
#include "core/address.h"

static void add(struct tally *tally, size_t door, const char *source)
{
	struct address address;

	assert_int_equal(address_parse(source, &address), 0);
	assert_int_equal(tally_add(tally, door, &address), 0);
}

static void append(void *userdata, const struct tally_item *item, size_t n)
{
	char *text = userdata, source[ADDRESS_TEXT_MAX];

	sprintf(text + strlen(text), "%zu %s x%zu\n", item->door,
		address_format(&item->source, source), n);
}

static void test_nothing(void **state)
{
	struct tally tally = {0};
	char text[64] = "";

	(void)state;
	tally_each(&tally, append, text);
	assert_string_equal(text, "");
	tally_done(&tally);
}

static void test_counts_by_door_and_source(void **state)
{
	struct tally tally = {0};
	char text[512] = "";

	(void)state;
	add(&tally, 1, "192.0.2.2");
	add(&tally, 0, "2001:db8::1");
	add(&tally, 1, "192.0.2.1");
	add(&tally, 0, "192.0.2.2");
	add(&tally, 1, "192.0.2.2");
	add(&tally, 1, "192.0.2.2");
	tally_each(&tally, append, text);
	assert_string_equal(text, "0 192.0.2.2 x1\n"
				  "0 2001:db8::1 x1\n"
				  "1 192.0.2.1 x1\n"
				  "1 192.0.2.2 x3\n");
	tally_done(&tally);
	assert_int_equal(tally.n_items, 0);
}

static void test_grows(void **state)
{
	struct tally tally = {0};
	char text[512] = "";

	(void)state;
	for (size_t i = 0; i < 1000; i++)
		add(&tally, i % 3, "192.0.2.1");
	tally_each(&tally, append, text);
	assert_string_equal(text, "0 192.0.2.1 x334\n1 192.0.2.1 x333\n2 192.0.2.1 x333\n");
	tally_done(&tally);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_counts_by_door_and_source),
		cmocka_unit_test(test_grows),
	};

	return cmocka_run_group_tests_name("tally", tests, NULL, NULL);
}
