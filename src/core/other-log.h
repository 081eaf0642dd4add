/* Another log: entries of the journal that hold probes and are not this kernel's. What one
 * [log NAME] section of the configuration says. */
#pragma once

#include "core/door.h"

#include <stdint.h>

enum { OTHER_LOGS_MAX = 16 };

/* This kernel's own log, which has no section. */
enum { OTHER_LOG_KERNEL = 0 };

/* All pointers belong to the log. */
struct other_log {
	char name[DOOR_NAME_MAX + 1];
	char **matches; /* "FIELD=value"; ends in NULL. One of each field must hold */
	char *pattern;	/* a regular expression */
	unsigned line;	/* of the configuration: where the pattern stands */
	uint64_t id;	/* of all that is above but the line; never OTHER_LOG_KERNEL */
};

/* Gives the log its id. */
void other_log_seal(struct other_log *log);

/* Frees what it owns, not the log itself. */
void other_log_done(struct other_log *log);
