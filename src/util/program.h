/* Another program, run to its end without a shell. */
#pragma once

#include <stddef.h>

enum { PROGRAM_PROBLEM_MAX = 512 };

/* Runs argv[0], an absolute path, with `input` (NULL: nothing) as standard input, for 30 seconds at
 * most. The exit status, or a negative errno: it could not be run, or was killed. *ret_output (may
 * be NULL) is all that it printed, to be freed, in every case but a negative errno. `problem` says
 * what went wrong, unless the exit status is 0. */
int program_run(const char *const argv[], const char *input, char **ret_output,
		char problem[static PROGRAM_PROBLEM_MAX]);
