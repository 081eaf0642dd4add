#include "util/timestamp.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "cmocka-all.h"

#define S UINT64_C(1000000)

/* Berlin: 2026-11-22 21:00:00 local is 20:00:00 UTC; summer time is an hour further east. */
static const char berlin[] = "CET-1CEST,M3.5.0,M10.5.0/3";

#define THEN_S UINT64_C(1795377600)
#define NOW_S  (THEN_S + 17)

static const struct {
	const char *text;
	int result;
	uint64_t s;
} cases[] = {
	{"now", 0, NOW_S},
	{"today", 0, THEN_S - 21 * 3600},
	{"yesterday", 0, THEN_S - 45 * 3600},
	{"2026-11-22 21:00:30", 0, THEN_S + 30},
	{"2026-11-22T21:00:30", 0, THEN_S + 30},
	{"2026-11-22 21:00", 0, THEN_S},
	{"2026-11-22T21:00", 0, THEN_S},
	{"2026-11-22", 0, THEN_S - 21 * 3600},
	{"2026-11-22 21:00:30 CET", 0, THEN_S + 30},
	{"2026-07-01 00:00 CEST", 0, 1782856800},
	{"2026-11-22 20:00:30 UTC", 0, THEN_S + 30},
	{"2026-11-22 UTC", 0, THEN_S - 20 * 3600},
	{"2026-11-22 21:00:30 PST", -EINVAL, 0},
	{"2026-11-22 21:00:30 ", -EINVAL, 0},
	{"2026-11-22 21:00:30 CET ", -EINVAL, 0},
	{"UTC", -EINVAL, 0},
	{"21:00 UTC", -EINVAL, 0},
	{"2026-11-22                              21:00:30", -EINVAL, 0},
	{"2026-07-01 00:00", 0, 1782856800},
	{"21:00", 0, THEN_S},
	{"00:00:01", 0, THEN_S - 21 * 3600 + 1},
	{"@1700000000", 0, 1700000000},
	{"@0", 0, 0},
	{"@999999999999", 0, 999999999999},
	{"-1h", 0, NOW_S - 3600},
	{"-1h 30min", 0, NOW_S - 5400},
	{"-90", 0, NOW_S - 90},
	{"-0", 0, NOW_S},
	{"-100y", 0, 0},
	{"", -EINVAL, 0},
	{" ", -EINVAL, 0},
	{"-", -EINVAL, 0},
	{"--1h", -EINVAL, 0},
	{"-1 parsec", -EINVAL, 0},
	{"+1h", -EINVAL, 0},
	{"@", -EINVAL, 0},
	{"@-1", -EINVAL, 0},
	{"@1.5", -EINVAL, 0},
	{"@1700000000x", -EINVAL, 0},
	{"@1000000000000", -EINVAL, 0},
	{"tomorrow", -EINVAL, 0},
	{"Today", -EINVAL, 0},
	{"todayx", -EINVAL, 0},
	{"25:00", -EINVAL, 0},
	{"21:60", -EINVAL, 0},
	{"21", -EINVAL, 0},
	{"2026-13-01", -EINVAL, 0},
	{"2026-11-32", -EINVAL, 0},
	{"2026-11-31", -EINVAL, 0},
	{"2026-02-29", -EINVAL, 0},
	{"2026-11-22 21:00:30Z", -EINVAL, 0},
	{"2026-11-22 21:00:30.5", -EINVAL, 0},
	{"1926-11-22", -EINVAL, 0},
	{"22.11.2026", -EINVAL, 0},
};

static void test_parse(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t us = 0;
		int r = timestamp_parse(cases[i].text, NOW_S * S, &us);

		if (r != cases[i].result || us != cases[i].s * S)
			fail_msg("\"%s\": %d, %" PRIu64 " us", cases[i].text, r, us);
	}
}

/* The first of a month, and the morning after the clock was turned back. */
static void test_yesterday(void **state)
{
	uint64_t us;

	(void)state;
	assert_int_equal(timestamp_parse("yesterday", UINT64_C(1772323200) * S, &us), 0);
	assert_true(us == UINT64_C(1772233200) * S);
	assert_int_equal(timestamp_parse("yesterday", UINT64_C(1793001600) * S, &us), 0);
	assert_true(us == UINT64_C(1792879200) * S);
}

static void test_format(void **state)
{
	char text[TIMESTAMP_TEXT_MAX];

	(void)state;
	assert_string_equal(timestamp_format((THEN_S + 30) * S, text), "2026-11-22 21:00:30 CET");
	assert_string_equal(timestamp_format(UINT64_C(1782856800) * S, text),
			    "2026-07-01 00:00:00 CEST");
	assert_string_equal(timestamp_format_utc((THEN_S + 30) * S, text),
			    "2026-11-22 20:00:30 UTC");
	assert_string_equal(timestamp_format_iso((THEN_S + 30) * S + 42, text),
			    "2026-11-22T20:00:30.000042Z");
	assert_string_equal(timestamp_format(0, text), "-");
	assert_string_equal(timestamp_format_iso(0, text), "1970-01-01T00:00:00.000000Z");
	/* Far beyond what a year can be. */
	assert_non_null(timestamp_format_iso(UINT64_MAX, text));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_yesterday),
		cmocka_unit_test(test_format),
	};

	setenv("TZ", berlin, 1);
	return cmocka_run_group_tests_name("timestamp", tests, NULL, NULL);
}
