/* Other programs: what they print, how they end, and what is said of it. */
#include "util/program.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka-all.h"

#define SHELL(script) ((const char *const[]){"/bin/sh", "-c", script, NULL})

static void check(const char *const argv[], const char *input, int status, const char *output,
		  const char *said)
{
	char problem[PROGRAM_PROBLEM_MAX] = "before", *text = NULL;

	assert_int_equal(program_run(argv, input, &text, problem), status);
	assert_string_equal(problem, said);
	if (output)
		assert_string_equal(text, output);
	else
		assert_null(text);
	free(text);
}

static void test_how_programs_end(void **state)
{
	(void)state;
	check(SHELL("echo one; echo two"), NULL, 0, "one\ntwo\n", "");
	check(SHELL("cat"), "what is\ngiven", 0, "what is\ngiven", "");
	check(SHELL("cat"), NULL, 0, "", "");
	check(SHELL("echo out; echo why >&2; exit 3"), NULL, 3, "out\n",
	      "/bin/sh: exit status 3: why");
	check(SHELL("kill -9 $$"), NULL, -EIO, NULL, "/bin/sh: killed by signal 9");
	check((const char *const[]){"/no/such/program", NULL}, NULL, -ENOENT, NULL,
	      "/no/such/program: No such file or directory (is it installed?)");
	check((const char *const[]){"/", NULL}, NULL, -EACCES, NULL, "/: Permission denied");
}

static void test_what_nobody_wants_to_read(void **state)
{
	char problem[PROGRAM_PROBLEM_MAX];

	(void)state;
	assert_int_equal(program_run(SHELL("echo one; exit 7"), NULL, NULL, problem), 7);
	assert_string_equal(problem, "/bin/sh: exit status 7: ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_how_programs_end),
		cmocka_unit_test(test_what_nobody_wants_to_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
