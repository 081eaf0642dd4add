/* Whose a grant is: who is put in, who gives way, and what of it is kept in a file. */
#include "grant/holders.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka-all.h"

static void put(struct holders *holders, const char *user, uint64_t deadline_us)
{
	struct visitor visitor = {.user = user};

	assert_int_equal(holders_put(holders, &visitor, deadline_us), 0);
}

static void expect(const struct holders *holders, const char *expected)
{
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);

	assert_non_null(file);
	holders_write(holders, file);
	assert_int_equal(fclose(file), 0);
	assert_string_equal(text, expected);
	free(text);
}

static void test_a_second_knock(void **state)
{
	struct visitor visitor = {.user = "alice", .stamp_us = 7};
	struct holders holders = {0};

	(void)state;
	put(&holders, "bob", 5);
	assert_int_equal(holders_put(&holders, &visitor, 9), 0);
	put(&holders, "bob", 8);
	expect(&holders, "alice:9:7,bob:8");
	/* Neither the deadline nor the time of the knock goes back. */
	visitor.stamp_us = 3;
	assert_int_equal(holders_put(&holders, &visitor, 4), 0);
	expect(&holders, "bob:8,alice:9:7");
	/* Another key of theirs is another holder. */
	visitor.key.bytes[15] = 0x2a;
	assert_int_equal(holders_put(&holders, &visitor, 4), 0);
	expect(&holders, "bob:8,alice:9:7,alice/0000000000000000000000000000002a:4:3");
	assert_string_equal(holders_latest(&holders)->user, "alice");
	holders_done(&holders);
}

static void test_who_gives_way(void **state)
{
	struct visitor foreign = {.user = "carol@other"};
	struct holders holders = {0};
	char user[16];

	(void)state;
	/* The earliest of ours; of others', that before. */
	for (unsigned i = 0; i < HOLDERS_MAX; i++) {
		snprintf(user, sizeof user, "user%u", i);
		put(&holders, user, i == 3 ? 5 : 10 + i);
	}
	assert_int_equal(holders_put(&holders, &foreign, 99), -ENOBUFS);
	put(&holders, "late", 50);
	assert_int_equal(holders.n, HOLDERS_MAX);
	assert_null(holders_find_person(&holders, "user3"));
	assert_non_null(holders_find_person(&holders, "user0"));
	holders_done(&holders);

	for (unsigned i = 0; i < HOLDERS_MAX; i++) {
		snprintf(user, sizeof user, i % 5 == 2 ? "user%u@other" : "user%u", i);
		put(&holders, user, i == 7 ? 60 : 100 - i);
	}
	put(&holders, "late", 1);
	assert_null(holders_find_person(&holders, "user7"));
	assert_int_equal(holders_put(&holders, &foreign, 99), 0);
	assert_null(holders_find_person(&holders, "user12"));
	assert_non_null(holders_find_person(&holders, "user2"));
	assert_non_null(holders_find_person(&holders, "late"));
	holders_done(&holders);
}

static void test_one_person_at_many_hosts(void **state)
{
	struct holders holders = {0};

	(void)state;
	assert_null(holders_latest(&holders));
	assert_null(holders_latest_own(&holders));
	put(&holders, "alice@one", 9);
	put(&holders, "alicia", 11);
	put(&holders, "alice", 5);
	put(&holders, "alice@two", 7);
	put(&holders, "", 3);
	assert_string_equal(holders_find_person(&holders, "alice")->user, "alice@one");
	assert_string_equal(holders_find_person(&holders, "alice@three")->user, "alice@one");
	assert_string_equal(holders_find_person(&holders, "@x")->user, "");
	assert_null(holders_find_person(&holders, "ali"));
	assert_string_equal(holders_latest(&holders)->user, "alicia");
	assert_string_equal(holders_latest_own(&holders)->user, "alicia");
	put(&holders, "bob@two", 11);
	assert_string_equal(holders_latest(&holders)->user, "bob@two");
	assert_string_equal(holders_latest_own(&holders)->user, "alicia");
	holders_done(&holders);
}

static void test_what_is_taken_back(void **state)
{
	struct holders holders = {0};

	(void)state;
	put(&holders, "alice", 5);
	holders_ask(&holders);
	holders_keep(&holders);
	put(&holders, "alice", 9);
	put(&holders, "bob", 9);
	holders_ask(&holders);
	holders_refuse(&holders);
	holders_revert(&holders);
	expect(&holders, "alice:5");
	holders_done(&holders);
}

static void test_what_is_worth_a_line(void **state)
{
	struct visitor with_key = {.user = "a", .key = {{1}}}, with_stamp = {.stamp_us = 1};
	struct holders holders = {0};

	(void)state;
	assert_false(holders_need_saving(&holders));
	put(&holders, "a", 1);
	assert_false(holders_need_saving(&holders));
	put(&holders, "b", 1);
	assert_true(holders_need_saving(&holders));
	holders_done(&holders);
	assert_int_equal(holders_put(&holders, &with_key, 1), 0);
	assert_true(holders_need_saving(&holders));
	holders_done(&holders);
	assert_int_equal(holders_put(&holders, &with_stamp, 1), 0);
	assert_true(holders_need_saving(&holders));
	holders_done(&holders);
}

#define ID "00112233445566778899aabbccddeeff"

static void test_parsing(void **state)
{
	static const struct {
		const char *text;
		bool is_good;
	} cases[] = {
		{"alice:5", true},
		{":5", true},
		{"alice:5:6", true},
		{"alice/" ID ":5:6,alice:7,alice@host:8,@host:9", true},
		{"", false},
		{"alice", false},
		{"alice:", false},
		{"alice:x", false},
		{"alice:5:", false},
		{"alice:5:x", false},
		{"alice:5:6:7", false},
		{"alice:5,", false},
		{"alice:5,alice:6", false},
		{"alice/" ID ":5,alice/" ID ":6", false},
		{"a b:5", false},
		{"alice@:5", false},
		{"alice/:5", false},
		{"alice/0:5", false},
		{"alice/" ID "0:5", false},
		{"alice/X0112233445566778899aabbccddeeff:5", false},
		{"alice/00112233445566778899AABBCCDDEEFF:5", false},
	};
	char text[32 * HOLDERS_MAX] = "";
	struct holders holders = {0};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		int r = holders_parse(cases[i].text, &holders);

		if (r != (cases[i].is_good ? 0 : -EINVAL))
			fail_msg("\"%s\": %d", cases[i].text, r);
		if (r < 0)
			continue;
		expect(&holders, cases[i].text);
		holders_done(&holders);
	}
	/* One too many. */
	for (unsigned i = 0; i < HOLDERS_MAX; i++)
		snprintf(text + strlen(text), sizeof text - strlen(text), "%suser%u:1",
			 i > 0 ? "," : "", i);
	assert_int_equal(holders_parse(text, &holders), 0);
	holders_done(&holders);
	strcat(text, ",more:1");
	assert_int_equal(holders_parse(text, &holders), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_second_knock),
		cmocka_unit_test(test_who_gives_way),
		cmocka_unit_test(test_one_person_at_many_hosts),
		cmocka_unit_test(test_what_is_taken_back),
		cmocka_unit_test(test_what_is_worth_a_line),
		cmocka_unit_test(test_parsing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
