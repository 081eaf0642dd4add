#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka-all.h"

enum { WAIT_MS = 20000, WORDS_MAX = 32 };

static const char ipset_path[] = "/usr/sbin/ipset";

char *support_directory(void)
{
	const char *parent = getenv("TMPDIR");
	char *path = NULL;

	assert_true(asprintf(&path, "%s/knocktail-XXXXXX", parent ? parent : "/tmp") > 0);
	assert_non_null(mkdtemp(path));
	return path;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
	(void)st;
	(void)type;
	(void)walk;
	return remove(path);
}

void support_remove(char *directory)
{
	assert_int_equal(nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
	free(directory);
}

char *support_path(const char *directory, const char *name)
{
	char *path = NULL;

	assert_true(asprintf(&path, "%s/%s", directory, name) > 0);
	return path;
}

void support_write(const char *path, const void *data, size_t length)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_true(fwrite(data, 1, length, file) == length);
	assert_int_equal(fclose(file), 0);
}

char *support_read(const char *path, size_t *ret_length)
{
	FILE *file = fopen(path, "re");
	struct stat st;
	char *data;

	if (!file)
		return NULL;
	assert_int_equal(fstat(fileno(file), &st), 0);
	data = calloc(1, (size_t)st.st_size + 1);
	assert_non_null(data);
	assert_true(fread(data, 1, (size_t)st.st_size, file) == (size_t)st.st_size);
	fclose(file);
	if (ret_length)
		*ret_length = (size_t)st.st_size;
	return data;
}

bool support_exists(const char *path)
{
	return access(path, F_OK) == 0;
}

void support_wait(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

	if (poll(&poll_fd, 1, WAIT_MS) != 1)
		fail_msg("nothing happened for %d s", WAIT_MS / 1000);
}

int support_run(char *const argv[], const char *input, const char *output)
{
	char *const environment[] = {(char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};
	posix_spawn_file_actions_t actions;
	int r, status;
	pid_t pid;

	assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, input ? input : "/dev/null",
					 O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output ? output : "/dev/null",
					 O_WRONLY | O_CREAT | O_TRUNC, 0600);
	posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
	r = posix_spawn(&pid, argv[0], &actions, NULL, argv, environment);
	posix_spawn_file_actions_destroy(&actions);
	if (r != 0)
		return 127;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

bool support_private_network(void)
{
	if (unshare(CLONE_NEWNET) < 0) {
		print_message("no network namespace of one's own: %s\n", strerror(errno));
		return false;
	}
	if (!support_exists(ipset_path)) {
		print_message("%s is not installed\n", ipset_path);
		return false;
	}
	if (support_ipset("list -n") != 0) {
		print_message("ipset does not work here\n");
		return false;
	}
	return true;
}

bool support_private_mounts(void)
{
	return unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

int support_ipset(const char *line)
{
	char *argv[WORDS_MAX + 2] = {(char *)ipset_path};
	char *words = strdup(line), *rest = NULL;
	size_t n = 1;
	int status;

	assert_non_null(words);
	for (char *word = strtok_r(words, " ", &rest); word && n <= WORDS_MAX;
	     word = strtok_r(NULL, " ", &rest))
		argv[n++] = word;
	status = support_run(argv, NULL, NULL);
	free(words);
	return status;
}
