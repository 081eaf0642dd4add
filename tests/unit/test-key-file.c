#include "core/key-file.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "cmocka-all.h"

#define KEY	"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define SECOND	"AQECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define ONE	"knocktail2 bar " KEY "\n"
#define BOTH	ONE "knocktail2 bar " SECOND "\n"
#define LONGEST "0123456789abcdef0123456789abcdef0123456789abcdef0123456789a._-zy"

static const struct secret key_of_text = {{0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10,
					   11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
					   22, 23, 24, 25, 26, 27, 28, 29, 30, 31}}; /* KEY's */
static size_t n_wiped; /* how often it was */

/* Stands before libsodium's. */
void sodium_memzero(void *memory, size_t size)
{
	n_wiped += size == SECRET_SIZE && memcmp(memory, &key_of_text, size) == 0;
	explicit_bzero(memory, size);
}

static int parse(const char *text, size_t length)
{
	struct key_file file = {.realm = "as it was"}, before = file;
	const char *fault = NULL;
	int r = key_file_parse(text, length, &file, &fault);

	/* Of a key that is refused nothing is left. */
	assert_true((r < 0) == (fault != NULL));
	if (r < 0)
		assert_memory_equal(&file, &before, sizeof file);
	else
		assert_memory_not_equal(&file, &before, sizeof file);
	return r;
}

static void test_a_key_alone(void **state)
{
	static const char *const good[] = {
		"knocktail2 bar " KEY, "knocktail2 bar " KEY "\n",
		"knocktail2 a " KEY,   "knocktail2 " LONGEST " " KEY "\n",
		"knocktail2 ... " KEY,
	};
	static const char *const wrong[] = {
		"",
		"knocktail2",
		"knocktail2 ",
		"knocktail2 bar",
		"knocktail2 bar ",
		"knocktail2 " KEY,
		"knocktail2  " KEY,
		"knocktail2  bar " KEY,
		"knocktail2 bar  " KEY,
		"knocktail2 bar " KEY " ",
		"knocktail2 bar " KEY "\n\n",
		"knocktail2 bar " KEY "\r\n",
		"knocktail2 bar baz " KEY,
		"knocktail2 Bar " KEY,
		"knocktail2 b/r " KEY,
		"knocktail2 b\tr " KEY,
		"knocktail2 x" LONGEST " " KEY,
		"knocktail3 bar " KEY,
		" knocktail2 bar " KEY,
		"knocktail2\tbar " KEY,
		"knocktail2 bar AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg==",
		"bar " KEY,
		KEY KEY,
	};

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		assert_int_equal(parse(good[i], strlen(good[i])), 0);
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		if (parse(wrong[i], strlen(wrong[i])) != -EINVAL)
			fail_msg("%s", wrong[i]);
	assert_int_equal(parse("knocktail2 b\0r " KEY, sizeof "knocktail2 b\0r " KEY - 1), -EINVAL);
	assert_int_equal(parse(KEY, strlen(KEY)), -EPROTONOSUPPORT);
	assert_int_equal(parse(KEY "\n", strlen(KEY) + 1), -EPROTONOSUPPORT);
}

/* Both where it is decoded and where it is used, of whatever version it is. */
static void test_the_key_is_wiped(void **state)
{
	(void)state;
	n_wiped = 0;
	assert_int_equal(parse(ONE, strlen(ONE)), 0);
	assert_int_equal(n_wiped, 2);
	assert_int_equal(parse(KEY, strlen(KEY)), -EPROTONOSUPPORT);
	assert_int_equal(n_wiped, 4);
}

static void test_what_is_written_is_read(void **state)
{
	const struct secret key = {"a key"};
	char line[KEY_LINE_MAX + 1];
	struct secret expected;
	struct key_file file;
	const char *fault;

	(void)state;
	key_line_format(LONGEST, &key, line);
	assert_int_equal(strlen(line), KEY_LINE_MAX);
	assert_int_equal(key_file_parse(line, strlen(line), &file, &fault), 0);
	assert_string_equal(file.realm, LONGEST);
	assert_int_equal(file.n, 1);
	key_base(&key, LONGEST, &expected);
	assert_memory_equal(&file.bases[0], &expected, sizeof expected);
	/* In another realm it is another key. */
	key_base(&key, "bar", &expected);
	assert_memory_not_equal(&file.bases[0], &expected, sizeof expected);
}

