/* What a firewall was before rules were loaded, and putting that back. */
#pragma once

#include "cli/rules/plan.h"
#include "util/program.h"

struct transaction;

/* Each returns 0 or a negative errno, with transaction_problem() in words.
 *
 * Notes what is there. Nothing is changed. */
int transaction_new(const struct plan *plan, enum variant variant, struct transaction **ret,
		    char problem[static PROGRAM_PROBLEM_MAX]);
struct transaction *transaction_free(struct transaction *transaction);

/* Loads the rules. If it fails, some of them may have been loaded. */
int transaction_load(struct transaction *transaction);

/* Puts back what was there, however far loading has come; goes on if a part of that fails. */
int transaction_restore(struct transaction *transaction);

const char *transaction_problem(const struct transaction *transaction);
