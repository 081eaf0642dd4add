#include "input/input.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cmocka-all.h"
#include "core/record.h"
#include "support.h"

#define S UINT64_C(1000000)

enum { MEBIBYTE = 1 << 20 };

struct fixture {
	char *directory, *path;
};

static int set_up(void **state)
{
	static struct fixture fixture;

	fixture.directory = support_directory();
	fixture.path = support_path(fixture.directory, "log");
	*state = &fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	free(fixture->path);
	support_remove(fixture->directory);
	return 0;
}

static struct input *open_bounded(const struct fixture *fixture, const void *data, size_t length,
				  uint64_t since_us, uint64_t until_us)
{
	struct input *input = NULL;

	support_write(fixture->path, data, length);
	assert_int_equal(input_new_text(fixture->path, NULL, since_us, until_us, &input), 0);
	assert_int_equal(input_listen(input, NULL, 0), 0);
	return input;
}

static struct input *open_text(const struct fixture *fixture, const char *text)
{
	return open_bounded(fixture, text, strlen(text), 0, UINT64_MAX);
}

static struct record next(struct input *input)
{
	struct record record;

	assert_int_equal(input_next(input, &record), INPUT_RECORD);
	return record;
}

static void expect_text(const struct record *record, const char *text)
{
	assert_int_equal(record->length, strlen(text));
	assert_memory_equal(record->text, text, record->length);
}

static void expect_drained(struct input *input)
{
	struct record record;

	assert_int_equal(input_next(input, &record), INPUT_DRAINED);
	assert_int_equal(input_next(input, &record), INPUT_DRAINED);
}

static void test_times(void **state)
{
	struct input *input =
		open_text(*state, "bare\n"
				  "[   12.500000] dmesg\n"
				  "2026-11-22T20:00:00Z host kernel: syslog\n"
				  "2026-11-22T20:00:01Z host kernel: [   14.25] both\n");
	struct record record;

	record = next(input);
	expect_text(&record, "bare");
	assert_true(record.kernel_us == 0 && record.realtime_us == 0);
	record = next(input);
	expect_text(&record, "dmesg");
	assert_true(record.kernel_us == 12500000 && record.realtime_us == 0);
	record = next(input);
	expect_text(&record, "syslog");
	assert_true(record.realtime_us == 1795377600 * S);
	assert_true(record.kernel_us == record.realtime_us);
	record = next(input);
	expect_text(&record, "both");
	assert_true(record.realtime_us == 1795377601 * S && record.kernel_us == 14250000);
	assert_true(record.monotonic_us == 0);
	expect_drained(input);
	input_free(input);
}

/* Lines that say how long it has been since the one before, and lines without a time between. */
static void test_deltas(void **state)
{
	static const struct {
		const char *text;
		uint64_t kernel_us, realtime_us;
	} cases[] = {
		{"[   12.500000] a\n[  +0.250000] b\n", 12750000, 0},
		{"[   12.500000] a\nbare\n[<    0.250000>] b\n", 12750000, 0},
		{"[    0.000001] a\n[  +0.250000] b\n", 250001, 0},
		{"2026-11-22T20:00:00Z host kernel: a\n[  +0.250000] b\n[  +0.250000] c\n",
		 1795377600 * S + 500000, 1795377600 * S + 500000},
		{"0.000001 host kernel: a\n[  +0.250000] b\n", 250001, 250001},
		{"[Sun Nov 22 19:00:00 2026] a\n[Sun Nov 22 20:00:00 2026 <    0.250000>] b\n",
		 1795377600 * S, 1795377600 * S},
		{"[   12.500000] a\n[   13.000000 <    0.250000>] b\n", 13000000, 0},
		{"[  +0.250000] a\n", 250000, 0},
		{"2026-11-22T20:00:09Z host kernel: a\n2026-11-22T20:00:00Z host kernel: b\n",
		 1795377600 * S, 1795377600 * S},
		{"[   12.500000] a\n[  +0.250000 b\n", 0, 0},
		{"[   12.500000] a\n0.000001 [<    0.250000>] b\n", 1, 1},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct input *input = open_text(*state, cases[i].text);
		struct record record, last = {0};

		while (input_next(input, &record) == INPUT_RECORD)
			last = record;
		if (last.kernel_us != cases[i].kernel_us ||
		    last.realtime_us != cases[i].realtime_us)
			fail_msg("%" PRIu64 ", %" PRIu64 " after\n%s", last.kernel_us,
				 last.realtime_us, cases[i].text);
		input_free(input);
	}
}

