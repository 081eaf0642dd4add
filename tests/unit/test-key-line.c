#include "core/key-line.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "cmocka-all.h"

#define KEY	"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define LONGEST "0123456789abcdef0123456789abcdef0123456789abcdef0123456789a._-zy"

static int parse(const char *text, size_t length)
{
	char realm[REALM_MAX + 1] = "as it was";
	struct secret base = {"as it was"}, before = base;
	int r = key_line_parse(text, length, realm, &base);

	/* Of a key that is refused nothing is left. */
	if (r < 0)
		assert_memory_equal(&base, &before, sizeof base);
	else
		assert_memory_not_equal(&base, &before, sizeof base);
	return r;
}

static void test_one_line_and_nothing_else(void **state)
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

static void test_what_is_written_is_read(void **state)
{
	const struct secret key = {"a key"};
	char line[KEY_LINE_MAX + 1], realm[REALM_MAX + 1];
	struct secret base, expected;

	(void)state;
	key_line_format(LONGEST, &key, line);
	assert_int_equal(strlen(line), KEY_LINE_MAX);
	assert_int_equal(key_line_parse(line, strlen(line), realm, &base), 0);
	assert_string_equal(realm, LONGEST);
	key_base(&key, LONGEST, &expected);
	assert_memory_equal(&base, &expected, sizeof base);
	/* In another realm it is another key. */
	key_base(&key, "bar", &expected);
	assert_memory_not_equal(&base, &expected, sizeof base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_line_and_nothing_else),
		cmocka_unit_test(test_what_is_written_is_read),
	};

	return sodium_init() < 0 ? 99 : cmocka_run_group_tests(tests, NULL, NULL);
}
