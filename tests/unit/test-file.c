/* Reading files of all lengths, into memory of one's own and into a buffer. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cmocka-all.h"
#include "util/file.h"

static int make_file(const char *text)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(file_write(fd, text, strlen(text)), 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static void test_read(void **state)
{
	int fd = make_file("whole");
	char *data = NULL;
	size_t size = 0;

	(void)state;
	assert_int_equal(file_read(fd, 4, &data, &size), -EFBIG);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(file_read(fd, 5, &data, &size), 0);
	assert_int_equal(size, 5);
	assert_string_equal(data, "whole");
	free(data);
	close(fd);
}

static void test_nowhere_to_write(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(file_write(fds[0], "x", 1), -EBADF);
	close(fds[0]);
	close(fds[1]);
}

static void test_read_into(void **state)
{
	int fd = make_file("whole");
	char buffer[6] = "......";
	size_t length = 0;

	(void)state;
	assert_int_equal(file_read_into(fd, buffer, 4, &length), -EFBIG);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(file_read_into(fd, buffer, 5, &length), 0);
	assert_int_equal(length, 5);
	assert_memory_equal(buffer, "whole.", sizeof buffer);
	assert_int_equal(file_read_into(fd, buffer, 5, &length), 0);
	assert_int_equal(length, 0);
	close(fd);
	assert_int_equal(file_read_into(fd, buffer, 5, &length), -EBADF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_nowhere_to_write),
		cmocka_unit_test(test_read_into),
	};

	return cmocka_run_group_tests_name("file", tests, NULL, NULL);
}
