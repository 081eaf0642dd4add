#include "ruleset/walk.h"

#include <limits.h>
#include <string.h>

#include "ruleset/answer.h"
#include "ruleset/move.h"
#include "ruleset/packet.h"

/* Deeper than any firewall jumps, and more rules than any packet meets; where jumps go in a circle,
 * which the kernel does not load, this is the end of it. */
enum { DEPTH_MAX = 32, STEPS_MAX = 1000000 };

/* Rules that may send one packet elsewhere. */
enum { MOVES_MAX = 16 };

/* One of the ways of a walk, up to here. */
struct way {
	const struct ruleset *ruleset;
	const struct table_view *table;
	const char *log_prefix;
	unsigned *n_steps;
	struct walk *walk;
	struct situation situation;
	struct outcome accepted;       /* so far, by the last chain that did so */
	bool has_fallen;	       /* through all chains so far */
	const struct rule_view *doubt; /* what decides whether it comes here; NULL: it does */

	/* Of the base chain that it is in. */
	bool is_nat;
	struct outcome chain_accepted;
	const struct rule_view *moves[MOVES_MAX];
	size_t n_moves;
	unsigned n_outcomes;
};

static bool is_unsure(enum answer certainty)
{
	return certainty != ANSWER_YES;
}

static void note_outcome(struct way *way, struct outcome *outcome, const struct rule_view *rule,
			 enum answer certainty, bool is_limited)
{
	bool was_asked = outcome->doubt && outcome->doubt == outcome->by;

	/* What comes of all that comes there is better to tell. */
	if (outcome->is_possible && (!was_asked || (rule && rule == way->doubt)))
		return;
	*outcome = (struct outcome){
		.is_possible = true,
		.by = rule,
		.doubt = is_unsure(certainty) ? way->doubt : NULL,
		.is_limited = is_limited,
		.is_for_set = rule && answer_asks_for_set(&way->situation, rule),
	};
}

static void note_log(struct way *way, const struct rule_view *rule, enum answer certainty,
		     const struct log_limits *limits)
{
	struct walk *walk = way->walk;
	bool better = !walk->logged || (walk->maybe_logged && !is_unsure(certainty));

	if (!better || !rule_view_logs(rule, way->log_prefix, way->situation.packet->by_nflog))
		return;
	walk->logged = rule;
	walk->maybe_logged = is_unsure(certainty);
	walk->unsure = walk->maybe_logged ? way->doubt : NULL;
	walk->limits = *limits;
}

/* The rule's own limits, and those that are there without it. */
static struct log_limits add_limits(const struct rule_view *rule,
				    const struct log_limits *inherited)
{
	return (struct log_limits){
		.by_source = rule->limits.by_source.is_there ? rule->limits.by_source
							     : inherited->by_source,
		.for_all =
			rule->limits.for_all.is_there ? rule->limits.for_all : inherited->for_all,
	};
}

/* What ends the way of all that is beyond a limit is a limit to what comes after it. */
static bool is_limit_of_the_rest(const struct rule_view *rule)
{
	return (rule->limits.by_source.is_over || rule->limits.for_all.is_over) &&
	       (rule->verdict == VERDICT_DROP || rule->verdict == VERDICT_RETURN);
}

/* A rule does what it does to a packet that comes there. */
struct step_taken {
	const struct rule_view *rule;
	enum answer matches, certainty; /* the rule; and that the packet comes there, too */
	struct log_limits limits;
	bool is_limited;
	unsigned depth;
};

static enum answer walk_chain(struct way *way, const struct chain_view *chain,
			      enum answer certainty, const struct step_taken *from);

static void take_verdict(struct way *way, const struct step_taken *step)
{
	const struct rule_view *rule = step->rule;
	enum verdict verdict = rule->verdict;

	way->n_outcomes++;
	if (verdict == VERDICT_MOVE && !way->situation.is_moved && way->n_moves < MOVES_MAX) {
		way->moves[way->n_moves++] = rule;
		return;
	}
	if (verdict != VERDICT_DROP)
		note_outcome(way, &way->chain_accepted, rule,
			     verdict == VERDICT_UNKNOWN ? ANSWER_MAYBE : step->certainty,
			     step->is_limited);
	if (verdict == VERDICT_DROP || verdict == VERDICT_UNKNOWN)
		note_outcome(way, &way->walk->dropped, rule, step->certainty, step->is_limited);
}

