/* Loading rules, and taking them back unless somebody confirms that they can still get in. */
#pragma once

#include "cli/rules/plan.h"
#include "cli/verb.h"

#include <stdbool.h>
#include <stdint.h>

/* Loads the plan, asks on the terminal, and takes everything back unless "yes" is typed in time:
 * also if the terminal goes away or this process is killed. If `install`, they are loaded at each
 * boot, too, once confirmed. */
enum status apply(const struct plan *plan, enum variant variant, bool install, uint64_t confirm_us);
