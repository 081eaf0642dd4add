/* Who owns an nftables table: one that iptables has made is read and put back by iptables alone,
 * and another by nft alone.
 *
 * MUST: a table that iptables-save does not print as it is is never taken for one of iptables': it
 * leaves out what it does not know, and prints "accept if the address is in the set" as "accept".
 */

#include "ruleset/nft/owner.h"

#include <json-c/json.h>
#include <string.h>

#include "ruleset/nft/json.h"

static bool is_text(struct json_object *object, const char *expected)
{
	return json_object_is_type(object, json_type_string) &&
	       strcmp(json_object_get_string(object), expected) == 0;
}

static bool owner_is_one_of(const char *word, const char *const words[])
{
	while (*words && strcmp(*words, word) != 0)
		words++;
	return *words;
}

/* iptables writes addresses, interfaces, protocols, ports, flags and marks in nft's own language,
 * and never looks anything up. */
static bool owner_is_match(struct json_object *match)
{
	struct json_object *left = nft_get(match, "left"), *right = nft_get(match, "right");

	return (nft_get(left, "payload") || nft_get(left, "meta") || nft_get(left, "&")) &&
	       !nft_get(right, "set") &&
	       !(json_object_is_type(right, json_type_string) &&
		 json_object_get_string(right)[0] == '@');
}

/* It counts in each of its rules, where people hardly do. */
static bool is_rule(struct json_object *expressions)
{
	static const char *const kinds[] = {"match", "xt",     "counter", "limit", "log", "accept",
					    "drop",  "return", "jump",	  "goto",  NULL};
	size_t n = json_object_is_type(expressions, json_type_array)
			   ? json_object_array_length(expressions)
			   : 0;
	bool counts = false;

	for (size_t i = 0; i < n; i++) {
		struct json_object *statement = json_object_array_get_idx(expressions, i);

		if (!json_object_is_type(statement, json_type_object))
			return false;
		json_object_object_foreach(statement, kind, value)
		{
			if (!owner_is_one_of(kind, kinds) ||
			    (strcmp(kind, "match") == 0 && !owner_is_match(value)))
				return false;
			counts = counts || strcmp(kind, "counter") == 0;
		}
	}
	return counts;
}

static bool is_chain(struct json_object *chain)
{
	static const char *const names[] = {"PREROUTING", "INPUT",	 "FORWARD",
					    "OUTPUT",	  "POSTROUTING", NULL};
	struct json_object *name = nft_get(chain, "name");

	return !nft_get(chain, "hook") || (json_object_is_type(name, json_type_string) &&
					   owner_is_one_of(json_object_get_string(name), names));
}

static bool owner_is_foreign(const char *kind, struct json_object *item)
{
	if (strcmp(kind, "rule") == 0)
		return !is_rule(nft_get(item, "expr"));
	return strcmp(kind, "chain") != 0 || !is_chain(item);
}

bool ruleset_is_foreign(const char *json, const char *family, const char *name)
{
	struct json_object *document = json_tokener_parse(json),
			   *items = nft_get(document, "nftables");
	size_t n =
		json_object_is_type(items, json_type_array) ? json_object_array_length(items) : 0;
	bool foreign = false;

	for (size_t i = 0; i < n; i++) {
		struct json_object *one = json_object_array_get_idx(items, i);

		if (!json_object_is_type(one, json_type_object))
			continue;
		json_object_object_foreach(one, kind, item)
		{
			if (is_text(nft_get(item, "family"), family) &&
			    is_text(nft_get(item, "table"), name))
				foreign = foreign || owner_is_foreign(kind, item);
		}
	}
	json_object_put(document);
	return foreign;
}
