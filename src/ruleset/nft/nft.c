/* Reads what `nft -j list ruleset` prints (libnftables-json(5)). */

#include "ruleset/nft/nft.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "ruleset/iptables/iptables.h"
#include "ruleset/nft/json.h"
#include "ruleset/nft/match.h"
#include "ruleset/nft/reader.h"
#include "ruleset/nft/statement.h"
#include "ruleset/ruleset.h"
#include "util/cleanup.h"

/* A rule with a map is as many rules as the map has elements. The map decides, or it says where a
 * packet is sent. */
struct rule_map {
	const char *statement; /* whose it is: "vmap", "dnat" */
	struct json_object *key, *elements;
	struct json_object *port; /* of "dnat", beside its map; NULL: none */
	bool is_known;
};

static bool map_read(const struct nft_reader *reader, const char *kind, struct json_object *map,
		     struct rule_map *ret)
{
	struct json_object *data = nft_get(map, "data"), *named = NULL;
	const char *name = nft_text(data);

	if (!data)
		return false;
	if (name[0] == '@')
		named = nft_find(reader, "map", name + 1);
	*ret = (struct rule_map){
		.statement = kind,
		.key = nft_get(map, "key"),
		.elements = name[0] == '@' ? nft_get(named, "elem") : nft_get(data, "set"),
		.is_known = name[0] != '@' || named,
	};
	return true;
}

static bool map_find(const struct nft_reader *reader, struct json_object *expressions,
		     struct rule_map *ret)
{
	for (size_t i = 0; i < nft_count(expressions); i++) {
		struct json_object *item = nft_item(expressions, i), *dnat = nft_get(item, "dnat");

		if (map_read(reader, "vmap", nft_get(item, "vmap"), ret))
			return true;
		if (map_read(reader, "dnat", nft_get(nft_get(dnat, "addr"), "map"), ret)) {
			ret->port = nft_get(dnat, "port");
			return true;
		}
	}
	return false;
}

/* All statements of an object, which is of one as a rule, but for one kind. */
static int read_all(const struct nft_reader *reader, struct rule_view *rule,
		    struct json_object *statements, const char *but)
{
	if (!json_object_is_type(statements, json_type_object))
		return rule_view_add_number(rule, FIELD_UNKNOWN, false, 0);
	json_object_object_foreach(statements, kind, value)
	{
		int r = strcmp(kind, but) == 0 ? 0 : nft_read_statement(reader, rule, kind, value);

		if (r < 0)
			return r;
	}
	return 0;
}

static int read_statements(const struct nft_reader *reader, struct rule_view *rule,
			   struct json_object *expressions, const char *but)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < nft_count(expressions); i++)
		r = read_all(reader, rule, nft_item(expressions, i), but);
	return r;
}

static int nft_describe(struct rule_view *rule, const struct table_view *table,
			const struct chain_view *chain, struct json_object *json)
{
	rule->handle = (uint64_t)json_object_get_int64(nft_get(json, "handle"));
	if (asprintf(&rule->text, "%s, chain %s: rule with handle %" PRIu64, table->name,
		     chain->name, rule->handle) >= 0)
		return 0;
	rule->text = NULL;
	return -ENOMEM;
}

static struct json_object *key_of(struct json_object *element)
{
	struct json_object *key = nft_item(element, 0), *wrapped = nft_get(key, "elem");

	return wrapped ? nft_get(wrapped, "val") : key;
}

static bool is_any(struct json_object *element)
{
	return strcmp(nft_text(key_of(element)), "*") == 0;
}

/* What no other element is for. */
static int match_the_rest(const struct nft_reader *reader, struct rule_view *rule,
			  const struct rule_map *map)
{
	struct json_object *keys = json_object_new_array(), *set = json_object_new_object();
	int r = keys && set ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < nft_count(map->elements); i++)
		if (!is_any(nft_item(map->elements, i)) &&
		    json_object_array_add(keys,
					  json_object_get(key_of(nft_item(map->elements, i)))) < 0)
			r = -ENOMEM;
	if (r == 0)
		r = json_object_object_add(set, "set", keys) < 0 ? -ENOMEM : 0;
	if (r == 0)
		keys = NULL;
	if (r == 0)
		r = nft_add_match(reader, rule, map->key, "!=", set);
	json_object_put(keys);
	json_object_put(set);
	return r;
}

static int read_element(const struct nft_reader *reader, struct rule_view *rule,
			const struct rule_map *map, struct json_object *element)
{
	int r = is_any(element) ? match_the_rest(reader, rule, map)
				: nft_add_match(reader, rule, map->key, "in", key_of(element));

	if (r < 0)
		return r;
	if (strcmp(map->statement, "dnat") == 0) {
		nft_read_destination(rule, nft_item(element, 1), map->port);
		return 0;
	}
	return read_all(reader, rule, nft_item(element, 1), "");
}

static int read_map(const struct nft_reader *reader, struct chain_view *chain,
		    struct json_object *json, const struct rule_map *map)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < nft_count(map->elements); i++) {
		struct json_object *element = nft_item(map->elements, i);
		struct rule_view *rule = chain_add_rule(chain);

		if (!rule)
			return -ENOMEM;
		r = nft_describe(rule, reader->table, chain, json);
		if (r == 0 && nft_count(element) == 2)
			r = read_statements(reader, rule, nft_get(json, "expr"), map->statement);
		if (r == 0 && nft_count(element) == 2)
			r = read_element(reader, rule, map, element);
	}
	return r;
}

