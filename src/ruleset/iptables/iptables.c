/* Reads what iptables-save and ip6tables-save print. */
#include "ruleset/iptables/iptables.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ruleset/iptables/limits.h"
#include "ruleset/iptables/matches.h"
#include "ruleset/iptables/reader.h"
#include "ruleset/iptables/targets.h"
#include "ruleset/ruleset.h"
#include "util/cleanup.h"

/* Takes the words out of a line, in place; quotes group, and a backslash within them takes the next
 * character. */
static void reader_split(char *line, struct rule_reader *reader)
{
	char *to = line;

	reader->n = 0;
	while (*line && reader->n < WORDS_MAX) {
		bool quoted = false;

		line += strspn(line, " ");
		if (!*line)
			break;
		reader->words[reader->n++] = to;
		for (; *line && (quoted || *line != ' '); line++) {
			if (*line == '"')
				quoted = !quoted;
			else if (*line == '\\' && quoted && line[1])
				*to++ = *++line;
			else
				*to++ = *line;
		}
		line += *line == ' ';
		*to++ = '\0';
	}
	reader->words[reader->n] = NULL;
}

static bool is_end_of_option(const struct rule_reader *reader)
{
	return reader->i >= reader->n || reader->words[reader->i][0] == '-' ||
	       strcmp(reader->words[reader->i], "!") == 0;
}

/* What is after the target changes nothing that is of interest here, unless it is known. */
static int read_option(struct rule_reader *reader)
{
	bool is_after_target = reader->has_target;
	const char *word = reader_take(reader);
	int r = 0;

	if (targets_read(reader, word, &r) || matches_read(reader, word, &r))
		return r;
	/* Up to the next option it is this one's. */
	while (!is_end_of_option(reader))
		reader->i++;
	return is_after_target ? 0 : reader_add_number(reader, FIELD_UNKNOWN, 0);
}

static int iptables_read_rule(struct table_view *table, const struct rule_reader *begin,
			      const char *line)
{
	char *copy CLEANUP(cleanup_free) = strdup(line);
	struct rule_reader reader = *begin;
	struct chain_view *chain;
	int r = 0, place_error;

	if (!copy)
		return -ENOMEM;
	reader_split(copy, &reader);
	chain = reader.n > 1 ? table_find_chain(table, reader.words[1]) : NULL;
	if (!chain)
		return 0;
	reader.rule = chain_add_rule(chain);
	if (!reader.rule || asprintf(&reader.rule->text, "%s: %s", table->name, line) < 0)
		return -ENOMEM;
	for (reader.i = 2; r == 0 && reader.i < reader.n;) {
		reader.negated = strcmp(reader.words[reader.i], "!") == 0;
		reader.i += reader.negated;
		r = read_option(&reader);
	}
	place_error = limits_place(&reader);
	return r < 0 ? r : place_error;
}

const struct iptables_table ruleset_iptables_tables[N_IPTABLES_TABLES] = {
	{"raw", -300}, {"mangle", -150}, {"nat", -100}, {"filter", 0}, {"security", 50},
};

/* The other chains of nat change sources, or what begins here. */
static enum hook hook_of(const char *chain, bool is_nat)
{
	static const char *const names[N_HOOKS] = {
		[HOOK_PREROUTING] = "PREROUTING",   [HOOK_INPUT] = "INPUT",
		[HOOK_FORWARD] = "FORWARD",	    [HOOK_OUTPUT] = "OUTPUT",
		[HOOK_POSTROUTING] = "POSTROUTING",
	};

	for (enum hook hook = HOOK_NONE; hook < N_HOOKS; hook++)
		if (names[hook] && strcmp(names[hook], chain) == 0)
			return is_nat && hook != HOOK_PREROUTING ? HOOK_NONE : hook;
	return HOOK_NONE;
}

/* ":INPUT DROP [0:0]" */
static int iptables_read_chain(struct table_view *table, const struct iptables_table *kind,
			       const char *line)
{
	char *name CLEANUP(cleanup_free) = strndup(line + 1, strcspn(line + 1, " "));
	struct chain_view *chain = name ? table_add_chain(table, name) : NULL;

	if (!chain)
		return -ENOMEM;
	chain->is_nat = strcmp(kind->name, "nat") == 0;
	chain->hook = hook_of(name, chain->is_nat);
	chain->priority = kind->priority;
	if (strncmp(line + 1 + strlen(name), " DROP", 5) == 0)
		chain->policy = VERDICT_DROP;
	return 0;
}

static const struct iptables_table *find_kind(const char *name)
{
	for (size_t i = 0; i < N_IPTABLES_TABLES; i++)
		if (strcmp(ruleset_iptables_tables[i].name, name) == 0)
			return &ruleset_iptables_tables[i];
	return NULL;
}

/* "*filter"; each has chains of its own. */
static struct table_view *iptables_add_table(struct ruleset *ruleset, enum family family,
					     const char *name, const struct iptables_table *kind)
{
	bool is_filter = strcmp(kind->name, "filter") == 0;
	struct table_view *table = ruleset_add_table(ruleset);

	if (!table)
		return NULL;
	table->families[family] = true;
	if (asprintf(&table->name, "%s%s%s", name, is_filter ? "" : " -t ",
		     is_filter ? "" : kind->name) < 0)
		table->name = NULL;
	table->set_prefix = strdup("");
	return table->name && table->set_prefix ? table : NULL;
}

int ruleset_add_iptables(struct ruleset *ruleset, enum family family, const char *name,
			 const char *text, const char *ipsets)
{
	const struct iptables_table *kind = NULL;
	struct rule_reader begin = {.ipsets = ipsets, .save = text, .module = ""};
	struct table_view *table = NULL;
	int r = 0;

	while (*text && r == 0) {
		size_t length = strcspn(text, "\n");
		char *line CLEANUP(cleanup_free) = strndup(text, length);

		if (!line)
			return -ENOMEM;
		if (line[0] == '*') {
			kind = find_kind(line + 1);
			table = kind ? iptables_add_table(ruleset, family, name, kind) : NULL;
			r = kind && !table ? -ENOMEM : 0;
		} else if (table && line[0] == ':') {
			r = iptables_read_chain(table, kind, line);
		} else if (table && strncmp(line, "-A ", 3) == 0) {
			begin.table = table;
			r = iptables_read_rule(table, &begin, line);
		}
		text += length + (text[length] == '\n');
	}
	return r;
}
