#include "cli/setup/command.h"

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

const char command_knocktail[] = "knocktail";

static int command_wait(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int command_run(const char *const argv[])
{
	const char *path = argv[0] == command_knocktail ? "/proc/self/exe" : argv[0];
	pid_t pid;
	int r;

	fflush(stdout);
	r = posix_spawn(&pid, path, NULL, NULL, (char *const *)argv, environ);
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