static int nft_read_rule(const struct nft_reader *reader, struct json_object *json)
{
	struct chain_view *chain = table_find_chain(reader->table, nft_get_text(json, "chain"));
	struct json_object *expressions = nft_get(json, "expr");
	struct rule_map map = {.is_known = true};
	struct rule_view *rule;
	int r;

	if (!chain || !json_object_is_type(expressions, json_type_array))
		return 0;
	if (map_find(reader, expressions, &map) && map.is_known)
		return read_map(reader, chain, json, &map);
	rule = chain_add_rule(chain);
	if (!rule)
		return -ENOMEM;
	r = nft_describe(rule, reader->table, chain, json);
	if (r == 0)
		r = read_statements(reader, rule, expressions, map.is_known ? "" : map.statement);
	if (r == 0 && !map.is_known) {
		rule->verdict = VERDICT_UNKNOWN;
		r = rule_view_add_number(rule, FIELD_UNKNOWN, false, 0);
	}
	return r;
}

/* Chains of nat change sources at the hooks input and postrouting, and at the hook output
 * destinations of what begins here. */
static enum hook hook_of(const char *name, bool is_nat)
{
	static const char *const names[N_HOOKS] = {
		[HOOK_INGRESS] = "ingress", [HOOK_PREROUTING] = "prerouting",
		[HOOK_INPUT] = "input",	    [HOOK_FORWARD] = "forward",
		[HOOK_OUTPUT] = "output",   [HOOK_POSTROUTING] = "postrouting",
		[HOOK_EGRESS] = "egress",
	};

	for (enum hook hook = HOOK_INGRESS; hook < N_HOOKS; hook++)
		if (strcmp(names[hook], name) == 0)
			return is_nat && hook != HOOK_PREROUTING ? HOOK_NONE : hook;
	return HOOK_NONE;
}

/* One device, or a list. */
static int read_devices(struct chain_view *chain, struct json_object *devices)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < nft_count(devices); i++)
		r = chain_add_device(chain, nft_text(nft_item(devices, i)));
	return r;
}

static int nft_read_chain(struct table_view *table, struct json_object *json)
{
	struct chain_view *chain = table_add_chain(table, nft_get_text(json, "name"));

	if (!chain)
		return -ENOMEM;
	chain->is_nat = strcmp(nft_get_text(json, "type"), "nat") == 0;
	chain->hook = hook_of(nft_get_text(json, "hook"), chain->is_nat);
	chain->priority = json_object_get_int(nft_get(json, "prio"));
	if (strcmp(nft_get_text(json, "policy"), "drop") == 0)
		chain->policy = VERDICT_DROP;
	return read_devices(chain, nft_get(json, "dev"));
}

static struct table_view *find_table(struct ruleset *ruleset, const char *family, const char *name)
{
	char *prefix CLEANUP(cleanup_free) = NULL;

	if (asprintf(&prefix, "%s %s ", family, name) < 0) {
		prefix = NULL;
		return NULL;
	}
	for (size_t i = 0; i < ruleset->n_tables; i++)
		if (strcmp(ruleset->tables[i].set_prefix, prefix) == 0)
			return &ruleset->tables[i];
	return NULL;
}

static bool is_of_iptables(const char *name)
{
	for (size_t i = 0; i < N_IPTABLES_TABLES; i++)
		if (strcmp(ruleset_iptables_tables[i].name, name) == 0)
			return true;
	return false;
}

static int nft_add_table(struct ruleset *ruleset, struct json_object *json,
			 const bool skip[static N_FAMILIES])
{
	const char *family = nft_get_text(json, "family"), *name = nft_get_text(json, "name");
	bool is_inet = strcmp(family, "inet") == 0, is_ip = strcmp(family, "ip") == 0,
	     is_ip6 = strcmp(family, "ip6") == 0, is_netdev = strcmp(family, "netdev") == 0;
	struct table_view *table;

	if ((!is_inet && !is_ip && !is_ip6 && !is_netdev) ||
	    ((is_ip || is_ip6) && skip[is_ip6 ? FAMILY_IPV6 : FAMILY_IPV4] && is_of_iptables(name)))
		return 0;
	table = ruleset_add_table(ruleset);
	if (!table)
		return -ENOMEM;
	table->families[FAMILY_IPV4] = is_inet || is_netdev || is_ip;
	table->families[FAMILY_IPV6] = is_inet || is_netdev || is_ip6;
	if (asprintf(&table->name, "nft %s %s", family, name) < 0)
		table->name = NULL;
	if (asprintf(&table->set_prefix, "%s %s ", family, name) < 0)
		table->set_prefix = NULL;
	return table->name && table->set_prefix ? 0 : -ENOMEM;
}

static int read_item(struct ruleset *ruleset, struct json_object *items, size_t i,
		     const bool skip[static N_FAMILIES])
{
	struct json_object *item = nft_item(items, i);
	struct json_object *chain = nft_get(item, "chain"), *rule = nft_get(item, "rule");
	struct json_object *owned = chain ? chain : rule;
	struct table_view *table;

	if (nft_get(item, "table"))
		return nft_add_table(ruleset, nft_get(item, "table"), skip);
	if (!owned)
		return 0;
	table = find_table(ruleset, nft_get_text(owned, "family"), nft_get_text(owned, "table"));
	if (!table)
		return 0;
	return chain ? nft_read_chain(table, chain)
		     : nft_read_rule(&(struct nft_reader){items, table}, rule);
}

int ruleset_add_nft(struct ruleset *ruleset, const char *json, const bool skip[static N_FAMILIES])
{
	struct json_object *document = json_tokener_parse(json),
			   *items = nft_get(document, "nftables");
	int r = items && json_object_is_type(items, json_type_array) ? 0 : -EBADMSG;

	for (size_t i = 0; r == 0 && i < nft_count(items); i++)
		r = read_item(ruleset, items, i, skip);
	json_object_put(document);
	return r;
}