/* The chain that a jump leads to. Whether the packet comes back from there. */
static enum answer follow_jump(struct way *way, const struct step_taken *step)
{
	const struct chain_view *chain = table_find_chain(way->table, step->rule->target);
	const struct packet *packet = way->situation.packet;
	const char *accepting = packet->chain;

	if (accepting && strcmp(step->rule->target, accepting) == 0) {
		if (way->is_nat && !packet->sent_on)
			return step->certainty;
		if (way->is_nat) {
			take_verdict(way, &(struct step_taken){.rule = packet->sent_on,
							       .certainty = step->certainty});
			return ANSWER_NO;
		}
		way->n_outcomes++;
		note_outcome(way, &way->chain_accepted, step->rule, step->certainty, false);
		way->chain_accepted.is_for_set = true;
		return ANSWER_NO;
	}
	if (!chain || step->depth == DEPTH_MAX)
		return step->certainty;
	return walk_chain(way, chain, step->certainty, step);
}

/* Where a packet is in a chain: whether it still is, and whether it has left before the end. */
struct place {
	enum answer here, returned;
};

static enum answer greater(enum answer a, enum answer b)
{
	return a > b ? a : b;
}

static enum answer smaller(enum answer a, enum answer b)
{
	return a < b ? a : b;
}

static void place_leave(struct place *place, enum answer matches, enum answer returned)
{
	place->returned = greater(place->returned, returned);
	place->here = matches == ANSWER_YES ? ANSWER_NO : ANSWER_MAYBE;
}

static void take_jump(struct way *way, const struct step_taken *step, struct place *place)
{
	unsigned n_before = way->n_outcomes;
	enum answer back = follow_jump(way, step);

	if (step->rule->verdict == VERDICT_GOTO)
		place_leave(place, step->matches, back);
	else if (step->matches == ANSWER_YES)
		place->here = back;
	else if (way->n_outcomes > n_before)
		place->here = ANSWER_MAYBE;
}

static void take_step(struct way *way, const struct step_taken *step, struct place *place)
{
	const struct rule_view *rule = step->rule, *doubt = way->doubt;
	unsigned n_before = way->n_outcomes;

	if (step->matches == ANSWER_MAYBE && !doubt)
		way->doubt = rule;
	note_log(way, rule, step->certainty, &step->limits);
	situation_change(&way->situation, rule, step->certainty);
	switch (rule->verdict) {
	case VERDICT_NONE:
		break;
	case VERDICT_JUMP:
	case VERDICT_GOTO:
		take_jump(way, step, place);
		break;
	case VERDICT_RETURN:
		place_leave(place, step->matches, step->certainty);
		break;
	case VERDICT_UNKNOWN:
		if (!way->doubt)
			way->doubt = rule;
		take_verdict(way, step);
		place->here = ANSWER_MAYBE;
		break;
	default:
		take_verdict(way, step);
		place_leave(place, step->matches, ANSWER_NO);
		break;
	}
	/* All that may have come of it leads to the same. */
	if (way->n_outcomes == n_before && rule->verdict != VERDICT_RETURN &&
	    rule->verdict != VERDICT_GOTO)
		way->doubt = doubt;
}

/* Whether the packet comes to the chain's end, or back out of it. */
static enum answer walk_chain(struct way *way, const struct chain_view *chain,
			      enum answer certainty, const struct step_taken *from)
{
	const struct packet *packet = way->situation.packet;
	const struct rule_view *doubt = way->doubt;
	struct log_limits limits = from->limits;
	unsigned n_before = way->n_outcomes;
	struct place place = {certainty, ANSWER_NO};

