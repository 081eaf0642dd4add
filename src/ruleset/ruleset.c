#include "ruleset/ruleset.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

int chain_add_device(struct chain_view *chain, const char *name)
{
	char **devices = reallocarray(chain->devices, chain->n_devices + 1, sizeof *chain->devices);

	if (!devices)
		return -ENOMEM;
	chain->devices = devices;
	devices[chain->n_devices] = strdup(name);
	return devices[chain->n_devices] ? (chain->n_devices++, 0) : -ENOMEM;
}

struct condition *rule_view_add(struct rule_view *rule, enum field field, bool negated)
{
	struct condition *conditions =
		reallocarray(rule->conditions, rule->n_conditions + 1, sizeof *conditions);

	if (!conditions)
		return NULL;
	rule->conditions = conditions;
	conditions[rule->n_conditions] =
		(struct condition){.fields = {field}, .n_fields = 1, .negated = negated};
	return &conditions[rule->n_conditions++];
}

int rule_view_add_number(struct rule_view *rule, enum field field, bool negated, uint32_t number)
{
	struct condition *condition = rule_view_add(rule, field, negated);

	return condition ? condition_add_range(condition, number, number) : -ENOMEM;
}

int rule_view_add_mask(struct rule_view *rule, enum field field, bool negated, uint32_t mask,
		       uint32_t number)
{
	int r = rule_view_add_number(rule, field, negated, number);

	if (r == 0)
		rule->conditions[rule->n_conditions - 1].accepted[0].mask = mask;
	return r;
}

int rule_view_add_text(struct rule_view *rule, enum field field, bool negated, const char *text)
{
	int r = rule_view_add_number(rule, field, negated, 0);

	return r < 0 ? r
		     : accepted_set_text(&rule->conditions[rule->n_conditions - 1].accepted[0],
					 text);
}

int ruleset_set_text(char **field, const char *text)
{
	free(*field);
	*field = strdup(text);
	return *field ? 0 : -ENOMEM;
}

static void rule_view_done(struct rule_view *rule)
{
	for (size_t i = 0; i < rule->n_conditions; i++)
		condition_done(&rule->conditions[i]);
	free(rule->conditions);
	free(rule->limits.by_source.table);
	free(rule->log_prefix);
	free(rule->nflog_prefix);
	free(rule->target);
	free(rule->text);
}

void ruleset_done(struct ruleset *ruleset)
{
	for (size_t i = 0; i < ruleset->n_tables; i++) {
		struct table_view *table = &ruleset->tables[i];

		for (size_t j = 0; j < table->n_chains; j++) {
			for (size_t k = 0; k < table->chains[j].n_rules; k++)
				rule_view_done(&table->chains[j].rules[k]);
			free(table->chains[j].rules);
			for (size_t k = 0; k < table->chains[j].n_devices; k++)
				free(table->chains[j].devices[k]);
			free(table->chains[j].devices);
			free(table->chains[j].name);
		}
		free(table->chains);
		free(table->name);
		free(table->set_prefix);
	}
	free(ruleset->tables);
	*ruleset = (struct ruleset){0};
}

bool rule_view_logs(const struct rule_view *rule, const char *log_prefix, bool by_nflog)
{
	const char *prefix = by_nflog ? rule->nflog_prefix : rule->log_prefix;

	return prefix && strcmp(prefix, log_prefix) == 0;
}

const struct rule_view *ruleset_find_log(const struct ruleset *ruleset, enum family family,
					 const char *log_prefix, bool by_nflog)
{
	for (size_t i = 0; i < ruleset->n_tables; i++) {
		const struct table_view *table = &ruleset->tables[i];

		for (size_t j = 0; table->families[family] && j < table->n_chains; j++)
			for (size_t k = 0; k < table->chains[j].n_rules; k++) {
				const struct rule_view *rule = &table->chains[j].rules[k];

				if (rule_view_logs(rule, log_prefix, by_nflog))
					return rule;
			}
	}
	return NULL;
}
