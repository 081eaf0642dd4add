/* Commands as the daemon's user finds them, which is not how root does. */
#pragma once

struct opening;

enum { DAEMON_USER_PROBLEM_MAX = 512 };

/* Whether the daemon's user may execute the programs of a door's commands, and read the files that
 * these name: found out by a child that becomes this user. Where this user cannot do that, or the
 * daemon's does not exist, it is asked for this user. 0, or -EACCES with `problem`, or another
 * negative errno. */
int daemon_user_check(const struct opening *opening, char problem[static DAEMON_USER_PROBLEM_MAX]);