	for (size_t i = 0; i < chain->n_rules && place.here > ANSWER_NO; i++) {
		const struct rule_view *rule = &chain->rules[i];
		struct step_taken step = {.rule = rule, .depth = from->depth + 1};

		if (++*way->n_steps > STEPS_MAX)
			break;
		step.matches = answer_conditions(&way->situation, rule);
		if (step.matches == ANSWER_YES && is_limit_of_the_rest(rule))
			limits = add_limits(rule, &limits);
		step.matches = smaller(step.matches, answer_limits(packet, rule));
		if (step.matches == ANSWER_NO)
			continue;
		step.certainty = smaller(step.matches, place.here);
		step.limits = add_limits(rule, &limits);
		step.is_limited = from->is_limited || answer_is_limited(rule);
		take_step(way, &step, &place);
	}
	if (way->n_outcomes == n_before) {
		way->doubt = doubt;
		return certainty;
	}
	return greater(place.here, place.returned);
}

/* Whether the chain is where the packet comes by. */
static enum answer chain_sees(const struct chain_view *chain, const struct packet *packet)
{
	bool is_at_device = chain->hook == HOOK_INGRESS || chain->hook == HOOK_EGRESS;

	if (!is_at_device)
		return ANSWER_YES;
	if (!packet->interface || chain->n_devices == 0)
		return ANSWER_MAYBE;
	for (size_t i = 0; i < chain->n_devices; i++)
		if (strcmp(chain->devices[i], packet->interface) == 0)
			return ANSWER_YES;
	return ANSWER_NO;
}

/* The base chain of the hook that comes after (priority, place) for the packet; NULL: none. */
static const struct chain_view *next_base(struct way *way, enum hook hook, int *priority,
					  size_t *place)
{
	const struct packet *packet = way->situation.packet;
	const struct chain_view *best = NULL;
	int best_priority = INT_MAX;
	size_t best_place = 0, n = 0;

	for (size_t i = 0; i < way->ruleset->n_tables; i++) {
		const struct table_view *table = &way->ruleset->tables[i];

		for (size_t j = 0; j < table->n_chains; j++) {
			const struct chain_view *chain = &table->chains[j];

			n++;
			if (!table->families[packet->family] || chain->hook != hook ||
			    chain_sees(chain, packet) == ANSWER_NO ||
			    (chain->is_nat && (way->situation.is_moved ||
					       way->situation.states == PACKET_UNTRACKED)) ||
			    chain->priority < *priority ||
			    (chain->priority == *priority && n <= *place) ||
			    (best && chain->priority >= best_priority))
				continue;
			best = chain;
			best_priority = chain->priority;
			best_place = n;
			way->table = table;
		}
	}
	*priority = best_priority;
	*place = best_place;
	return best;
}

/* The end of a way. */
static void way_end(const struct way *way)
{
	struct walk *walk = way->walk;

	if (way->accepted.is_possible && !walk->accepted.is_possible)
		walk->accepted = way->accepted;
	if (way->has_fallen && !walk->fallen.is_possible)
		walk->fallen = (struct outcome){.is_possible = true, .doubt = way->doubt};
	if (way->situation.states & PACKET_UNTRACKED)
		walk->may_be_untracked = true;
	if (way->situation.states & ~(unsigned)PACKET_UNTRACKED)
		walk->may_be_tracked = true;
}

/* Goes through a base chain. What nat has decided of the first packet holds for all. */
static enum answer way_enter(struct way *way, const struct chain_view *chain, enum answer certainty)
{
	const struct packet *packet = way->situation.packet;
	unsigned states = way->situation.states;
	enum answer end;

	way->is_nat = chain->is_nat;
	if (chain->is_nat) {
		way->situation.states = PACKET_NEW;
		way->situation.packet = packet->first ? packet->first : packet;
	}
	end = walk_chain(way, chain, certainty, &(struct step_taken){0});
	if (chain->is_nat)
		way->situation.states = states;
	way->situation.packet = packet;
	return end;
}

/* What a base chain has made of the packet. Whether it goes on to the next. */
static enum answer way_pass(struct way *way, const struct chain_view *chain, enum answer certainty)
{
	enum answer end = way_enter(way, chain, certainty);
	bool decides = chain->hook == HOOK_INPUT || chain->hook == HOOK_FORWARD ||
		       chain->hook == HOOK_OUTPUT || chain->policy == VERDICT_DROP;
	bool falls = end != ANSWER_NO && chain->policy != VERDICT_DROP;
	bool has_dropped = way->walk->dropped.is_possible;

