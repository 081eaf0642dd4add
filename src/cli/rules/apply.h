/* Loading rules, and taking them back unless somebody confirms that they can still get in. */
#pragma once

#include "cli/rules/plan.h"
#include "cli/verb.h"

#include <stdbool.h>
#include <stdint.h>

struct application {
	const struct plan *plan;
	enum variant variant;
	bool install;  /* once they are confirmed, have them loaded at each boot, too */
	bool by_knock; /* a knock that opens a door confirms them, without the word for it */
	bool agreed;   /* they are confirmed as soon as they are loaded */
	uint64_t confirm_us;
};

/* Loads the plan, asks on the terminal unless that is agreed, and takes everything back unless
 * "yes" is typed in time, or a knock opens a door: also if the terminal goes away or this process
 * is killed. */
enum status apply(const struct application *application);
