#include "util/children.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka-all.h"
#include "support.h"

#define COMMAND(...) ((char *const[]){__VA_ARGS__, NULL})
#define SHELL(text)  COMMAND((char *)"/bin/sh", (char *)"-c", (char *)(text))

enum { MAX = 3 };

static int set_up(void **state)
{
	struct children *children = NULL;

	if (children_new(MAX, &children) < 0)
		return -1;
	*state = children;
	return 0;
}

static int tear_down(void **state)
{
	children_free(*state);
	return 0;
}

/* Waits for one child to end while the clock stands still. */
static struct child_exit wait_exit(struct children *children, uint64_t now_us)
{
	struct child_exit exit;

	while (!children_next(children, now_us, &exit))
		support_wait(children_fd(children));
	return exit;
}

static struct child_exit run(struct children *children, char *const argv[])
{
	assert_int_equal(children_spawn(children, argv, UINT64_MAX, children), 0);
	return wait_exit(children, 0);
}

static void test_idle(void **state)
{
	struct children *children = *state;
	struct child_exit exit;

	assert_int_equal(children_count(children), 0);
	assert_true(children_next_us(children) == UINT64_MAX);
	assert_false(children_next(children, UINT64_MAX, &exit));
	assert_null(children_free(NULL));
}

static void test_exit_status(void **state)
{
	struct children *children = *state;
	struct child_exit exit;
	int owner;

	assert_int_equal(children_spawn(children, COMMAND((char *)"/bin/true"), 5, &owner), 0);
	assert_int_equal(children_count(children), 1);
	assert_true(children_next_us(children) == 5);
	exit = wait_exit(children, 0);
	assert_ptr_equal(exit.owner, &owner);
	assert_int_equal(exit.code, CLD_EXITED);
	assert_int_equal(exit.status, 0);
	assert_false(exit.timed_out);
	assert_string_equal(exit.output, "");
	assert_int_equal(children_count(children), 0);
	assert_true(children_next_us(children) == UINT64_MAX);

	exit = run(children, SHELL("exit 7"));
	assert_int_equal(exit.code, CLD_EXITED);
	assert_int_equal(exit.status, 7);

	exit = run(children, SHELL("kill -TERM $$"));
	assert_int_equal(exit.code, CLD_KILLED);
	assert_int_equal(exit.status, SIGTERM);
	assert_false(exit.timed_out);
}

static void test_cannot_start(void **state)
{
	struct children *children = *state;

	errno = 0;
	assert_int_equal(children_spawn(children, COMMAND((char *)"/nonexistent"), 5, NULL),
			 -ENOENT);
	errno = 0;
	assert_int_equal(children_spawn(children, COMMAND((char *)"/etc/passwd"), 5, NULL),
			 -EACCES);
	assert_int_equal(children_count(children), 0);
	assert_true(children_next_us(children) == UINT64_MAX);
}

static void test_places(void **state)
{
	struct children *children = *state;
	int owners[MAX], seen[MAX] = {0};

	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < MAX; i++)
			assert_int_equal(children_spawn(children, COMMAND((char *)"/bin/true"), 5,
							&owners[i]),
					 0);
		assert_int_equal(children_spawn(children, COMMAND((char *)"/bin/true"), 5, NULL),
				 -EAGAIN);
		for (int i = 0; i < MAX; i++) {
			struct child_exit exit = wait_exit(children, 0);

			seen[(int *)exit.owner - owners]++;
		}
		for (int i = 0; i < MAX; i++)
			assert_int_equal(seen[i], round + 1);
	}
}

static void test_time_limit(void **state)
{
	struct children *children = *state;
	struct child_exit exit;
	int a, b;

	assert_int_equal(
		children_spawn(children, COMMAND((char *)"/bin/sleep", (char *)"1000"), 200, &a),
		0);
	assert_int_equal(
		children_spawn(children, COMMAND((char *)"/bin/sleep", (char *)"1000"), 100, &b),
		0);
	assert_true(children_next_us(children) == 100);
	assert_false(children_next(children, 99, &exit));
	if (!children_next(children, 100, &exit)) {
		/* It has been killed, and there is nothing more to do about it. */
		assert_true(children_next_us(children) == 200);
		exit = wait_exit(children, 100);
	}
	assert_ptr_equal(exit.owner, &b);
	assert_int_equal(exit.code, CLD_KILLED);
	assert_int_equal(exit.status, SIGKILL);
	assert_true(exit.timed_out);
	assert_true(children_next_us(children) == 200);

	/* Another owner's limit is none of a's business. */
	children_limit(children, &b, 1);
	assert_true(children_next_us(children) == 200);
	children_limit(children, &a, 150);
	assert_true(children_next_us(children) == 150);
	exit = wait_exit(children, 150);
	assert_ptr_equal(exit.owner, &a);
	assert_true(exit.timed_out);
}

