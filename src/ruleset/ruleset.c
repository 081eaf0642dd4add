#include "ruleset/ruleset.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

/* Deeper than any firewall jumps, and more rules than any packet meets; where jumps go in a circle,
 * which the kernel does not load, this is the end of it. */
enum { DEPTH_MAX = 32, STEPS_MAX = 1000000 };

struct table_view *ruleset_add_table(struct ruleset *ruleset)
{
	struct table_view *tables =
		reallocarray(ruleset->tables, ruleset->n_tables + 1, sizeof *tables);

	if (!tables)
		return NULL;
	ruleset->tables = tables;
	tables[ruleset->n_tables] = (struct table_view){0};
	return &tables[ruleset->n_tables++];
}

struct chain_view *table_find_chain(const struct table_view *table, const char *name)
{
	for (size_t i = 0; i < table->n_chains; i++)
		if (strcmp(table->chains[i].name, name) == 0)
			return &table->chains[i];
	return NULL;
}

struct chain_view *table_add_chain(struct table_view *table, const char *name)
{
	struct chain_view *chains =
		reallocarray(table->chains, table->n_chains + 1, sizeof *chains);
	char *copy = strdup(name);

	if (chains)
		table->chains = chains;
	if (!chains || !copy) {
		free(copy);
		return NULL;
	}
	chains[table->n_chains] = (struct chain_view){.name = copy, .policy = VERDICT_ACCEPT};
	return &chains[table->n_chains++];
}

struct rule_view *chain_add_rule(struct chain_view *chain)
{
	struct rule_view *rules = reallocarray(chain->rules, chain->n_rules + 1, sizeof *rules);

	if (!rules)
		return NULL;
	chain->rules = rules;
	rules[chain->n_rules] = (struct rule_view){.log_level = 4};
	return &rules[chain->n_rules++];
}

struct condition *rule_view_add(struct rule_view *rule, enum condition_kind kind, bool negated)
{
	struct condition *conditions =
		reallocarray(rule->conditions, rule->n_conditions + 1, sizeof *conditions);

	if (!conditions)
		return NULL;
	rule->conditions = conditions;
	conditions[rule->n_conditions] = (struct condition){.kind = kind, .negated = negated};
	return &conditions[rule->n_conditions++];
}

int rule_view_add_number(struct rule_view *rule, enum condition_kind kind, bool negated,
			 uint32_t number)
{
	struct condition *condition = rule_view_add(rule, kind, negated);

	if (condition)
		condition->number = number;
	return condition ? 0 : -ENOMEM;
}

int rule_view_add_text(struct rule_view *rule, enum condition_kind kind, bool negated,
		       const char *text)
{
	struct condition *condition = rule_view_add(rule, kind, negated);

	return condition ? ruleset_set_text(&condition->text, text) : -ENOMEM;
}

int ruleset_set_text(char **field, const char *text)
{
	free(*field);
	*field = strdup(text);
	return *field ? 0 : -ENOMEM;
}

static void passage_done(struct rule_view *rule)
{
	for (size_t i = 0; i < rule->n_conditions; i++)
		free(rule->conditions[i].text);
	free(rule->conditions);
	free(rule->limits.by_source.table);
	free(rule->log_prefix);
	free(rule->target);
	free(rule->text);
}

void ruleset_done(struct ruleset *ruleset)
{
	for (size_t i = 0; i < ruleset->n_tables; i++) {
		struct table_view *table = &ruleset->tables[i];

		for (size_t j = 0; j < table->n_chains; j++) {
			for (size_t k = 0; k < table->chains[j].n_rules; k++)
				passage_done(&table->chains[j].rules[k]);
			free(table->chains[j].rules);
			free(table->chains[j].name);
		}
		free(table->chains);
		free(table->name);
		free(table->set_prefix);
	}
	free(ruleset->tables);
	*ruleset = (struct ruleset){0};
}

/* A walk under way. */
struct way {
	const struct ruleset *ruleset;
	const struct table_view *table;
	const struct packet *packet;
	const char *log_prefix;
	unsigned n_steps;
	struct walk *walk;
};

static enum answer answer_of(bool holds)
{
	return holds ? ANSWER_YES : ANSWER_NO;
}

static enum answer answer_ports(const struct condition *condition, const struct packet *packet)
{
	if (packet->protocol != IPPROTO_TCP && packet->protocol != IPPROTO_UDP)
		return ANSWER_NO;
	for (size_t i = 0; i < condition->n_ranges; i++)
		if (packet->port >= condition->ranges[i].first &&
		    packet->port <= condition->ranges[i].last)
			return ANSWER_YES;
	return condition->number ? ANSWER_MAYBE : ANSWER_NO;
}

static enum answer answer_name(const char *name, size_t length, const char *interface)
{
	bool is_pattern = length > 0 && name[length - 1] == '*';

