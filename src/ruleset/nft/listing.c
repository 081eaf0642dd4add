#include "ruleset/nft/listing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ruleset/ruleset.h"
#include "util/cleanup.h"

/* Lists of ports and addresses can be long. */
enum { RULE_TEXT_MAX = 400 };

static const char handle_mark[] = " # handle ";

static int rule_name(struct rule_view *rule, const struct table_view *table,
		     const struct chain_view *chain, const char *text, size_t length)
{
	bool is_long = length > RULE_TEXT_MAX;
	char *named;

	if (asprintf(&named, "%s, chain %s: %.*s%s", table->name, chain->name,
		     (int)(is_long ? RULE_TEXT_MAX : length), text, is_long ? "..." : "") < 0)
		return -ENOMEM;
	free(rule->text);
	rule->text = named;
	return 0;
}

/* A rule may be several here. */
static int name_all(const struct table_view *table, struct chain_view *chain, uint64_t handle,
		    const char *text, size_t length)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < chain->n_rules; i++)
		if (chain->rules[i].handle == handle)
			r = rule_name(&chain->rules[i], table, chain, text, length);
	return r;
}

/* "table inet filter { # handle 1" */
static struct table_view *table_of(struct ruleset *ruleset, const char *line)
{
	size_t length = strcspn(line, "{");

	for (size_t i = 0; i < ruleset->n_tables; i++)
		if (strlen(ruleset->tables[i].set_prefix) == length &&
		    strncmp(ruleset->tables[i].set_prefix, line, length) == 0)
			return &ruleset->tables[i];
	return NULL;
}

/* "input { # handle 5" */
static struct chain_view *chain_of(struct table_view *table, const char *line)
{
	char *name CLEANUP(cleanup_free) = strndup(line, strcspn(line, " {"));

	return table && name ? table_find_chain(table, name) : NULL;
}

/* "type filter hook ingress device "eth0" priority filter; ...", "devices = { eth0, eth1 }": what
 * nft prints as JSON says it only in newer versions. */
static int read_hook(struct chain_view *chain, const char *line)
{
	static const char around[] = " ,={}\"";
	const char *devices = strstr(line, " device"), *end = strstr(line, " priority ");
	size_t length;

	if (!devices || !end || devices > end || chain->devices)
		return 0;
	devices += strcspn(devices + 1, around) + 1;
	for (;; devices += length) {
		char *name;
		int r;

		devices += strspn(devices, around);
		length = strcspn(devices, around);
		if (devices >= end || length == 0)
			return 0;
		name = strndup(devices, length);
		r = name ? chain_add_device(chain, name) : -ENOMEM;
		free(name);
		if (r < 0)
			return r;
	}
}

/* The last one: a comment may look like it. */
static const char *find_handle(const char *line)
{
	const char *found = NULL, *at = line;

	while ((at = strstr(at, handle_mark)))
		found = at++;
	return found;
}

int ruleset_name_nft(struct ruleset *ruleset, const char *listing)
{
	struct table_view *table = NULL;
	struct chain_view *chain = NULL;
	int r = 0;

	while (*listing && r == 0) {
		size_t length = strcspn(listing, "\n");
		char *line CLEANUP(cleanup_free) = strndup(listing, length);
		const char *handle = line ? find_handle(line) : NULL;

		if (!line)
			return -ENOMEM;
		if (strncmp(line, "table ", 6) == 0)
			table = table_of(ruleset, line + 6), chain = NULL;
		else if (strncmp(line, "\tchain ", 7) == 0)
			chain = chain_of(table, line + 7);
		else if (chain && strncmp(line, "\t\ttype ", 7) == 0)
			r = read_hook(chain, line);
		else if (chain && handle && strncmp(line, "\t\t", 2) == 0)
			r = name_all(table, chain, strtoull(handle + strlen(handle_mark), NULL, 10),
				     line + 2, (size_t)(handle - line - 2));
		listing += length + (listing[length] == '\n');
	}
	return r;
}