static bool on_begins(void *userdata, const char *text, size_t length)
{
	(void)userdata;
	return length >= 7 && memcmp(text, "[knock]", 7) == 0;
}

static void on_unread(void *userdata, uint64_t line, const char *text, size_t length)
{
	char *seen = userdata;

	sprintf(seen + strlen(seen), "%" PRIu64 ":%.*s;", line, (int)length, text);
}

/* Lines without a message are told of by their numbers, if they can be of the time asked for. */
static void test_unread(void **state)
{
	static const char text[] = "a\n"
				   "[knock] b\n"
				   "2026-11-22T19:59:59Z c\n"
				   "2026-11-22T20:00:00Z d\n"
				   "[ 1.5] e\n";
	static const struct {
		uint64_t since_us;
		const char *seen;
	} cases[] = {
		{0, "1:a;3:2026-11-22T19:59:59Z c;4:2026-11-22T20:00:00Z d;5:[ 1.5] e;"},
		{1795377600 * S, "1:a;4:2026-11-22T20:00:00Z d;5:[ 1.5] e;"},
	};
	const struct fixture *fixture = *state;

	support_write(fixture->path, text, sizeof text - 1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char seen[256] = "";
		const struct text_messages messages = {
			.begins = on_begins, .unread = on_unread, .userdata = seen};
		struct input *input = NULL;
		struct record record;

		assert_int_equal(input_new_text(fixture->path, &messages, cases[i].since_us,
						UINT64_MAX, &input),
				 0);
		while (input_next(input, &record) == INPUT_RECORD)
			;
		assert_string_equal(seen, cases[i].seen);
		input_free(input);
	}
}

/* Lines are what they are, whatever is in them and however they end. */
static void test_line_ends(void **state)
{
	static const struct {
		const char *data;
		size_t length;
		const char *lines[4];
		size_t lengths[4];
	} cases[] = {
#define DATA(literal) literal, sizeof(literal) - 1
		{DATA(""), {NULL}, {0}},
		{DATA("\n"), {""}, {0}},
		{DATA("\n\n"), {"", ""}, {0, 0}},
		{DATA("a"), {"a"}, {1}},
		{DATA("a\nb"), {"a", "b"}, {1, 1}},
		{DATA("a\r\nb\r\n"), {"a", "b"}, {1, 1}},
		{DATA("\r\n"), {""}, {0}},
		{DATA("a\rb\r\r\n"), {"a\rb\r"}, {4}},
		{DATA("a\0b\n\0\nc"), {"a\0b", "\0", "c"}, {3, 1, 1}},
		{DATA("[   12.500000] a\0b\n"), {"a\0b"}, {3}},
		{DATA("[   12.5\0] a\n"), {"[   12.5\0] a"}, {12}},
		{DATA("\xff\xfe\n"), {"\xff\xfe"}, {2}},
		{DATA("\033[32m[   12.5] \033[0ma\033[1;31mb\033[m c\n"), {"ab c"}, {4}},
		{DATA("a\033[32m\n\033[\nb\033[1"), {"a", "", "b"}, {1, 0, 1}},
		{DATA("[   12.500000] a\n[   12.5\n"), {"a", "[   12.5"}, {1, 8}},
		{DATA("\033[>m<4\n"), {"<4"}, {2}},
		{DATA("\033[?25la[1mb\033[0 qc\n"), {"a[1mbc"}, {6}},
		{DATA("a\033\nb\033]c\n"), {"a\033", "b\033]c"}, {2, 4}},
#undef DATA
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct input *input =
			open_bounded(*state, cases[i].data, cases[i].length, 0, UINT64_MAX);

		for (size_t k = 0; k < 4 && cases[i].lines[k]; k++) {
			struct record record = next(input);

			assert_int_equal(record.length, cases[i].lengths[k]);
			assert_memory_equal(record.text, cases[i].lines[k], record.length);
		}
		expect_drained(input);
		input_free(input);
	}
}