	if (length == 2 && memcmp(name, "lo", 2) == 0)
		return ANSWER_NO;
	if (length == 1 && is_pattern)
		return ANSWER_YES;
	if (!interface)
		return ANSWER_MAYBE;
	return answer_of(strncmp(name, interface, length - is_pattern) == 0 &&
			 (is_pattern || !interface[length]));
}

static enum answer answer_interface(const struct condition *condition, const struct packet *packet)
{
	enum answer best = ANSWER_NO;
	const char *name = condition->text;

	while (*name) {
		size_t length = strcspn(name, " ");
		enum answer one = answer_name(name, length, packet->interface);

		if (one > best)
			best = one;
		name += length + (name[length] == ' ');
	}
	return best;
}

static enum answer answer_target(const struct condition *condition, const struct packet *packet)
{
	struct network network;

	if (!packet->target || network_parse(condition->text, &network) < 0)
		return ANSWER_MAYBE;
	return answer_of(network_contains(&network, packet->target));
}

/* Whether the set that the condition names is this one, which may be none. */
static bool names_set(const struct way *way, const struct condition *condition, const char *set)
{
	const char *prefix = way->table->set_prefix;
	size_t length = strlen(prefix);

	return set && strncmp(set, prefix, length) == 0 &&
	       strcmp(set + length, condition->text) == 0;
}

static enum answer answer_port_set(const struct way *way, const struct condition *condition)
{
	if (!names_set(way, condition, way->packet->port_set))
		return ANSWER_MAYBE;
	return answer_of(way->packet->in_port_set);
}

static enum answer answer_plain(const struct way *way, const struct condition *condition)
{
	const struct packet *packet = way->packet;

	switch (condition->kind) {
	case CONDITION_FAMILY:
		return answer_of(condition->number == (uint32_t)packet->family);
	case CONDITION_PROTOCOL:
		return answer_of(condition->number == packet->protocol);
	case CONDITION_PORTS:
		return answer_ports(condition, packet);
	case CONDITION_FLAGS:
		return answer_of(packet->protocol == IPPROTO_TCP &&
				 (packet->flags & condition->mask) == condition->number);
	case CONDITION_ANY_FLAGS:
		return answer_of(packet->protocol == IPPROTO_TCP &&
				 packet->flags & condition->mask);
	case CONDITION_STATE:
		return answer_of(packet->state & condition->mask);
	case CONDITION_INTERFACE:
		return answer_interface(condition, packet);
	case CONDITION_STRANGER:
		/* Who has knocked may come from there. */
		if (packet->set && !condition->number)
			return ANSWER_MAYBE;
		return answer_of(condition->number);
	case CONDITION_TARGET:
		return answer_target(condition, packet);
	case CONDITION_SET:
		return answer_of(names_set(way, condition, packet->set));
	case CONDITION_PORT_SET:
		return answer_port_set(way, condition);
	default:
		return ANSWER_MAYBE;
	}
}

static enum answer answer_rule(const struct way *way, const struct rule_view *rule)
{
	enum answer worst = ANSWER_YES;

	for (size_t i = 0; i < rule->n_conditions; i++) {
		enum answer one = answer_plain(way, &rule->conditions[i]);

		if (rule->conditions[i].negated)
			one = (enum answer)(ANSWER_YES - one);
		if (one < worst)
			worst = one;
	}
	return worst;
}

static void note_log(struct way *way, const struct rule_view *rule, enum answer certainty,
		     const struct log_limits *limits)
{
	bool better = !way->walk->logged || (way->walk->maybe_logged && certainty == ANSWER_YES);

	if (!rule->log_prefix || strcmp(rule->log_prefix, way->log_prefix) != 0 || !better)
		return;
	way->walk->logged = rule;
	way->walk->maybe_logged = certainty != ANSWER_YES;
	way->walk->limits = *limits;
}

static enum verdict walk_chain(struct way *way, const struct chain_view *chain,
			       enum answer certainty, const struct log_limits *inherited,
			       unsigned depth);

/* What a jump leads to; VERDICT_NONE: back again. */
static enum verdict way_follow(struct way *way, const struct rule_view *rule, enum answer certainty,
			       const struct log_limits *limits, unsigned depth)
{
	const struct chain_view *chain = table_find_chain(way->table, rule->target);
	enum verdict verdict;

	if (way->packet->chain && strcmp(rule->target, way->packet->chain) == 0) {
		way->walk->by = rule;
		return certainty == ANSWER_YES ? VERDICT_ACCEPT : VERDICT_NONE;
	}
	if (!chain || depth == DEPTH_MAX)
		return VERDICT_NONE;
	verdict = walk_chain(way, chain, certainty, limits, depth + 1);
	if (verdict == VERDICT_NONE && rule->verdict == VERDICT_GOTO && certainty == ANSWER_YES)
		return VERDICT_RETURN;
	return verdict;
}

