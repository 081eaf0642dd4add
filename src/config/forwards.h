/* Checks of the doors that open what is behind this machine. */
#pragma once

#include <stdbool.h>

struct complaints;
struct draft;

/* Complains of what cannot be forwarded, or guarded for Docker; and, if `on_this_machine`, of what
 * would be forwarded to this machine itself. */
void draft_check_forwards(const struct draft *draft, bool on_this_machine,
			  struct complaints *complaints);
