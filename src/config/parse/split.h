/* The command lines of a configuration. MUST: no shell ever reads one. */
#pragma once

#include <stddef.h>

/* Splits a command line at its blanks; '...' and "..." group, and a backslash takes the next
 * character as it is, except within '...'. The vector ends in NULL, starts with an absolute path
 * and keeps its tokens: %IP%, %DOOR%, %TIMEOUT%, %USER% and %%. 0; -EINVAL, with *ret_fault saying
 * why; -ENOMEM.
 *
 * *ret_shell is the number of the first argument that was meant for a shell and reaches none, such
 * as ">"; 0 if there is none. */
int command_split(const char *text, char ***ret_argv, size_t *ret_shell, const char **ret_fault);
