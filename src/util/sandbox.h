/* What works for root and not for a command of the daemon's: it runs as the daemon's user, in the
 * sandbox of knocktaild.service. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { SANDBOX_WORD_MAX = 64 };

struct sandbox_finding {
	char word[SANDBOX_WORD_MAX]; /* of the command, as far as it can be printed */
	const char *why;	     /* it cannot work, and what does; behind "WORD " */
};

/* The first word of a shell's command, or of an argument vector, that cannot work there. False:
 * nothing is known against it. */
bool sandbox_find_in_text(const char *text, struct sandbox_finding *ret);
bool sandbox_find_in_command(char *const *argv, struct sandbox_finding *ret);
