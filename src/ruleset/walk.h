/* What becomes of a packet in a ruleset: every way that it may take is followed, and where a rule
 * asks something that is not understood, there are two. */
#pragma once

#include "ruleset/ruleset.h"

#include <stdbool.h>

struct packet;

/* What may become of it. Rules are those of the ruleset. */
struct outcome {
	bool is_possible;
	const struct rule_view *by;	/* NULL: the end of a base chain */
	const struct table_view *table; /* whose chain it is that drops at its end, or NULL */
	const struct chain_view *chain; /* that chain, or NULL */
	const struct rule_view *doubt;	/* the rule that it depends on; NULL: none */
	bool is_limited;		/* so many times an hour */
	bool is_for_set;		/* of those who are in the packet's set alone */
};

struct walk {
	enum verdict verdict;	 /* accept or drop, or unknown where both are possible */
	struct outcome accepted; /* by a rule */
	struct outcome fallen;	 /* let in where no rule decided */
	struct outcome dropped;
	const struct rule_view *moved;	       /* has sent it elsewhere, or may have; NULL: none */
	bool is_away;			       /* to another machine */
	bool may_be_tracked, may_be_untracked; /* where it is let in */
	const struct rule_view *logged; /* the first that logged it with the prefix; NULL: none */
	bool maybe_logged;
	const struct rule_view *unsure; /* why: that one, or one that decides before it */
	struct log_limits limits;	/* of that and of what led to it; texts are the ruleset's */
};

void ruleset_walk(const struct ruleset *ruleset, const struct packet *packet,
		  const char *log_prefix, struct walk *ret);
