/* A state file counts as a whole or not at all. */
#include "util/state-file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmocka-all.h"
#include "support.h"

static const char *const names[] = {"door", "state", "user"};

static const struct state_keys keys = {names, 3, 2};

struct taken {
	char text[200];
	int result;
};

static int take_line(void *userdata, unsigned key, const char *name, const char *value)
{
	struct taken *taken = userdata;
	size_t used = strlen(taken->text);

	snprintf(taken->text + used, sizeof taken->text - used, "%u %s %s;", key, name, value);
	return taken->result;
}

static int load(const char *text, size_t size, struct taken *taken)
{
	char *directory = support_directory(), *path = support_path(directory, "file");
	int fd = open(directory, O_RDONLY | O_DIRECTORY), r;

	assert_true(fd >= 0);
	support_write(path, text, size);
	r = state_file_load(fd, "file", &keys, take_line, taken);
	close(fd);
	free(path);
	support_remove(directory);
	return r;
}

static void test_lines_come_in_order(void **state)
{
	static const char text[] = "state=open\nx=1\nx=2\ndoor=a=b\nend=yes\n";
	struct taken taken = {.result = 0};

	(void)state;
	assert_int_equal(load(text, strlen(text), &taken), 0);
	assert_string_equal(taken.text, "1 state open;3 x 1;3 x 2;0 door a=b;");
}

static void test_what_is_not_whole_is_refused(void **state)
{
	static const struct {
		const char *text;
		size_t size;
	} cases[] = {
#define CASE(text) {text, sizeof(text) - 1}
		CASE(""),
		CASE("end=yes\n"),
		CASE("door=a\nend=yes\n"),			    /* a needed key is missing */
		CASE("door=a\nstate=b\n"),			    /* no end */
		CASE("door=a\nstate=b\nend=yes"),		    /* cut short */
		CASE("door=a\nstate=b\nend=no\n"),		    /* not the end */
		CASE("door=a\nstate=b\nend=yes\nuser=c\n"),	    /* something behind it */
		CASE("door=a\nstate=b\nend=yes\nend=yes\n"),	    /* two ends */
		CASE("door=a\ndoor=a\nstate=b\nend=yes\n"),	    /* a key twice */
		CASE("door=a\nstate=b\nuser=c\nuser=d\nend=yes\n"), /* an optional one twice */
		CASE("door=a\nstate\nstate=b\nend=yes\n"),	    /* no equals sign */
		CASE("door=a\nstate=b\n\nend=yes\n"),		    /* an empty line */
		CASE("door=a\nstate=b\0\nend=yes\n"),		    /* a NUL byte */
#undef CASE
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct taken taken = {.result = 0};

		assert_int_equal(load(cases[i].text, cases[i].size, &taken), -EBADMSG);
	}
}

static void test_a_refused_line_refuses_the_file(void **state)
{
	static const char text[] = "door=a\nstate=b\nend=yes\n";
	struct taken taken = {.result = -EINVAL}, no_memory = {.result = -ENOMEM};

	(void)state;
	assert_int_equal(load(text, strlen(text), &taken), -EBADMSG);
	assert_string_equal(taken.text, "0 door a;");
	assert_int_equal(load(text, strlen(text), &no_memory), -ENOMEM);
}

static void test_a_large_file_is_refused(void **state)
{
	char *text = malloc(STATE_FILE_MAX + 100);
	struct taken taken = {.result = 0};

	(void)state;
	memset(text, 'a', STATE_FILE_MAX + 100);
	assert_int_equal(load(text, STATE_FILE_MAX + 100, &taken), -EBADMSG);
	free(text);
}

static void test_only_files_are_read(void **state)
{
	char *directory = support_directory(), *pipe_path = support_path(directory, "pipe"),
	     *link_path = support_path(directory, "link");
	int fd = open(directory, O_RDONLY | O_DIRECTORY);
	struct taken taken = {.result = 0};

	(void)state;
	assert_int_equal(state_file_load(fd, "none", &keys, take_line, &taken), -ENOENT);
	assert_int_equal(mkfifo(pipe_path, 0600), 0);
	assert_int_equal(state_file_load(fd, "pipe", &keys, take_line, &taken), -EBADMSG);
	assert_int_equal(symlink("none", link_path), 0);
	assert_int_equal(state_file_load(fd, "link", &keys, take_line, &taken), -EBADMSG);
	close(fd);
	free(pipe_path);
	free(link_path);
	support_remove(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines_come_in_order),
		cmocka_unit_test(test_what_is_not_whole_is_refused),
		cmocka_unit_test(test_a_refused_line_refuses_the_file),
		cmocka_unit_test(test_a_large_file_is_refused),
		cmocka_unit_test(test_only_files_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