/* A line that is too long stays too long to be one of the kernel's, and the next one is whole. */
static void test_long_line(void **state)
{
	static const char head[] = "[   12.500000] [knock] IN=";
	char *data = malloc(MEBIBYTE + 64);
	struct input *input;
	struct record record;

	assert_non_null(data);
	memset(data, 'x', MEBIBYTE);
	memcpy(data, head, sizeof head - 1);
	memcpy(data + MEBIBYTE, "\nnext\n", 7);
	input = open_bounded(*state, data, MEBIBYTE + 6, 0, UINT64_MAX);
	record = next(input);
	assert_in_range(record.length, 4096, MEBIBYTE);
	assert_memory_equal(record.text, "[knock] IN=", 11);
	record = next(input);
	expect_text(&record, "next");
	expect_drained(input);
	input_free(input);

	/* Without an end. */
	input = open_bounded(*state, data, MEBIBYTE, 0, UINT64_MAX);
	record = next(input);
	assert_in_range(record.length, 4096, MEBIBYTE);
	expect_drained(input);
	input_free(input);
	free(data);
}

/* The clock is put back at 3:00: what is written as an hour ago is later. */
static void test_the_hour_that_comes_twice(void **state)
{
	static const char text[] = "Oct 25 01:59:59 host kernel: a\n"
				   "Oct 25 02:59:59 host kernel: b\n"
				   "Oct 25 02:59:58 host kernel: in the wrong order\n"
				   "Oct 25 02:00:00 host kernel: c\n"
				   "Oct 25 02:00:01 host kernel: d\n"
				   "Oct 25 03:00:00 host kernel: e\n";
	static const uint64_t after_s[] = {0, 3600, 3599, 3601, 3602, 7201};
	const char *zone = getenv("TZ");
	char *before = zone ? strdup(zone) : NULL;
	struct input *input;
	uint64_t first_us = 0;

	setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
	tzset();
	input = open_text(*state, text);
	for (size_t i = 0; i < 6; i++) {
		struct record record = next(input);

		first_us = i == 0 ? record.realtime_us : first_us;
		assert_int_equal(record.realtime_us - first_us, after_s[i] * S);
	}
	expect_drained(input);
	input_free(input);
	before ? setenv("TZ", before, 1) : unsetenv("TZ");
	tzset();
	free(before);
}

static void test_bounds(void **state)
{
	static const char text[] = "bare\n"
				   "[   12.500000] dmesg\n"
				   "2026-11-22T19:59:59.999999Z host kernel: early\n"
				   "2026-11-22T20:00:00Z host kernel: first\n"
				   "2026-11-22T20:00:59.999999Z host kernel: last\n"
				   "2026-11-22T20:01:00Z host kernel: late\n";
	struct input *input;
	struct record record;

	input = open_bounded(*state, text, sizeof text - 1, 1795377600 * S, 1795377660 * S);
	record = next(input);
	expect_text(&record, "first");
	record = next(input);
	expect_text(&record, "last");
	expect_drained(input);
	input_free(input);

	input = open_bounded(*state, text, sizeof text - 1, 1795377660 * S, UINT64_MAX);
	record = next(input);
	expect_text(&record, "late");
	expect_drained(input);
	input_free(input);

	input = open_bounded(*state, text, sizeof text - 1, 0, 1795377600 * S);
	record = next(input);
	expect_text(&record, "early");
	expect_drained(input);
	input_free(input);

	input = open_bounded(*state, text, sizeof text - 1, 1, UINT64_MAX);
	record = next(input);
	expect_text(&record, "early");
	input_free(input);
}

