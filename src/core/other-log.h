/* Another log: entries of the journal that hold probes and are not this kernel's. What one
 * [log NAME] section of the configuration says. */
#pragma once

#include "core/door.h"

#include <stdint.h>

enum { OTHER_LOGS_MAX = 16 };

/* This kernel's own log, which has no section. */
enum { OTHER_LOG_KERNEL = 0 };

/* How its lines are read. */
enum log_form { LOG_FORM_PATTERN, LOG_FORM_KERNEL, N_LOG_FORMS };

/* All pointers belong to the log. */
struct other_log {
	char name[DOOR_NAME_MAX + 1];
	char **matches; /* "FIELD=value"; ends in NULL. One of each field must hold */
	enum log_form form;
	char *pattern; /* a regular expression; NULL where the form is another */
	unsigned line; /* of the configuration: where it says how lines are read */
	uint64_t id;   /* of all that is above but the line; never OTHER_LOG_KERNEL */
};

/* Gives the log its id. */
void other_log_seal(struct other_log *log);

/* Frees what it owns, not the log itself. */
void other_log_done(struct other_log *log);
