#include "util/duration.h"

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define S UINT64_C(1000000)

struct parse_case {
	const char *text;
	int result;
	uint64_t us;
};

static const struct parse_case parse_cases[] = {
	{"30", 0, 30 * S},
	{"0", 0, 0},
	{"10s", 0, 10 * S},
	{"  10 s\t", 0, 10 * S},
	{"5min", 0, 300 * S},
	{"5m", 0, 300 * S},
	{"1h", 0, 3600 * S},
	{"1h 30min", 0, 5400 * S},
	{"1h30min", 0, 5400 * S},
	{"1h30", 0, 3630 * S},
	{"30min 1h", 0, 5400 * S},
	{"500ms", 0, S / 2},
	{"500msec", 0, S / 2},
	{"2d", 0, 172800 * S},
	{"1w", 0, 604800 * S},
	{"1M", 0, 2629800 * S},
	{"1month", 0, 2629800 * S},
	{"1y", 0, 31557600 * S},
	{"7us", 0, 7},
	{"7usec", 0, 7},
	{"7\u00b5s", 0, 7},
	{"7\u03bcs", 0, 7},
	{"2 seconds", 0, 2 * S},
	{"2sec 2second", 0, 4 * S},
	{"2minutes 1minute", 0, 180 * S},
	{"2hours 1hour 1hr", 0, 14400 * S},
	{"2days 1day", 0, 259200 * S},
	{"2weeks 1week", 0, 1814400 * S},
	{"2months", 0, 5259600 * S},
	{"2years 1year", 0, 94672800 * S},
	{"1.5s", 0, 3 * S / 2},
	{".5s", 0, S / 2},
	{"1.5", 0, 3 * S / 2},
	{"0.0000019s", 0, 1},
	{"1.5h", 0, 5400 * S},
	{"12.34s.56", 0, 12900000},
	{"12.34 .56", 0, 12900000},
	{"0.00000000000000000000000000000000000000000001s", 0, 0},
	{"18446744073709551615us", 0, UINT64_MAX},
	{"", -EINVAL, 0},
	{"  ", -EINVAL, 0},
	{"s", -EINVAL, 0},
	{".", -EINVAL, 0},
	{"5.", -EINVAL, 0},
	{"5.s", -EINVAL, 0},
	{"12.34.56", -EINVAL, 0},
	{"10 parsecs", -EINVAL, 0},
	{"10S", -EINVAL, 0},
	{"10sx", -EINVAL, 0},
	{"1h,2min", -EINVAL, 0},
	{"0x10", -EINVAL, 0},
	{"1e3", -EINVAL, 0},
	{"infinity", -EINVAL, 0},
	{"-1s", -ERANGE, 0},
	{"1h -1s", -ERANGE, 0},
	{"18446744073709551616us", -ERANGE, 0},
	{"18446744073709552s", -ERANGE, 0},
	{"18446744073709551615us 1us", -ERANGE, 0},
	{"18446744073709551s 551615.9ms 1ms", -ERANGE, 0},
	{"99999999999999999999999999", -ERANGE, 0},
	{"584943y", -ERANGE, 0},
};

static void test_parse(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(parse_cases) / sizeof(parse_cases[0]); i++) {
		const struct parse_case *c = &parse_cases[i];
		uint64_t us = 0;
		int r = duration_parse(c->text, &us);

		if (r != c->result || us != c->us)
			fail_msg("\"%s\": %d, %" PRIu64 " us", c->text, r, us);
	}
}

static void test_format(void **state)
{
	static const struct {
		uint64_t us;
		const char *text;
	} cases[] = {
		{0, "0s"},
		{30 * S, "30s"},
		{5400 * S, "1h 30min"},
		{3 * S / 2, "1s 500ms"},
		{86400 * S, "1d"},
		{2147483 * S, "24d 20h 31min 23s"},
		{1, "1us"},
		{UINT64_MAX, "213503982d 8h 1min 49s 551ms 615us"},
	};
	char text[DURATION_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t us = 0;

		assert_string_equal(duration_format(cases[i].us, text), cases[i].text);
		assert_int_equal(duration_parse(text, &us), 0);
		assert_true(us == cases[i].us);
	}
}

static void test_round(void **state)
{
	static const struct {
		uint64_t us;
		const char *text;
	} cases[] = {
		{0, "0s"},
		{499999, "0s"},
		{999999, "1s"},
		{59499999, "59s"},
		{60000000, "1min"},
		{61000000, "1min 1s"},
		{3600000000, "1h"},
		{3661000000, "1h 1min"},
		{86399000000, "23h 59min"},
		{90061000000, "1d 1h"},
		{UINT64_C(86400000000) * 400, "400d"},
	};
	char text[DURATION_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_string_equal(duration_round(cases[i].us, text), cases[i].text);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_round),
	};

	return cmocka_run_group_tests_name("duration", tests, NULL, NULL);
}
