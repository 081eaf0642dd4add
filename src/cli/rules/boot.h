/* Having the rules loaded at each boot, before the network comes up. */
#pragma once

#include "cli/rules/plan.h"
#include "cli/rules/removal.h"
#include "util/program.h"

/* Whether that can be done. 0, or a negative errno with the problem in words: nothing was changed.
 */
int boot_check(enum variant variant, char problem[static PROGRAM_PROBLEM_MAX]);

/* Writes the rules and what loads them, in place of what was installed before. The firewall as it
 * is stays as it is. 0, or a negative errno with the problem in words; some of it may be done. */
int boot_install(const struct plan *plan, enum variant variant,
		 char problem[static PROGRAM_PROBLEM_MAX]);

/* Whether what is installed is what would be written now. */
enum boot_age {
	BOOT_ABSENT, /* nothing is installed */
	BOOT_CURRENT,
	BOOT_OTHER,   /* it is of another configuration, or has been changed */
	BOOT_UNKNOWN, /* it cannot be read, or not be written now */
};

/* Asks that for the variant and the open ports with which it was installed. Unless it is absent,
 * `command` becomes what would write it again, of the verb rules. */
enum { BOOT_COMMAND_SIZE = 2048 };
enum boot_age boot_compare(const struct config *config, char command[static BOOT_COMMAND_SIZE]);

/* Takes it out again, as far as it is there and of this variant. */
void boot_remove(enum variant variant, struct removal *removal);
