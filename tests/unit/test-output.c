/* What is shown to people and to programs: JSON of any bytes. */
#include <fcntl.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmocka-all.h"

#include "cli/common/json.h"
#include "cli/common/output.h"

static void check_text(const char *given, const char *expected)
{
	struct json_object *object = json_object_new_object(), *value;

	json_put_text(object, "text", given);
	assert_true(json_object_object_get_ex(object, "text", &value));
	assert_string_equal(json_object_get_string(value), expected);
	json_object_put(object);
}

/* RFC 8259, 8.1: JSON is UTF-8, and a journal need not be. */
static void test_text_of_any_bytes(void **state)
{
	(void)state;
	check_text("plain", "plain");
	check_text("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x9a\xaa",
		   "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x9a\xaa");
	check_text("\xff\xfe", "??");
	check_text("a\xc3", "a?");
	check_text("\xc0\xaf", "??");
	check_text("\xed\xa0\x80", "???");
	check_text("\xf4\x90\x80\x80", "????");
	check_text("\xe2\x82", "??");
}

static void test_what_is_missing(void **state)
{
	struct json_object *object = json_object_new_object(), *value = object;

	(void)state;
	json_put_text(object, "text", NULL);
	json_put_time(object, "time", 0);
	assert_true(json_object_object_get_ex(object, "text", &value));
	assert_null(value);
	assert_true(json_object_object_get_ex(object, "time", &value));
	assert_null(value);
	json_object_put(object);
}

static void check_wrap(const char *text, size_t columns, const char *expected)
{
	char *wrapped = NULL;
	size_t size;
	FILE *file = open_memstream(&wrapped, &size);

	output_wrap(text, columns, file);
	assert_int_equal(fclose(file), 0);
	assert_string_equal(wrapped, expected);
	free(wrapped);
}

/* Between words, and below what it belongs to. */
static void test_long_lines(void **state)
{
	(void)state;
	check_wrap("", 10, "");
	check_wrap("ten chars.\n\nand more\n", 10, "ten chars.\n\nand more\n");
	check_wrap("eleven char\n", 10, "eleven\nchar\n");
	check_wrap("one two  three four", 10, "one two\nthree four");
	check_wrap("ok  a b c d e f g h\nx y\n", 10, "ok  a b c\n    d e f\n    g h\nx y\n");
	check_wrap("     -> a bc de\n", 10, "     -> a\n     bc de\n");
	check_wrap("unbreakable-word and\n", 10, "unbreakable-word\nand\n");
	check_wrap("  unbreakable-word", 10, "  unbreakable-word");
	check_wrap("\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc \xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc x", 10,
		   "\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc \xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\nx");
}

/* A table on a terminal so wide, where `term` is what kind it says that it is. */
static void check_terminal(unsigned short columns, const char *term, const char *no_color,
			   const char *expected)
{
	static const char *const headline[] = {"DOOR", "SOURCE", NULL},
				 *const row[] = {"s\xc3\xa4h", "192.0.2.1 and others"};
	struct winsize size = {.ws_row = 24, .ws_col = columns};
	struct table *table = table_new(2, headline);
	int terminal, slave, before = dup(STDOUT_FILENO);
	char seen[512];
	ssize_t n;

	table_add(table, COLOUR_GOOD, row);
	assert_int_equal(openpty(&terminal, &slave, NULL, NULL, &size), 0);
	if (term)
		setenv("TERM", term, 1);
	else
		unsetenv("TERM");
	setenv("NO_COLOR", no_color, 1);
	fflush(stdout);
	dup2(slave, STDOUT_FILENO);
	table_print(table);
	output_print("%s\n", "a line that is longer than thirty columns");
	fflush(stdout);
	dup2(before, STDOUT_FILENO);
	close(before);
	close(slave);
	n = read(terminal, seen, sizeof seen - 1);
	close(terminal);
	assert_true(n > 0);
	seen[n] = '\0';
	assert_string_equal(seen, expected);
	table_free(table);
}

/* ECMA-48's colours, and what is wider goes on below; neither where nobody looks at it. */
static void test_terminals(void **state)
{
	static const char plain[] = "s\xc3\xa4h\t192.0.2.1 and others\r\n"
				    "a line that is longer than thirty columns\r\n";

	(void)state;
	check_terminal(80, "xterm", "",
		       "\033[1mDOOR  SOURCE\033[0m\r\n"
		       "\033[32ms\xc3\xa4h   192.0.2.1 and others\033[0m\r\n"
		       "a line that is longer than thirty columns\r\n");
	check_terminal(40, "xterm", "1",
		       "DOOR  SOURCE\r\ns\xc3\xa4h   192.0.2.1 and others\r\n"
		       "a line that is longer than thirty\r\ncolumns\r\n");
	/* Nothing is wrapped that narrow. */
	check_terminal(10, "xterm", "1",
		       "DOOR  SOURCE\r\ns\xc3\xa4h   192.0.2.1 and others\r\n"
		       "a line that is longer than thirty columns\r\n");
	check_terminal(80, "dumb", "", plain);
	check_terminal(80, "", "", plain);
	check_terminal(80, NULL, "", plain);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_of_any_bytes),
		cmocka_unit_test(test_what_is_missing),
		cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_terminals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
