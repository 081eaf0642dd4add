#include "core/opening/ports.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka-all.h"

static void test_what_they_are(void **state)
{
	static const struct {
		const char *text;
		size_t n;
		const char *last, *numbers;
	} cases[] = {
		{"22", 1, "22/tcp", "22"},
		{"22/tcp, 53/udp", 2, "53/udp", "53"},
		{" 60000-61000/udp ", 1, "60000-61000/udp", "60000:61000"},
		{"22 60000-61000:UDP", 2, "60000-61000/udp", "60000:61000"},
		{"22-22", 1, "22/tcp", "22"},
		{"1-65535", 1, "1-65535/tcp", "1:65535"},
		{"1-21,23-65535,22/udp", 3, "22/udp", "22"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct port_range fault[2];
		struct port_set set;
		char text[PORT_RANGE_TEXT_MAX];

		assert_int_equal(port_set_parse(cases[i].text, &set, fault), 0);
		assert_false(set.is_all);
		assert_false(port_set_is_empty(&set));
		assert_int_equal(set.n_ranges, cases[i].n);
		assert_string_equal(port_range_format(&set.ranges[set.n_ranges - 1], text),
				    cases[i].last);
		assert_string_equal(port_range_numbers(&set.ranges[set.n_ranges - 1], ':', text),
				    cases[i].numbers);
	}
}

static void test_all(void **state)
{
	struct port_range fault[2];
	struct port_set set;

	(void)state;
	assert_int_equal(port_set_parse(" All", &set, fault), 0);
	assert_true(set.is_all);
	assert_int_equal(set.n_ranges, 0);
	assert_false(port_set_is_empty(&set));
}

static void test_which_are_among_them(void **state)
{
	static const struct {
		struct step port;
		bool has;
	} cases[] = {
		{{19, IPPROTO_TCP}, false}, {{20, IPPROTO_TCP}, true},	{{30, IPPROTO_TCP}, true},
		{{31, IPPROTO_TCP}, false}, {{25, IPPROTO_UDP}, false}, {{53, IPPROTO_UDP}, true},
	};
	struct port_range fault[2];
	struct port_set set;

	(void)state;
	assert_int_equal(port_set_parse("20-30, 53/udp", &set, fault), 0);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_int_equal(port_set_has(&set, &cases[i].port), cases[i].has);
	assert_int_equal(port_set_parse("all", &set, fault), 0);
	assert_true(port_set_has(&set, &cases[0].port));
}

static void test_what_two_have_in_common(void **state)
{
	static const struct {
		const char *a, *b, *common;
	} cases[] = {
		{"22", "22", "22/tcp"},
		{"22", "22/udp", NULL},
		{"20-30", "25-40", "25-30/tcp"},
		{"25-40", "20-30", "25-30/tcp"},
		{"1-9, 53/udp", "20, 50-60/udp", "53/udp"},
		{"1-9", "10-19", NULL},
		{"all", "53/udp 22", "53/udp"},
		{"22", "all", "22/tcp"},
		{"all", "all", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct port_range fault[2], common;
		char text[PORT_RANGE_TEXT_MAX];
		struct port_set a, b;

		assert_int_equal(port_set_parse(cases[i].a, &a, fault), 0);
		assert_int_equal(port_set_parse(cases[i].b, &b, fault), 0);
		assert_int_equal(port_set_common(&a, &b, &common), cases[i].common != NULL);
		if (cases[i].common)
			assert_string_equal(port_range_format(&common, text), cases[i].common);
	}
}

static void test_what_they_are_not(void **state)
{
	static const struct {
		const char *text;
		int r;
	} cases[] = {
		{"", -EINVAL},
		{" , ", -EINVAL},
		{"0", -EINVAL},
		{"0-5", -EINVAL},
		{"5-65536", -EINVAL},
		{"65536-70000", -EINVAL},
		{"5-", -EINVAL},
		{"-5", -EINVAL},
		{"1-2-3", -EINVAL},
		{"20/tcp-30/tcp", -EINVAL},
		{"20:30", -EINVAL},
		{"20 - 30", -EINVAL},
		{"22/icmp", -EINVAL},
		{"all/udp", -EINVAL},
		{"alles", -EINVAL},
		{"all, all", -EINVAL},
		{"all 22", -EINVAL},
		{"22 all", -EINVAL},
		{"00000000000000000022", -EINVAL},
		{"30-20", -ERANGE},
		{"22, 22/tcp", -EEXIST},
		{"20-30 30-40", -EEXIST},
		{"20-30 1-20", -EEXIST},
		{"20-30 25", -EEXIST},
		{"25/udp 20-30/udp", -EEXIST},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct port_range fault[2];
		struct port_set set = {.n_ranges = 77};

		if (port_set_parse(cases[i].text, &set, fault) != cases[i].r)
			fail_msg("%s", cases[i].text);
		assert_int_equal(set.n_ranges, 77);
	}
}

static void test_faults_are_named(void **state)
{
	struct port_range fault[2];
	struct port_set set;
	char text[PORT_RANGE_TEXT_MAX];

	(void)state;
	assert_int_equal(port_set_parse("22 30-20/udp", &set, fault), -ERANGE);
	assert_string_equal(port_range_format(&fault[0], text), "30-20/udp");
	assert_int_equal(port_set_parse("22 30-40 35-50", &set, fault), -EEXIST);
	assert_string_equal(port_range_format(&fault[0], text), "35-50/tcp");
	assert_string_equal(port_range_format(&fault[1], text), "30-40/tcp");
}

static void test_as_many_as_there_may_be(void **state)
{
	char text[PORT_RANGES_MAX * 8 + 8] = "";
	struct port_range fault[2];
	struct port_set set;

	(void)state;
	for (unsigned i = 1; i <= PORT_RANGES_MAX; i++)
		sprintf(text + strlen(text), "%u,", i);
	assert_int_equal(port_set_parse(text, &set, fault), 0);
	assert_int_equal(set.n_ranges, PORT_RANGES_MAX);
	strcat(text, "9999");
	assert_int_equal(port_set_parse(text, &set, fault), -E2BIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_they_are),
		cmocka_unit_test(test_all),
		cmocka_unit_test(test_which_are_among_them),
		cmocka_unit_test(test_what_two_have_in_common),
		cmocka_unit_test(test_what_they_are_not),
		cmocka_unit_test(test_faults_are_named),
		cmocka_unit_test(test_as_many_as_there_may_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
