/* Reads what `nft -j list ruleset` prints (libnftables-json(5)). */

#include "ruleset/nft/nft.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "ruleset/iptables.h"
#include "ruleset/nft/json.h"
#include "ruleset/nft/match.h"
#include "ruleset/ruleset.h"
#include "util/cleanup.h"

enum { MS_PER_S = 1000 };

/* What a rule is read from. */
struct nft_reader {
	struct json_object *items;
	const struct table_view *table;
};

static struct log_limit nft_read_limit(struct json_object *limit)
{
	static const struct {
		const char *name;
		uint64_t times;
	} units[] = {{"second", 3600}, {"minute", 60}, {"hour", 1}, {"day", 0}, {"week", 0}};
	const char *per = nft_get_text(limit, "per");
	uint64_t rate = (uint64_t)json_object_get_int64(nft_get(limit, "rate"));

	struct log_limit read = {
		.is_there = true,
		.is_over = json_object_get_boolean(nft_get(limit, "inv")),
		.per_hour = rate / 24,
		.burst = nft_get(limit, "burst")
				 ? (uint32_t)json_object_get_int64(nft_get(limit, "burst"))
				 : 5,
	};
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
		if (strcmp(per, units[i].name) == 0 && units[i].times > 0)
			read.per_hour = rate * units[i].times;
	return read;
}

/* Whoever looks at an address sees packets of its family, even where nft does not say so. */
static int add_family_of(struct rule_view *rule, const char *protocol)
{
	if (strcmp(protocol, "ip") != 0 && strcmp(protocol, "ip6") != 0)
		return 0;
	return rule_view_add_number(rule, CONDITION_FAMILY, false,
				    protocol[2] ? FAMILY_IPV6 : FAMILY_IPV4);
}

static uint64_t nft_get_number(struct json_object *object, const char *key)
{
	return (uint64_t)json_object_get_int64(nft_get(object, key));
}

/* The set of that table, or NULL. */
static struct json_object *find_set(struct json_object *items, const struct table_view *table,
				    const char *name)
{
	for (size_t i = 0; i < nft_count(items); i++) {
		struct json_object *set = nft_get(nft_item(items, i), "set");
		char prefix[256];

		snprintf(prefix, sizeof prefix, "%s %s ", nft_get_text(set, "family"),
			 nft_get_text(set, "table"));
		if (set && strcmp(prefix, table->set_prefix) == 0 &&
		    strcmp(nft_get_text(set, "name"), name) == 0)
			return set;
	}
	return NULL;
}

/* How many places a set has for sources, or for the `n_slots` that they share (0: each has its
 * own). */
static void read_places(struct log_limit *limit, struct json_object *set, uint64_t n_slots)
{
	uint64_t size = nft_get_number(set, "size");

	if (n_slots > 0 && size >= n_slots)
		return;
	limit->n_places = size;
	if (limit->place_ms == 0)
		limit->place_ms = nft_get_number(set, "timeout") * MS_PER_S;
	limit->is_full = size > 0 && nft_count(nft_get(set, "elem")) >= size;
}

/* An update of a dynamic set by the source's address, or a hash of it, with a limit for each; a
 * meter is the same by an older name. */
static int read_set_statement(const struct nft_reader *reader, struct rule_view *rule,
			      struct json_object *update)
{
	struct json_object *statements = nft_get(update, "stmt"), *key = nft_get(update, "elem");
	const char *name = nft_get_text(update, "set");
	struct json_object *hash, *masked, *payload;
	struct log_limit limit = {0};
	uint64_t place_ms = 0;

	if (!key)
		key = nft_get(update, "key");
	/* With a timeout of its own. */
	if (nft_get(key, "elem")) {
		place_ms = nft_get_number(nft_get(key, "elem"), "timeout") * MS_PER_S;
		key = nft_get(nft_get(key, "elem"), "val");
	}
	hash = nft_get(key, "jhash");
	if (hash)
		key = nft_get(hash, "expr");
	masked = nft_get(key, "&");
	payload = nft_get(masked ? nft_item(masked, 0) : key, "payload");

