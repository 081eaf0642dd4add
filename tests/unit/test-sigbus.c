/* A file that is cut short while it is mapped. */
#include "input/sigbus.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka-all.h"
#include "support.h"

/* Three pages of a file, of which the second and the third go, and one of something else. */
static void test_a_page_that_is_missing(void **state)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *directory = support_directory(), *path = support_path(directory, "file");
	char *content = malloc(3 * page);
	volatile char *memory;
	int fd;

	(void)state;
	assert_non_null(content);
	memset(content, 'x', 3 * page);
	support_write(path, content, 3 * page);
	free(content);
	memory = mmap(NULL, 4 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(memory != MAP_FAILED);
	memory[3 * page] = 'y';
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(mmap((void *)memory, 3 * page, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0) ==
		    memory);
	close(fd);

	sigbus_watch();
	assert_false(sigbus_happened());
	assert_int_equal(memory[3 * page - 1], 'x');
	assert_false(sigbus_happened());
	assert_int_equal(truncate(path, (off_t)page), 0);
	/* The last byte of each page, whose address is odd. */
	for (size_t i = 3; i > 1; i--) {
		assert_int_equal(memory[i * page - 1], '\0');
		assert_true(sigbus_happened());
		assert_false(sigbus_happened());
		assert_int_equal(memory[i * page - 2], '\0');
		assert_false(sigbus_happened());
	}
	assert_int_equal(memory[page - 1], 'x');
	assert_int_equal(memory[3 * page], 'y');
	munmap((void *)memory, 4 * page);
	free(path);
	support_remove(directory);
}

/* One that tells of no missing page ends the program, as it would without us. */
static void test_another_one(void **state)
{
	int status = 0;
	pid_t pid;

	(void)state;
	sigbus_watch();
	pid = fork();
	if (pid == 0) {
		setrlimit(RLIMIT_CORE, &(struct rlimit){0});
		raise(SIGBUS);
		raise(SIGBUS);
		_exit(0);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_page_that_is_missing),
		cmocka_unit_test(test_another_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
