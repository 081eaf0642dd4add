/* The options of verbs, as tables: one row each. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/verb.h"

#define VERB_OPTIONS_MAX 15

/* How an option is spelt, and where its argument goes. Texts are those of argv. A table of rows
 * ends with one that has no name. */
struct verb_option {
	const char *name;
	char letter; /* 0: it has no short form */

	bool *given;	   /* becomes true; alone: it takes no argument */
	const char **text; /* of this and what follows, one at most */
	bool *json;	   /* text or json */
	uint64_t *time_us; /* a point in time, as timestamp.h has it */
	uint64_t *span_us; /* a time span from 1s to 1h */
	/* 0; <0 after a complaint. */
	int (*parse)(const char *argument, void *userdata);
	void *userdata;
};

/* Reads a verb's options; -h and --help are among them without a row. optind is then the first
 * argument that is not an option. False: *ret_status is what the verb's run() returns. */
bool options_read(const struct verb *verb, int argc, char *argv[],
		  const struct verb_option options[], enum status *ret_status);

/* Warns that this user can read no file of the journal. */
void verb_warn_blind(const struct verb *verb);