	for (size_t i = 0; i < nft_count(statements); i++)
		if (nft_get(nft_item(statements, i), "limit"))
			limit = nft_read_limit(nft_get(nft_item(statements, i), "limit"));
	if (strcmp(nft_get_text(payload, "field"), "saddr") != 0) {
		if (limit.is_there)
			rule->limits.for_all = limit;
	} else if (limit.is_there) {
		limit.place_ms = place_ms;
		if (name[0] == '@')
			read_places(&limit, find_set(reader->items, reader->table, name + 1),
				    nft_get_number(hash, "mod"));
		rule->limits.by_source = limit;
	}
	return add_family_of(rule, nft_get_text(payload, "protocol"));
}

static int nft_read_log(struct rule_view *rule, struct json_object *log)
{
	static const char *const levels[] = {"emerg", "alert",	"crit", "err",
					     "warn",  "notice", "info", "debug"};
	struct json_object *flags = nft_get(log, "flags");

	/* That goes to some other program, or to the audit log. */
	if (nft_get(log, "group") || strcmp(nft_get_text(log, "level"), "audit") == 0)
		return 0;
	for (unsigned i = 0; i < 8; i++)
		if (strcmp(nft_get_text(log, "level"), levels[i]) == 0)
			rule->log_level = i;
	for (size_t i = 0; i < nft_count(flags); i++)
		rule->log_options = rule->log_options ||
				    strcmp(nft_text(nft_item(flags, i)), "all") == 0 ||
				    strcmp(nft_text(nft_item(flags, i)), "tcp options") == 0;
	return ruleset_set_text(&rule->log_prefix, nft_get_text(log, "prefix"));
}

static int read_jump(struct rule_view *rule, enum verdict verdict, struct json_object *jump)
{
	rule->verdict = verdict;
	return ruleset_set_text(&rule->target, nft_get_text(jump, "target"));
}

static int read_reject(struct rule_view *rule, struct json_object *reject)
{
	const char *type = nft_get_text(reject, "type");

	rule->verdict = VERDICT_DROP;
	if (strcmp(type, "icmp") == 0 || strcmp(type, "icmpv6") == 0)
		return rule_view_add_number(rule, CONDITION_FAMILY, false,
					    type[4] ? FAMILY_IPV6 : FAMILY_IPV4);
	return 0;
}

static bool nft_is_one_of(const char *word, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(word, words[i]) == 0)
			return true;
	return false;
}

static int read_statement(const struct nft_reader *reader, struct rule_view *rule, const char *kind,
			  struct json_object *value)
{
	static const char *const harmless[] = {"counter", "mangle", "notrack", "quota", "comment"};
	static const char *const away[] = {"dnat", "redirect", "tproxy"};

	if (strcmp(kind, "match") == 0)
		return nft_add_match(rule, nft_get(value, "left"), nft_get_text(value, "op"),
				     nft_get(value, "right"));
	if (strcmp(kind, "log") == 0)
		return nft_read_log(rule, value);
	if (strcmp(kind, "limit") == 0)
		rule->limits.for_all = nft_read_limit(value);
	else if (strcmp(kind, "set") == 0 || strcmp(kind, "meter") == 0)
		return read_set_statement(reader, rule, value);
	else if (strcmp(kind, "accept") == 0)
		rule->verdict = VERDICT_ACCEPT;
	else if (strcmp(kind, "drop") == 0)
		rule->verdict = VERDICT_DROP;
	else if (strcmp(kind, "return") == 0)
		rule->verdict = VERDICT_RETURN;
	else if (strcmp(kind, "reject") == 0)
		return read_reject(rule, value);
	else if (strcmp(kind, "jump") == 0)
		return read_jump(rule, VERDICT_JUMP, value);
	else if (strcmp(kind, "goto") == 0)
		return read_jump(rule, VERDICT_GOTO, value);
	else if (nft_is_one_of(kind, away, sizeof away / sizeof away[0]))
		rule->verdict = VERDICT_AWAY;
	else if (!nft_is_one_of(kind, harmless, sizeof harmless / sizeof harmless[0]))
		return rule_view_add_number(rule, CONDITION_UNKNOWN, false, 0);
	return 0;
}

