/* What a rule of nft is read from: all that nft has printed. */
#pragma once

struct json_object;
struct rule_view;
struct table_view;

struct nft_reader {
	struct json_object *items;
	const struct table_view *table;
};

/* The set, map, limit, ... (`kind`) of that name in the rule's table; NULL: there is none. */
struct json_object *nft_find(const struct nft_reader *reader, const char *kind, const char *name);

/* How rules put the sources of packets into the set: alone, or each with statements of its own,
 * which decide whether the rule matches. 0: no rule does. */
enum { FED_ALONE = 1, FED_WITH_STATEMENTS = 2 };
unsigned nft_how_fed(const struct nft_reader *reader, const char *set);