static void test_times_and_the_key_before(void **state)
{
	static const char text[] = BOTH "since 2026-11-01\nexpires 2026-12-01T08:30:00Z";
	static const char *const wrong[][2] = {
		{ONE "since 2026-11-31\n", "a date in it is not YYYY-MM-DD"},
		{ONE "expires 2026-11-01 08:00:00\n", "a date in it is not"},
		{ONE "expires 2026-11-01T08:00:60Z\n", "a date in it is not"},
		{ONE "expires\n", "a line in it is neither a key nor since DATE"},
		{ONE "expires \n", "a date in it is not"},
		{ONE "expires 2026-11-0x\n", "a date in it is not"},
		{ONE "expires 1969-12-31\n", "a date in it is not"},
		{ONE "\n", "a line in it is neither"},
		{ONE "until 2026-11-01\n", "a line in it is neither"},
		{ONE "since 2026-11-01\nsince 2026-11-02\n", "two lines with since"},
		{ONE "since 2026-11-02\nexpires 2026-11-01\n", "since is not before expires"},
		{ONE "since 2026-11-01\nexpires 2026-11-01\n", "since is not before expires"},
		{BOTH, "its second key, which is the one before, has no expires"},
		{BOTH "expires 2026-12-01\n" ONE, "it has more than two keys"},
		{ONE ONE "expires 2026-12-01\n", "its two keys are the same"},
		{ONE "knocktail2 lab " SECOND "\nexpires 2026-12-01\n",
		 "its keys are for different realms"},
		{ONE "knocktail2 bar\n", "its second key is not"},
	};
	struct key_file file = {.n = 0};
	const char *fault = NULL;

	(void)state;
	assert_int_equal(key_file_parse(text, strlen(text), &file, &fault), 0);
	assert_int_equal(file.n, 2);
	assert_true(file.terms[0].since_s == 0 && file.terms[0].expires_s == 0);
	assert_true(file.terms[1].since_s == 1793491200 && file.terms[1].expires_s == 1796113800);
	assert_memory_not_equal(&file.bases[0], &file.bases[1], sizeof file.bases[0]);
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		if (key_file_parse(wrong[i][0], strlen(wrong[i][0]), &file, &fault) != -EINVAL ||
		    !strstr(fault, wrong[i][1]))
			fail_msg("%s: %s", wrong[i][0], fault);
	}
	assert_int_equal(file.n, 2);
	key_file_wipe(&file);
	assert_true(sodium_is_zero((const uint8_t *)&file, sizeof file));
}

static void test_the_longest_file(void **state)
{
	char text[1000], *at = text;

	(void)state;
	for (int i = 0; i < 2; i++)
		at += sprintf(at,
			      "knocktail2 " LONGEST " %s\nsince 2026-11-01T00:00:01Z\n"
			      "expires 2026-12-01T00:00:01Z\n",
			      i == 0 ? KEY : SECOND);
	assert_int_equal(parse(text, (size_t)(at - text)), 0);
	assert_true(at - text <= KEY_FILE_MAX);
}

static void test_dates(void **state)
{
	static const char *const wrong[] = {
		"",
		"2028-02-2",
		"2028-02-290",
		"2028/02-29",
		"2028-02/29",
		"2028-02-2x",
		"2028-02-2/",
		"2028-0x-29",
		"x028-02-29",
		"2028-00-10",
		"2028-13-10",
		"2028-02-00",
		"2028-12-32",
		"2028-11-31",
		"1969-12-31",
		"1970-01-01",
		"1970-01-01T00:00:00Z",
		"2028-02-29T24:00:00Z",
		"2028-02-29T23:60:00Z",
		"2028-02-29T23:59:60Z",
		"2028-02-29Tx3:59:59Z",
		"2028-02-29T23:x9:59Z",
		"2028-02-29T23:59:x9Z",
		"2028-02-30T23:59:59Z",
		"2028-02-29T23:59:59z",
		"2028-02-29 23:59:59Z",
		"2028-02-29T23.59:59Z",
	};
	char text[KEY_DATE_SIZE];
	uint64_t unix_s;

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		if (key_date_parse(wrong[i], strlen(wrong[i]), &unix_s) != -EINVAL)
			fail_msg("%s", wrong[i]);
	assert_int_equal(key_date_parse("1970-01-01T00:00:01Z", 20, &unix_s), 0);
	assert_true(unix_s == 1);
	assert_int_equal(key_date_parse("2027-12-31", 10, &unix_s), 0);
	assert_true(unix_s == 1830211200);
	assert_int_equal(key_date_parse("2028-02-29", 10, &unix_s), 0);
	assert_true(unix_s == 1835395200);
	assert_string_equal(key_date_format(unix_s, text), "2028-02-29");
	assert_int_equal(key_date_parse("2028-02-29T23:59:59Z", 20, &unix_s), 0);
	assert_true(unix_s == 1835481599);
	assert_string_equal(key_date_format(unix_s, text), "2028-02-29T23:59:59Z");
	assert_int_equal(key_date_parse("2027-02-29", 10, &unix_s), -EINVAL);
	assert_true(key_term_holds(&(struct key_term){0}, 0));
	assert_true(key_term_holds(&(struct key_term){10, 20}, 10));
	assert_true(key_term_holds(&(struct key_term){10, 20}, 19));
	assert_false(key_term_holds(&(struct key_term){10, 20}, 9));
	assert_false(key_term_holds(&(struct key_term){10, 20}, 20));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_key_alone),
		cmocka_unit_test(test_the_key_is_wiped),
		cmocka_unit_test(test_what_is_written_is_read),
		cmocka_unit_test(test_times_and_the_key_before),
		cmocka_unit_test(test_the_longest_file),
		cmocka_unit_test(test_dates),
	};

	return sodium_init() < 0 ? 99 : cmocka_run_group_tests(tests, NULL, NULL);
}