static bool is_limited(const struct rule_view *rule)
{
	return rule->limits.by_source.is_there || rule->limits.for_all.is_there;
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

static enum verdict apply_rule(struct way *way, const struct rule_view *rule, enum answer certainty,
			       const struct log_limits *inherited, unsigned depth)
{
	struct log_limits limits = add_limits(rule, inherited);

	note_log(way, rule, certainty, &limits);
	if (rule->verdict == VERDICT_JUMP || rule->verdict == VERDICT_GOTO)
		return way_follow(way, rule, certainty, &limits, depth);
	/* Only so many packets get there: it is not what decides. */
	if (is_limited(rule) && rule->verdict != VERDICT_NONE)
		certainty = ANSWER_MAYBE;
	if (certainty == ANSWER_YES && rule->verdict != VERDICT_NONE) {
		way->walk->by = rule;
		return rule->verdict;
	}
	if ((rule->verdict == VERDICT_ACCEPT || rule->verdict == VERDICT_DROP ||
	     rule->verdict == VERDICT_AWAY) &&
	    !way->walk->maybe)
		way->walk->maybe = rule;
	return VERDICT_NONE;
}

/* What ends the way of all that is beyond a limit is a limit to what comes after it. */
static bool is_limit_of_the_rest(const struct rule_view *rule)
{
	return (rule->limits.by_source.is_over || rule->limits.for_all.is_over) &&
	       rule->verdict != VERDICT_NONE && rule->verdict != VERDICT_JUMP &&
	       rule->verdict != VERDICT_GOTO;
}

/* Accept, drop, away, or VERDICT_NONE: the end was reached. */
static enum verdict walk_chain(struct way *way, const struct chain_view *chain,
			       enum answer certainty, const struct log_limits *inherited,
			       unsigned depth)
{
	struct log_limits limits = *inherited;

	for (size_t i = 0; i < chain->n_rules && way->n_steps < STEPS_MAX; i++) {
		enum answer matches = answer_rule(way, &chain->rules[i]);
		enum verdict verdict;

		way->n_steps++;
		if (matches == ANSWER_YES && is_limit_of_the_rest(&chain->rules[i]))
			limits = add_limits(&chain->rules[i], &limits);
		if (matches == ANSWER_NO || is_limit_of_the_rest(&chain->rules[i]))
			continue;
		verdict = apply_rule(way, &chain->rules[i],
				     matches < certainty ? matches : certainty, &limits, depth);
		if (verdict == VERDICT_RETURN)
			return VERDICT_NONE;
		if (verdict != VERDICT_NONE)
			return verdict;
	}
	return VERDICT_NONE;
}

/* The base chain that comes after (priority, place) for the packet's family; NULL: none. */
static const struct chain_view *next_base(struct way *way, int *priority, size_t *place)
{
	const struct chain_view *best = NULL;
	int best_priority = INT_MAX;
	size_t best_place = 0, n = 0;

	for (size_t i = 0; i < way->ruleset->n_tables; i++) {
		const struct table_view *table = &way->ruleset->tables[i];

		for (size_t j = 0; j < table->n_chains; j++) {
			const struct chain_view *chain = &table->chains[j];

			n++;
			if (!table->families[way->packet->family] || !chain->is_base ||
			    (chain->is_nat && way->packet->state != PACKET_NEW) ||
			    chain->priority < *priority ||
			    (chain->priority == *priority && n <= *place))
				continue;
			if (best && chain->priority >= best_priority)
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

void ruleset_walk(const struct ruleset *ruleset, const struct packet *packet,
		  const char *log_prefix, struct walk *ret)
{
	struct way way = {
		.ruleset = ruleset, .packet = packet, .log_prefix = log_prefix, .walk = ret};
	const struct rule_view *accepted = NULL;
	const struct chain_view *chain;
	int priority = INT_MIN;
	size_t place = 0;

	*ret = (struct walk){.verdict = VERDICT_ACCEPT};
	while ((chain = next_base(&way, &priority, &place))) {
		enum verdict verdict;

		ret->by = NULL;
		verdict = walk_chain(&way, chain, ANSWER_YES, &(struct log_limits){0}, 0);
		if (verdict == VERDICT_NONE) {
			verdict = chain->policy;
			ret->by = NULL;
			ret->table = verdict == VERDICT_DROP ? way.table : NULL;
			ret->chain = verdict == VERDICT_DROP ? chain : NULL;
		}
		if (verdict == VERDICT_DROP || verdict == VERDICT_AWAY) {
			ret->verdict = verdict;
			return;
		}
		/* An accept ends this chain, and the next one decides again. */
		if (ret->by)
			accepted = ret->by;
	}
	ret->by = accepted;
}

const struct rule_view *ruleset_find_log(const struct ruleset *ruleset, enum family family,
					 const char *log_prefix)
{
	for (size_t i = 0; i < ruleset->n_tables; i++) {
		const struct table_view *table = &ruleset->tables[i];

		for (size_t j = 0; table->families[family] && j < table->n_chains; j++)
			for (size_t k = 0; k < table->chains[j].n_rules; k++) {
				const struct rule_view *rule = &table->chains[j].rules[k];

				if (rule->log_prefix && strcmp(rule->log_prefix, log_prefix) == 0)
					return rule;
			}
	}
	return NULL;
}
