/* Checks of the commands of doors, as the daemon will run them. */
#pragma once

struct complaints;
struct draft;

/* Warns of those that cannot work where the daemon runs them, and of those that do not say for whom
 * they open. */
void draft_check_commands(const struct draft *draft, struct complaints *complaints);
