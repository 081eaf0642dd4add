#include "cli/common/daemon-user.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/door.h"
#include "util/cleanup.h"

#define DAEMON_USER "knocktail"

/* The first thing that is wrong with one command. False: nothing. */
static bool command_complain(char *const *argv, const char *as, int out)
{
	if (faccessat(AT_FDCWD, argv[0], X_OK, AT_EACCESS) < 0) {
		dprintf(out, "cannot run %s%s: %s", argv[0], as, strerror(errno));
		return true;
	}
	/* A file that is not there may be one to be written. */
	for (char *const *argument = argv + 1; *argument; argument++)
		if ((*argument)[0] == '/' && faccessat(AT_FDCWD, *argument, R_OK, AT_EACCESS) < 0 &&
		    errno == EACCES) {
			dprintf(out, "%s cannot read %s%s: %s", argv[0], *argument, as,
				strerror(errno));
			return true;
		}
	return false;
}

/* In the child. */
static void opening_complain(const struct opening *opening, const struct passwd *user, int out)
{
	const char *as = user ? " as the daemon's user, " DAEMON_USER : "";

	if (user && (initgroups(user->pw_name, user->pw_gid) < 0 || setgid(user->pw_gid) < 0 ||
		     setuid(user->pw_uid) < 0)) {
		dprintf(out, "cannot become the user " DAEMON_USER ": %s", strerror(errno));
		return;
	}
	for (enum family family = 0; family < N_FAMILIES; family++) {
		char *const *start = opening->start_command[family];
		char *const *stop = opening->stop_command[family];

		if ((start && command_complain(start, as, out)) ||
		    (stop && command_complain(stop, as, out)))
			return;
	}
}

int daemon_user_check(const struct opening *opening, char problem[static DAEMON_USER_PROBLEM_MAX])
{
	CLEANUP(cleanup_close) int in = -1;
	const struct passwd *user = geteuid() == 0 ? getpwnam(DAEMON_USER) : NULL;
	size_t used = 0;
	ssize_t n;
	int ends[2];
	pid_t child;

	if (opening->backend != BACKEND_COMMAND)
		return 0;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	in = ends[0];
	child = fork();
	if (child == 0) {
		opening_complain(opening, user, ends[1]);
		_exit(0);
	}
	close(ends[1]);
	if (child < 0)
		return -EAGAIN;
	while (used < DAEMON_USER_PROBLEM_MAX - 1 &&
	       (n = read(in, problem + used, DAEMON_USER_PROBLEM_MAX - 1 - used)) > 0)
		used += (size_t)n;
	problem[used] = '\0';
	waitpid(child, NULL, 0);
	return used > 0 ? -EACCES : 0;
}
