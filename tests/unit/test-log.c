#include "util/log.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmocka-all.h"
#include "support.h"

struct fixture {
	char *directory, *path;
	int old_stderr;
};

/* Standard error is a file, and JOURNAL_STREAM is not set. */
static int set_up(void **state)
{
	static struct fixture fixture;
	int fd;

	fixture.directory = support_directory();
	fixture.path = support_path(fixture.directory, "stderr");
	fixture.old_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	fd = open(fixture.path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	dup2(fd, STDERR_FILENO);
	close(fd);
	unsetenv("JOURNAL_STREAM");
	*state = &fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	fflush(stderr);
	dup2(fixture->old_stderr, STDERR_FILENO);
	close(fixture->old_stderr);
	free(fixture->path);
	support_remove(fixture->directory);
	unsetenv("JOURNAL_STREAM");
	return 0;
}

static void set_stream(uintmax_t device_off, uintmax_t inode_off)
{
	char text[64];
	struct stat st;

	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	snprintf(text, sizeof text, "%ju:%ju", (uintmax_t)st.st_dev + device_off,
		 (uintmax_t)st.st_ino + inode_off);
	setenv("JOURNAL_STREAM", text, 1);
}

static void test_plain(void **state)
{
	struct fixture *fixture = *state;
	char *text;

	assert_false(log_is_journal());
	log_line(LOG_ERR, "door %s: %d", "ssh", 7);
	log_line(LOG_INFO, "100%%");
	text = support_read(fixture->path, NULL);
	assert_string_equal(text, "door ssh: 7\n100%\n");
	free(text);
}

static void test_journal(void **state)
{
	struct fixture *fixture = *state;
	char *text;

	set_stream(0, 0);
	assert_true(log_is_journal());
	log_line(LOG_ERR, "door %s", "ssh");
	log_line(LOG_DEBUG, "door %s", "web");
	text = support_read(fixture->path, NULL);
	assert_string_equal(text, "<3>door ssh\n<7>door web\n");
	free(text);
}

static void test_another_stream(void **state)
{
	static const char *const bad[] = {"", "1", ":", "1:", "x:y"};

	(void)state;
	set_stream(1, 0);
	assert_false(log_is_journal());
	set_stream(0, 1);
	assert_false(log_is_journal());
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		setenv("JOURNAL_STREAM", bad[i], 1);
		assert_false(log_is_journal());
	}
}

static void test_long_line(void **state)
{
	struct fixture *fixture = *state;
	char long_text[5000], *text;
	size_t length;

	memset(long_text, 'x', sizeof long_text - 1);
	long_text[sizeof long_text - 1] = '\0';
	log_line(LOG_ERR, "%s", long_text);
	text = support_read(fixture->path, &length);
	assert_in_range(length, 512, sizeof long_text);
	assert_int_equal(strcspn(text, "\n"), length - 1);
	free(text);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_plain, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_journal, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_another_stream, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_long_line, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
