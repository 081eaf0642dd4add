/* What stands behind "=": each text ends where memory ends, and must be read neither
 * beyond nor before. */
#include "config/ini/value.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cmocka-all.h"

static const struct {
	const char *text, *value; /* NULL: the fault has these words */
	const char *fault;
} cases[] = {
	{"", "", NULL},
	{" ", "", NULL},
	{"a", "a", NULL},
	{"\t a b \t", "a b", NULL},
	/* A comment begins behind a blank, or where the value would. */
	{"a ; b", "a", NULL},
	{"a\t# b", "a", NULL},
	{";", "", NULL},
	{" # a", "", NULL},
	{"a;", NULL, "starts a comment"},
	{"a#b", NULL, "starts a comment"},
	{"a ;b#c", "a", NULL},
	{"a ; it's", "a", NULL},
	/* In quotes nothing is escaped, and all counts. */
	{"\"\"", "", NULL},
	{"''", "", NULL},
	{"\" a;#' \"", " a;#' ", NULL},
	{"'\"'", "\"", NULL},
	{"\"a\\\"", "a\\", NULL},
	{"'\\n\\\\'", "\\n\\\\", NULL},
	{"\"a\" \t", "a", NULL},
	{"\"a\"; b", "a", NULL},
	{"\"a\"\t# b", "a", NULL},
	{"\"", NULL, "opens a quote"},
	{"'", NULL, "opens a quote"},
	{"\"a", NULL, "opens a quote"},
	{"'a\"", NULL, "opens a quote"},
	{"\"a\\\" b\"", NULL, "goes on after"},
	{"\"a\"b", NULL, "goes on after"},
	{"\"a\" b", NULL, "goes on after"},
	{"\"a\"'b'", NULL, "goes on after"},
	{"\"a\"\"", NULL, "goes on after"},
	/* Outside of quotes they are text, but none may stay open; there a backslash is text and
	 * saves a quote. */
	{"a \"b c\" 'd'", "a \"b c\" 'd'", NULL},
	{"a \"it's\"", "a \"it's\"", NULL},
	{"a '\"'", "a '\"'", NULL},
	{"\\\"a", "\\\"a", NULL},
	{"a\\'", "a\\'", NULL},
	{"a '\\'", "a '\\'", NULL},
	{"a \"\\\"\"", "a \"\\\"\"", NULL},
	{"a\\\\", "a\\\\", NULL},
	{"a\\", "a\\", NULL},
	{"it's", NULL, "never closed"},
	{"a \"", NULL, "never closed"},
	{"a \"\\\"", NULL, "never closed"},
	{"a '\\''", NULL, "never closed"},
	{"a\\\\'", NULL, "never closed"},
	{"a 'b ; c'", NULL, "never closed"},
};

static void check_value(const char *text, size_t length, size_t i)
{
	const char *value = NULL, *fault;
	size_t n = 0;

	fault = ini_value_find(text, length, &value, &n);
	if (cases[i].fault && (!fault || !strstr(fault, cases[i].fault)))
		fail_msg("<%s>: %s", cases[i].text, fault ? fault : "no fault");
	if (cases[i].fault) {
		assert_null(value);
		return;
	}
	if (fault)
		fail_msg("<%s>: %s", cases[i].text, fault);
	if (n != strlen(cases[i].value) || memcmp(value, cases[i].value, n) != 0)
		fail_msg("<%s> is <%.*s>, not <%s>", cases[i].text, (int)n, value, cases[i].value);
}

static void test_values(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *end =
		mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_true(end != MAP_FAILED);
	end += page;
	assert_int_equal(mprotect(end, page, PROT_NONE), 0);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		size_t length = strlen(cases[i].text);

		memset(end - page, 'x', page);
		memcpy(end - length, cases[i].text, length);
		check_value(end - length, length, i);
	}
	assert_int_equal(munmap(end - page, 2 * page), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
