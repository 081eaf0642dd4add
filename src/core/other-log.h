/* An origin: where other probes than the kernel's come from. What one [source NAME] section of the
 * configuration says. */
#pragma once

#include "core/door.h"

#include <stdint.h>

enum { OTHER_LOGS_MAX = 16 };

/* The kernel's own log, which is no section's. */
enum { OTHER_LOG_KERNEL = 0 };

/* All pointers belong to the origin. */
struct other_log {
	char name[DOOR_NAME_MAX + 1];
	char **matches; /* "FIELD=value"; ends in NULL. One of each field must hold */
	char *pattern;	/* a regular expression */
	unsigned line;	/* of the configuration: where the pattern stands */
	uint64_t id;	/* of all that is above but the line; never OTHER_LOG_KERNEL */
};

/* Gives the origin its id. */
void other_log_seal(struct other_log *origin);

/* Frees what it owns, not the origin itself. */
void other_log_done(struct other_log *origin);
