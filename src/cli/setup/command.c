#include "cli/setup/command.h"

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/children.h"
#include "util/cleanup.h"

const char command_knocktail[] = "knocktail";

static int command_wait(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int command_run(const char *const argv[], const char *input)
{
	CLEANUP(cleanup_close) int input_fd = input ? children_file(input) : -1;
	const char *path = argv[0] == command_knocktail ? "/proc/self/exe" : argv[0];
	posix_spawn_file_actions_t actions;
	pid_t pid;
	int r;

	if (input && input_fd < 0)
		return input_fd;
	fflush(stdout);
	posix_spawn_file_actions_init(&actions);
	if (input)
		posix_spawn_file_actions_adddup2(&actions, input_fd, STDIN_FILENO);
	r = posix_spawn(&pid, path, &actions, NULL, (char *const *)argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	return r == 0 ? command_wait(pid) : -r;
}

void command_print(const char *const argv[])
{
	const char *name = strrchr(argv[0], '/');

	printf("  %s", name ? name + 1 : argv[0]);
	for (size_t i = 1; argv[i]; i++) {
		const char *quote = strchr(argv[i], ' ') ? "'" : "";

		printf(" %s%s%s", quote, argv[i], quote);
	}
	putchar('\n');
}
