/* Lines of ours in another program's file: put there, put there again, and taken out. */
#include "cli/rules/managed-block.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka-all.h"
#include "support.h"

#define BEFORE "*nat\nCOMMIT\n*filter\n-A a\n"
#define AFTER  "COMMIT\n*mangle\nCOMMIT\n"

static void expect_text(const char *path, const char *expected)
{
	char *text = support_read(path, NULL);

	assert_string_equal(text, expected);
	free(text);
}

static void test_a_block_comes_and_goes(void **state)
{
	char *directory = support_directory(), *path = support_path(directory, "before.rules");

	(void)state;
	support_write(path, BEFORE AFTER, strlen(BEFORE AFTER));
	assert_int_equal(managed_block_remove(path), -ENOENT);
	assert_int_equal(managed_block_put(path, "*filter", "COMMIT", "-A one\n"), 0);
	expect_text(path, BEFORE "# BEGIN knocktail\n-A one\n# END knocktail\n" AFTER);
	assert_true(managed_block_is(path, "*filter", "COMMIT", "-A one\n"));
	assert_false(managed_block_is(path, "*filter", "COMMIT", "-A two\n"));
	assert_int_equal(managed_block_put(path, "*filter", "COMMIT", "-A two\n"), 0);
	expect_text(path, BEFORE "# BEGIN knocktail\n-A two\n# END knocktail\n" AFTER);
	assert_int_equal(managed_block_remove(path), 0);
	expect_text(path, BEFORE AFTER);
	assert_int_equal(managed_block_remove(path), -ENOENT);
	free(path);
	support_remove(directory);
}

/* Nothing is changed where it is not clear what would be. */
static void test_files_that_are_not_as_expected(void **state)
{
	static const char *const texts[] = {"", "COMMIT\n", "*filter\n", "*filter COMMIT\n",
					    "*filter\nCOMMIT\n# BEGIN knocktail\n-A one\n"};
	char *directory = support_directory(), *path = support_path(directory, "before.rules");

	(void)state;
	assert_int_equal(managed_block_put(path, "*filter", "COMMIT", "-A one\n"), -ENOENT);
	assert_int_equal(managed_block_remove(path), -ENOENT);
	assert_false(managed_block_is(path, "*filter", "COMMIT", "-A one\n"));
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		support_write(path, texts[i], strlen(texts[i]));
		assert_int_equal(managed_block_put(path, "*filter", "COMMIT", "-A one\n"), -ENOENT);
		assert_int_equal(managed_block_remove(path), -ENOENT);
		expect_text(path, texts[i]);
	}
	free(path);
	support_remove(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_block_comes_and_goes),
		cmocka_unit_test(test_files_that_are_not_as_expected),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
