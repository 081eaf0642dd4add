/* What a rule of nft is read from: all that nft has printed. */
#pragma once

#include <stdbool.h>

struct json_object;
struct rule_view;
struct table_view;

struct nft_reader {
	struct json_object *items;
	const struct table_view *table;
};

/* The set, map, limit, ... (`kind`) of that name in the rule's table; NULL: there is none. */
struct json_object *nft_find(const struct nft_reader *reader, const char *kind, const char *name);

/* Whether rules put the sources of packets into the set. */
bool nft_is_fed(const struct nft_reader *reader, const char *set);
