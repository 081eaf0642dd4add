/* What rules make of a packet on its way: its mark, its destination, and by where it leaves. */
#pragma once

#include "ruleset/condition.h"

struct packet;
struct rule_view;
struct ruleset;
struct situation;

void situation_begin(struct situation *situation, const struct packet *packet,
		     const struct ruleset *ruleset);

/* The connection that it is of, or begins, is looked up. */
void situation_find_connection(struct situation *situation);

/* What the rule changes of a packet that goes on. */
void situation_change(struct situation *situation, const struct rule_view *rule,
		      enum answer certainty);

/* The packet goes where the rule sends it. */
void situation_move(struct situation *situation, const struct rule_view *rule,
		    const struct ruleset *ruleset);