	if (end != ANSWER_NO && chain->policy == VERDICT_DROP) {
		note_outcome(way, &way->walk->dropped, NULL, end, false);
		if (!way->walk->dropped.by) {
			way->walk->dropped.table = way->table;
			way->walk->dropped.chain = chain;
		}
		has_dropped = true;
	}
	if (way->chain_accepted.is_possible && decides) {
		if (!falls || !way->accepted.is_possible)
			way->accepted = way->chain_accepted;
		way->has_fallen = way->has_fallen && falls;
	}
	if (!falls && !way->chain_accepted.is_possible)
		return ANSWER_NO;
	return has_dropped || way->n_moves > 0 ? ANSWER_MAYBE : certainty;
}

/* Where the packet goes on. */
static enum hook next_hook(const struct way *way, enum hook hook)
{
	switch (hook) {
	case HOOK_INGRESS:
		return HOOK_PREROUTING;
	case HOOK_PREROUTING:
		return way->situation.is_away ? HOOK_FORWARD : HOOK_INPUT;
	case HOOK_FORWARD:
	case HOOK_OUTPUT:
		return HOOK_POSTROUTING;
	case HOOK_POSTROUTING:
		return HOOK_EGRESS;
	default:
		return HOOK_NONE;
	}
}

/* Before connections are looked up, no packet is known to be of one. */
static void way_come_to(struct way *way, enum hook hook)
{
	const struct packet *packet = way->situation.packet;

	if (hook == HOOK_INGRESS)
		way->situation.states = PACKET_INVALID;
	else if (hook == HOOK_PREROUTING)
		situation_find_connection(&way->situation);
	if (hook == HOOK_FORWARD || hook == HOOK_POSTROUTING || hook == HOOK_EGRESS)
		way->situation.is_forwarded = !packet->leaves;
}

/* Follows all ways from there: each move makes one of its own. */
static void way_go(struct way *way, enum answer certainty, enum hook hook, int priority,
		   size_t place)
{
	while (hook != HOOK_NONE) {
		const struct chain_view *chain = next_base(way, hook, &priority, &place);
		enum answer next, sees;

		if (!chain) {
			hook = next_hook(way, hook);
			way_come_to(way, hook);
			priority = INT_MIN;
			place = 0;
			continue;
		}
		way->situation.set_prefix = way->table->set_prefix;
		way->chain_accepted = (struct outcome){0};
		way->n_moves = 0;
		way->n_outcomes = 0;
		sees = chain_sees(chain, way->situation.packet);
		next = way_pass(way, chain, smaller(certainty, sees));
		if (sees == ANSWER_MAYBE)
			next = ANSWER_MAYBE;
		for (size_t i = 0; i < way->n_moves; i++) {
			struct way moved = *way;
			bool is_only = next == ANSWER_NO && way->n_moves == 1 &&
				       !way->walk->dropped.is_possible;

			situation_move(&moved.situation, way->moves[i], way->ruleset);
			if (!way->walk->moved) {
				way->walk->moved = way->moves[i];
				way->walk->is_away = moved.situation.is_away;
			}
			way_go(&moved, is_only ? certainty : ANSWER_MAYBE, hook, priority, place);
		}
		if (next == ANSWER_NO)
			return;
		certainty = next;
	}
	way_end(way);
}

void ruleset_walk(const struct ruleset *ruleset, const struct packet *packet,
		  const char *log_prefix, struct walk *ret)
{
	unsigned n_steps = 0;
	struct way way = {.ruleset = ruleset,
			  .log_prefix = log_prefix,
			  .n_steps = &n_steps,
			  .walk = ret,
			  .has_fallen = true};

	*ret = (struct walk){0};
	situation_begin(&way.situation, packet, ruleset);
	way_come_to(&way, packet->leaves ? HOOK_OUTPUT : HOOK_INGRESS);
	way_go(&way, ANSWER_YES, packet->leaves ? HOOK_OUTPUT : HOOK_INGRESS, INT_MIN, 0);
	if (!ret->dropped.is_possible)
		ret->verdict = VERDICT_ACCEPT;
	else if (!ret->accepted.is_possible && !ret->fallen.is_possible)
		ret->verdict = VERDICT_DROP;
	else
		ret->verdict = VERDICT_UNKNOWN;
}