static int read_statements(const struct nft_reader *reader, struct rule_view *rule,
			   struct json_object *expressions, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		json_object_object_foreach(json_object_array_get_idx(expressions, i), kind, value)
		{
			int r = strcmp(kind, "vmap") == 0
					? 0
					: read_statement(reader, rule, kind, value);

			if (r < 0)
				return r;
		}
	}
	return 0;
}

static int nft_describe(struct rule_view *rule, const struct table_view *table,
			const struct chain_view *chain, struct json_object *json)
{
	if (asprintf(&rule->text, "%s: chain %s, rule with handle %" PRId64, table->name,
		     chain->name, json_object_get_int64(nft_get(json, "handle"))) >= 0)
		return 0;
	rule->text = NULL;
	return -ENOMEM;
}

/* A verdict map is as many rules as it has elements. */
static int read_map(const struct nft_reader *reader, struct chain_view *chain,
		    struct json_object *json, struct json_object *map)
{
	struct json_object *expressions = nft_get(json, "expr");
	struct json_object *elements = nft_get(nft_get(map, "data"), "set");
	int r = 0;

	for (size_t i = 0; r == 0 && i < nft_count(elements); i++) {
		struct json_object *element = nft_item(elements, i);
		struct rule_view *rule = chain_add_rule(chain);

		if (!rule)
			return -ENOMEM;
		r = nft_describe(rule, reader->table, chain, json);
		if (r == 0)
			r = read_statements(reader, rule, expressions, nft_count(expressions));
		if (r == 0)
			r = nft_add_match(rule, nft_get(map, "key"), "in", nft_item(element, 0));
		if (r < 0)
			return r;
		json_object_object_foreach(nft_item(element, 1), kind, value) r =
			read_statement(reader, rule, kind, value);
	}
	return r;
}

static struct json_object *find_map(struct json_object *expressions)
{
	for (size_t i = 0; i < nft_count(expressions); i++)
		if (nft_get(nft_item(expressions, i), "vmap"))
			return nft_get(nft_item(expressions, i), "vmap");
	return NULL;
}

static int nft_read_rule(const struct nft_reader *reader, struct json_object *json)
{
	struct chain_view *chain = table_find_chain(reader->table, nft_get_text(json, "chain"));
	struct json_object *expressions = nft_get(json, "expr"), *map = find_map(expressions);
	struct rule_view *rule;
	int r;

	if (!chain || !json_object_is_type(expressions, json_type_array))
		return 0;
	if (map && nft_get(nft_get(map, "data"), "set"))
		return read_map(reader, chain, json, map);
	rule = chain_add_rule(chain);
	if (!rule)
		return -ENOMEM;
	r = nft_describe(rule, reader->table, chain, json);
	if (r == 0)
		r = read_statements(reader, rule, expressions, nft_count(expressions));
	if (r == 0 && map)
		r = rule_view_add_number(rule, CONDITION_UNKNOWN, false, 0);
	return r;
}

static int nft_read_chain(struct table_view *table, struct json_object *json)
{
	struct chain_view *chain = table_add_chain(table, nft_get_text(json, "name"));
	bool before_routing = strcmp(nft_get_text(json, "hook"), "prerouting") == 0;

	if (!chain)
		return -ENOMEM;
	chain->is_nat = strcmp(nft_get_text(json, "type"), "nat") == 0;
	chain->is_base = before_routing ||
			 (strcmp(nft_get_text(json, "hook"), "input") == 0 && !chain->is_nat);
	chain->priority = json_object_get_int(nft_get(json, "prio"));
	if (before_routing)
		chain->priority += PRIORITY_BEFORE_ROUTING;
	if (strcmp(nft_get_text(json, "policy"), "drop") == 0)
		chain->policy = VERDICT_DROP;
	return 0;
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
	     is_ip6 = strcmp(family, "ip6") == 0;
	struct table_view *table;

	if ((!is_inet && !is_ip && !is_ip6) ||
	    (!is_inet && skip[is_ip6 ? FAMILY_IPV6 : FAMILY_IPV4] && is_of_iptables(name)))
		return 0;
	table = ruleset_add_table(ruleset);
	if (!table)
		return -ENOMEM;
	table->families[FAMILY_IPV4] = is_inet || is_ip;
	table->families[FAMILY_IPV6] = is_inet || is_ip6;
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
