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

static bool feeds(struct json_object *expressions, const char *set)
{
	for (size_t i = 0; i < nft_count(expressions); i++) {
		struct json_object *update = nft_get(nft_item(expressions, i), "set");
		const char *name = nft_get_text(update, "set");

		if (name[0] == '@' && strcmp(name + 1, set) == 0 &&
		    strcmp(nft_get_text(update, "op"), "delete") != 0)
			return true;
	}
	return false;
}

bool nft_is_fed(const struct nft_reader *reader, const char *set)
{
	for (size_t i = 0; i < nft_count(reader->items); i++) {
		struct json_object *rule = nft_get(nft_item(reader->items, i), "rule");

		if (is_of_table(rule, reader->table) && feeds(nft_get(rule, "expr"), set))
			return true;
	}
	return false;
}
