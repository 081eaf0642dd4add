/* What a firewall was before rules were loaded, and putting that back. */
#pragma once

#include "cli/rules/plan.h"
#include "util/program.h"

struct undo;

/* Each returns 0 or a negative errno, with undo_problem() in words.
 *
 * Notes what is there. Nothing is changed. */
int undo_new(const struct plan *plan, enum variant variant, struct undo **ret,
	     char problem[static PROGRAM_PROBLEM_MAX]);
struct undo *undo_free(struct undo *undo);

/* Loads the rules. If it fails, some of them may have been loaded. */
int undo_load(struct undo *undo);

/* Puts back what was there, however far loading has come; goes on if a part of that fails. */
int undo_restore(struct undo *undo);

/* Does what keeps the rules beyond the firewall's next start, where that is ours to do. */
int undo_keep(struct undo *undo);

const char *undo_problem(const struct undo *undo);