/* Reads a line each and notes where another boot begins. */
static void expect_boots(void **state, const char *text, const char *expected)
{
	struct input *input = open_text(*state, text);
	char boots[64] = "";
	struct record record;
	uint32_t last = 0;

	for (size_t n = 0; input_next(input, &record) == INPUT_RECORD; n++) {
		assert_true(n < sizeof boots - 1);
		boots[n] = n > 0 && record.boot != last ? '|' : '.';
		boots[n + 1] = '\0';
		last = record.boot;
	}
	input_free(input);
	if (strcmp(boots, expected) != 0)
		fail_msg("%s instead of %s for\n%s", boots, expected, text);
}

static void test_boots(void **state)
{
	expect_boots(state,
		     "[    1.000000] a\n[  100.000000] b\n[    0.000000] c\n[    1.000000] d\n",
		     "..|.");
	/* Two processors may write in the wrong order. */
	expect_boots(state, "[  100.000000] a\n[   99.500000] b\n[  100.100000] c\n", "...");
	expect_boots(state, "[  100.000000] a\n[   99.000000] b\n", "..");
	expect_boots(state, "[  100.000000] a\n[   98.500000] b\n", ".|");
	expect_boots(state, "a\nb\n", "..");
	expect_boots(state,
		     "2026-11-22T20:00:00Z host kernel: a\n2026-11-22T20:01:00Z host kernel: b\n",
		     "..");
}

/* A log that others write to, too: only the kernel's own clock tells of a boot. */
static void test_boots_among_strangers(void **state)
{
	expect_boots(state, "[  100.000000] a\n\n[  101.000000] b\n", "...");
	expect_boots(state,
		     "2026-11-22T20:00:00Z host kernel: [  100.000000] a\n"
		     "2026-11-22T20:00:00Z host sshd[1]: b\n"
		     "2026-11-22T20:00:01Z host kernel: [  101.000000] c\n"
		     "2026-11-22T20:00:01Z host sshd[1]: d\n",
		     "....");
	expect_boots(state,
		     "2026-11-22T20:00:00Z host kernel: [  100.000000] a\n"
		     "2026-11-22T20:00:00Z host sshd[1]: b\n"
		     "2026-11-22T20:01:00Z host kernel: [    0.000000] c\n",
		     "..|");
}

static void test_no_file(void **state)
{
	const struct fixture *fixture = *state;
	struct input *input = NULL;
	struct record record;

	assert_int_equal(input_new_text(fixture->path, NULL, 0, UINT64_MAX, &input), -ENOENT);
	assert_null(input);
	assert_null(input_free(input));
	/* A directory can be opened, but not read. */
	assert_int_equal(input_new_text(fixture->directory, NULL, 0, UINT64_MAX, &input), 0);
	assert_int_equal(input_next(input, &record), -EIO);
	input_free(input);
}

static void test_its_file_is_closed(void **state)
{
	int fd = dup(STDOUT_FILENO);

	assert_int_equal(close(fd), 0);
	input_free(open_text(*state, "a\n"));
	assert_int_equal(dup(STDOUT_FILENO), fd);
	close(fd);
}

static void test_standard_input(void **state)
{
	const struct fixture *fixture = *state;
	struct input *input = NULL;
	struct record record;

	support_write(fixture->path, "from stdin\n", 11);
	assert_non_null(freopen(fixture->path, "r", stdin));
	assert_int_equal(input_new_text("-", NULL, 0, UINT64_MAX, &input), 0);
	record = next(input);
	expect_text(&record, "from stdin");
	expect_drained(input);
	input_free(input);
	assert_int_equal(getchar(), EOF);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_times, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_deltas, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_unread, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_line_ends, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_long_line, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_hour_that_comes_twice, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bounds, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_boots, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_boots_among_strangers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_its_file_is_closed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_standard_input, set_up, tear_down),
	};

	setenv("TZ", "UTC0", 1);
	tzset();
	return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
