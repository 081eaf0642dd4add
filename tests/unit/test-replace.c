/* Replacing files by path. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmocka-all.h"
#include "util/replace.h"

static char directory[] = "/tmp/test-file.XXXXXX";

static int set_up(void **state)
{
	(void)state;
	return mkdtemp(directory) && chdir(directory) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	return chdir("/") == 0 && rmdir(directory) == 0 ? 0 : -1;
}

static void expect_file(const char *path, const char *text, mode_t mode)
{
	char bytes[32] = "";
	struct stat status;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(read(fd, bytes, sizeof bytes - 1), strlen(text));
	assert_string_equal(bytes, text);
	assert_int_equal(fstat(fd, &status), 0);
	assert_int_equal(status.st_mode & 07777, mode);
	close(fd);
}

/* Nothing else stays in the directory, or tear_down() cannot remove it. */
static void test_replaces(void **state)
{
	char path[sizeof directory + 8];

	(void)state;
	snprintf(path, sizeof path, "%s/file", directory);
	for (int sync = 0; sync < 2; sync++) {
		assert_int_equal(file_replace_path(path, "longer", 6, 0640, sync), 0);
		expect_file(path, "longer", 0640);
		assert_int_equal(file_replace_path("file", "new", 3, 0600, sync), 0);
		expect_file(path, "new", 0600);
	}
	assert_int_equal(unlink(path), 0);
}

static void test_fails(void **state)
{
	(void)state;
	assert_true(file_replace_path("missing/file", "x", 1, 0600, false) < 0);
	assert_int_equal(mkdir("taken", 0700), 0);
	assert_true(file_replace_path("taken", "x", 1, 0600, true) < 0);
	assert_int_equal(rmdir("taken"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_replaces),
		cmocka_unit_test(test_fails),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