/* The whole process group goes: what the shell started dies with it. The pipe's end tells. */
static void test_kills_the_group(void **state)
{
	struct children *children = *state;
	char *directory = support_directory(), *fifo = support_path(directory, "fifo");
	char command[512], byte;
	struct child_exit exit;
	int fd;

	assert_true(snprintf(command, sizeof command, "exec 3>%s; sleep 1000 & echo >&3; wait",
			     fifo) > 0);
	assert_int_equal(support_run(COMMAND((char *)"/usr/bin/mkfifo", fifo), NULL, NULL), 0);
	fd = open(fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(children_spawn(children, SHELL(command), 100, NULL), 0);
	support_wait(fd);
	assert_int_equal(read(fd, &byte, 1), 1);
	exit = wait_exit(children, 100);
	assert_true(exit.timed_out);
	support_wait(fd);
	assert_int_equal(read(fd, &byte, 1), 0);
	close(fd);
	free(fifo);
	support_remove(directory);
}

static void test_output(void **state)
{
	struct children *children = *state;
	static const struct {
		const char *command, *output;
	} cases[] = {
		{"echo one", "one"},
		{"echo one >&2", "one"},
		{"echo one; echo two >&2; echo; echo", "one two"},
		{"printf 'a\\tb\\033[1m\\177c\\r\\n'", "a b [1m c"},
		{"printf '\\303\\251'", "??"},
		{"printf 'a\\0b'", "a b"},
		{"echo", ""},
		{"echo one; exec >&- 2>&-; exit 1", "one"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct child_exit exit = run(children, SHELL(cases[i].command));

		assert_string_equal(exit.output, cases[i].output);
	}
}

/* What does not fit is dropped: the child never blocks on it. */
static void test_much_output(void **state)
{
	struct children *children = *state;
	char expected[CHILD_OUTPUT_MAX];
	struct child_exit exit = run(children, COMMAND((char *)"/usr/bin/head", (char *)"-c1000000",
						       (char *)"/dev/zero"));

	assert_int_equal(exit.status, 0);
	assert_string_equal(exit.output, "");

	exit = run(children, SHELL("head -c1000000 /dev/zero | tr '\\0' x"));
	memset(expected, 'x', sizeof expected - 1);
	expected[sizeof expected - 1] = '\0';
	assert_string_equal(exit.output, expected);
}

/* Who closes its output and goes on does not keep the event loop awake. */
/* One that never stops talking holds up nobody, and is killed in its time. */
static void test_endless_output(void **state)
{
	struct children *children = *state;
	struct child_exit exit;

	assert_int_equal(children_spawn(children, COMMAND((char *)"/usr/bin/yes"), 100, NULL), 0);
	for (size_t i = 0; i < 100; i++) {
		support_wait(children_fd(children));
		assert_false(children_next(children, 0, &exit));
	}
	exit = wait_exit(children, 100);
	assert_true(exit.timed_out);
	assert_memory_equal(exit.output, "y y y", 5);
}

static void test_closed_output(void **state)
{
	struct children *children = *state;
	struct pollfd poll_fd = {.fd = children_fd(children), .events = POLLIN};
	struct child_exit exit;

	assert_int_equal(
		children_spawn(children, SHELL("exec >&- 2>&-; exec sleep 1000"), 100, NULL), 0);
	support_wait(poll_fd.fd);
	assert_false(children_next(children, 0, &exit));
	assert_int_equal(poll(&poll_fd, 1, 0), 0);
	exit = wait_exit(children, 100);
	assert_true(exit.timed_out);
}

/* A grandchild that keeps the output open does not keep the child from ending. */
static void test_daemonizing_child(void **state)
{
	struct children *children = *state;
	struct child_exit exit = run(children, SHELL("setsid sleep 3 & echo started"));

	assert_int_equal(exit.status, 0);
	assert_string_equal(exit.output, "started");
}

static void test_free_kills(void **state)
{
	struct children *children = NULL;
	int status;

	(void)state;
	assert_int_equal(children_new(1, &children), 0);
	assert_int_equal(
		children_spawn(children, COMMAND((char *)"/bin/sleep", (char *)"1000"), 5, NULL),
		0);
	assert_null(children_free(children));
	assert_int_equal(waitpid(-1, &status, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

/* A fresh start: no input, a PATH and nothing else of ours, a group of its own, default signals;
 * and an environment that ipset(8) 7.22 can read on into. */
static void test_environment(void **state)
{
	struct children *children = *state;
	unsigned long long blocked, ignored;
	struct child_exit exit;
	sigset_t all, old;

	setenv("SECRET", "1", 1);
	exit = run(children, COMMAND((char *)"/usr/bin/env"));
	assert_null(strstr(exit.output, "SECRET"));
	assert_non_null(strstr(exit.output, "PATH=/usr/local/sbin:"));
	exit = run(children, SHELL("cat; echo $?"));
	assert_string_equal(exit.output, "0");
	/* PID (COMMAND) STATE PARENT GROUP */
	exit = run(children, SHELL("read -r a b c d e f </proc/$$/stat; [ $e = $$ ] && echo own"));
	assert_string_equal(exit.output, "own");
	exit = run(children, SHELL("wc -c </proc/$$/environ"));
	assert_in_range(strtol(exit.output, NULL, 10), 300, 1000);

	sigfillset(&all);
	assert_int_equal(sigprocmask(SIG_BLOCK, &all, &old), 0);
	assert_true(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
	exit = run(children, COMMAND((char *)"/bin/grep", (char *)"-E", (char *)"^Sig(Blk|Ign)",
				     (char *)"/proc/self/status"));
	assert_true(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
	assert_int_equal(sigprocmask(SIG_SETMASK, &old, NULL), 0);
	assert_int_equal(sscanf(exit.output, "SigBlk: %llx SigIgn: %llx", &blocked, &ignored), 2);
	assert_true(blocked == 0);
	assert_true((ignored & (1u << (SIGPIPE - 1))) == 0);
}

/* Some library opens a descriptor without O_CLOEXEC. The last one is what ls itself opens. */
static void test_no_descriptor_leaks(void **state)
{
	struct children *children = *state;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct child_exit exit;

	assert_true(fd >= 0);
	exit = run(children, COMMAND((char *)"/bin/ls", (char *)"/proc/self/fd"));
	close(fd);
	assert_string_equal(exit.output, "0 1 2 3");
}

/* A parent that was started with SIGCHLD ignored learns of the end all the same. It must not hang,
 * so the test gives it some seconds. */
static void test_ignored_sigchld(void **state)
{
	struct children *children = *state;
	struct child_exit exit;
	int status;
	pid_t pid;

	children_free(children);
	*state = NULL;
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		alarm(5);
		signal(SIGCHLD, SIG_IGN);
		if (children_new(1, &children) < 0 ||
		    children_spawn(children, COMMAND((char *)"/bin/true"), UINT64_MAX, NULL) < 0)
			_exit(1);
		while (!children_next(children, 0, &exit))
			support_wait(children_fd(children));
		children_free(children);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* What is read comes from a file and what is written goes to one; errors do not. */
static void test_files(void **state)
{
	char *directory = support_directory(), *in = support_path(directory, "in"),
	     *out = support_path(directory, "out"), *text;
	struct child_files files;
	struct child_exit exit;

	support_write(in, "given\n", 6);
	support_write(out, "", 0);
	files = (struct child_files){open(in, O_RDONLY | O_CLOEXEC),
				     open(out, O_WRONLY | O_CLOEXEC)};
	assert_true(files.input >= 0 && files.output >= 0);
	assert_int_equal(children_spawn_files(*state, SHELL("cat; echo wrong >&2"), &files,
					      UINT64_MAX, NULL),
			 0);
	exit = wait_exit(*state, 0);
	assert_int_equal(exit.status, 0);
	assert_string_equal(exit.output, "wrong");
	text = support_read(out, NULL);
	assert_string_equal(text, "given\n");
	assert_true(fcntl(files.input, F_GETFD) >= 0);
	close(files.input);
	close(files.output);
	free(text);
	free(in);
	free(out);
	support_remove(directory);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_idle, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_exit_status, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_cannot_start, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_places, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_time_limit, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_kills_the_group, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_output, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_much_output, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_endless_output, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_closed_output, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_daemonizing_child, set_up, tear_down),
		cmocka_unit_test(test_free_kills),
		cmocka_unit_test_setup_teardown(test_environment, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_descriptor_leaks, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_ignored_sigchld, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_files, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("children", tests, NULL, NULL);
}
