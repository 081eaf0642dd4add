/* Loading rules, and taking them back unless somebody confirms that they can still get in. */
#pragma once

#include "cli/rules/plan.h"
#include "cli/verb.h"

#include <stdint.h>

/* Loads the plan, asks on the terminal, and takes everything back unless "yes" is typed in time:
 * also if the terminal goes away or this process is killed. */
enum status apply(const struct plan *plan, enum variant variant, uint64_t confirm_us);
