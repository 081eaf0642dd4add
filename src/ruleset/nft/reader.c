#include "ruleset/nft/reader.h"

#include <stdio.h>
#include <string.h>

#include "ruleset/nft/json.h"
#include "ruleset/ruleset.h"

static bool is_of_table(struct json_object *item, const struct table_view *table)
{
	char prefix[256];

	snprintf(prefix, sizeof prefix, "%s %s ", nft_get_text(item, "family"),
		 nft_get_text(item, "table"));
	return item && strcmp(prefix, table->set_prefix) == 0;
}

struct json_object *nft_find(const struct nft_reader *reader, const char *kind, const char *name)
{
	for (size_t i = 0; i < nft_count(reader->items); i++) {
		struct json_object *item = nft_get(nft_item(reader->items, i), kind);

		if (is_of_table(item, reader->table) &&
		    strcmp(nft_get_text(item, "name"), name) == 0)
			return item;
	}
	return NULL;
}

static unsigned how_fed(struct json_object *expressions, const char *set)
{
	unsigned how = 0;

	for (size_t i = 0; i < nft_count(expressions); i++) {
		struct json_object *update = nft_get(nft_item(expressions, i), "set");
		const char *name = nft_get_text(update, "set");

		if (name[0] == '@' && strcmp(name + 1, set) == 0 &&
		    strcmp(nft_get_text(update, "op"), "delete") != 0)
			how |= nft_get(update, "stmt") ? FED_WITH_STATEMENTS : FED_ALONE;
	}
	return how;
}

unsigned nft_how_fed(const struct nft_reader *reader, const char *set)
{
	unsigned how = 0;

	for (size_t i = 0; i < nft_count(reader->items); i++) {
		struct json_object *rule = nft_get(nft_item(reader->items, i), "rule");

		if (is_of_table(rule, reader->table))
			how |= how_fed(nft_get(rule, "expr"), set);
	}
	return how;
}
