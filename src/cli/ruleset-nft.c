/* Reads what `nft -j list ruleset` prints (libnftables-json(5)). */
#include "cli/ruleset.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/probe.h"
#include "util/cleanup.h"

static struct json_object *get(struct json_object *object, const char *key)
{
	struct json_object *value = NULL;

	if (object && json_object_is_type(object, json_type_object))
		json_object_object_get_ex(object, key, &value);
	return value;
}

/* The text of a string; "" of anything else. */
static const char *text_of(struct json_object *object)
{
	return object && json_object_is_type(object, json_type_string)
		       ? json_object_get_string(object)
		       : "";
}

static const char *get_text(struct json_object *object, const char *key)
{
	return text_of(get(object, key));
}

/* One or several, as an array or alone. */
static size_t count_of(struct json_object *object)
{
	if (object && json_object_is_type(object, json_type_array))
		return json_object_array_length(object);
	return object ? 1 : 0;
}

static struct json_object *item_of(struct json_object *object, size_t i)
{
	return json_object_is_type(object, json_type_array) ? json_object_array_get_idx(object, i)
							    : object;
}

/* The bits of names, of which there may be several, or { "|": [...] }. */
static uint32_t bits_of(struct json_object *object, const char *const *names, const uint32_t *bits,
			size_t n)
{
	struct json_object *either = get(object, "|"), *list = either ? either : object;
	uint32_t mask = 0;

	if (get(list, "set"))
		list = get(list, "set");
	for (size_t i = 0; i < count_of(list); i++)
		for (size_t j = 0; j < n; j++)
			if (strcmp(text_of(item_of(list, i)), names[j]) == 0)
				mask |= bits[j];
	return mask;
}

static uint32_t flags_of(struct json_object *object)
{
	static const char *const names[] = {"fin", "syn", "rst", "psh", "ack", "urg", "ecn", "cwr"};
	static const uint32_t bits[] = {1, 2, 4, 8, 16, 32, 64, 128};

	return bits_of(object, names, bits, 8);
}

static uint32_t states_of(struct json_object *object)
{
	static const char *const names[] = {"new", "established", "related", "invalid"};
	static const uint32_t bits[] = {PACKET_NEW, PACKET_ESTABLISHED, PACKET_RELATED,
					PACKET_INVALID};

	return bits_of(object, names, bits, 4);
}

static struct condition *add(struct rule_view *rule, enum condition_kind kind, bool negated)
{
	struct condition *condition = rule_add_condition(rule, kind);

	if (condition)
		condition->negated = negated;
	return condition;
}

static int add_number(struct rule_view *rule, enum condition_kind kind, bool negated,
		      uint32_t number)
{
	struct condition *condition = add(rule, kind, negated);

	if (condition)
		condition->number = number;
	return condition ? 0 : -ENOMEM;
}

static int add_text(struct rule_view *rule, enum condition_kind kind, bool negated,
		    const char *text)
{
	struct condition *condition = add(rule, kind, negated);

	if (!condition)
		return -ENOMEM;
	condition->text = strdup(text);
	return condition->text ? 0 : -ENOMEM;
}

static int add_unknown(struct rule_view *rule)
{
	return add_number(rule, CONDITION_UNKNOWN, false, 0);
}

static int protocol_number(const char *name)
{
	return strcmp(name, "tcp") == 0	  ? IPPROTO_TCP
	       : strcmp(name, "udp") == 0 ? IPPROTO_UDP
					  : IPPROTO_RAW;
}

static int add_protocols(struct rule_view *rule, bool negated, struct json_object *right)
{
	struct json_object *set = get(right, "set");
	bool tcp = false, udp = false;

	if (!set)
		return add_number(rule, CONDITION_PROTOCOL, negated,
				  (uint32_t)protocol_number(text_of(right)));
	for (size_t i = 0; i < count_of(set); i++) {
		tcp = tcp || protocol_number(text_of(item_of(set, i))) == IPPROTO_TCP;
		udp = udp || protocol_number(text_of(item_of(set, i))) == IPPROTO_UDP;
	}
	/* Probes are of one or the other. */
	if (tcp && udp)
		return negated ? add_number(rule, CONDITION_PROTOCOL, false, IPPROTO_RAW) : 0;
	return add_number(rule, CONDITION_PROTOCOL, negated,
			  tcp	? IPPROTO_TCP
			  : udp ? IPPROTO_UDP
				: IPPROTO_RAW);
}

static int add_ports(struct rule_view *rule, bool negated, struct json_object *right)
{
	struct json_object *set = get(right, "set"), *list = set ? set : right;
	struct condition *condition;

	if (json_object_is_type(right, json_type_string))
		return add_unknown(rule); /* a named set of ports */
	condition = add(rule, CONDITION_PORTS, negated);
	if (!condition)
		return -ENOMEM;
	condition->number = count_of(list) > RANGES_MAX;
	for (size_t i = 0; i < count_of(list) && condition->n_ranges < RANGES_MAX; i++) {
		struct json_object *item = item_of(list, i), *range = get(item, "range");
		struct port_range *to = &condition->ranges[condition->n_ranges++];

		if (range && count_of(range) == 2) {
			to->first = (uint16_t)json_object_get_int(item_of(range, 0));
			to->last = (uint16_t)json_object_get_int(item_of(range, 1));
		} else {
			to->first = to->last = (uint16_t)json_object_get_int(item);
		}
	}
	return 0;
}

static int add_interface(struct rule_view *rule, bool negated, struct json_object *right)
{
	struct json_object *set = get(right, "set"), *list = set ? set : right;
	char *names CLEANUP(cleanup_free) = NULL;
	size_t size;
	FILE *file;

	if (text_of(right)[0] == '@')
		return add_unknown(rule);
	file = open_memstream(&names, &size);
	if (!file)
		return -ENOMEM;
	for (size_t i = 0; i < count_of(list); i++)
		fprintf(file, "%s%s", i > 0 ? " " : "", text_of(item_of(list, i)));
	if (fclose(file) != 0)
		return -ENOMEM;
	return add_text(rule, CONDITION_INTERFACE, negated, names);
}

static int add_meta(struct rule_view *rule, const char *key, bool negated,
		    struct json_object *right)
{
	if (strcmp(key, "l4proto") == 0)
		return add_protocols(rule, negated, right);
	if (strcmp(key, "iif") == 0 || strcmp(key, "iifname") == 0)
		return add_interface(rule, negated, right);
	if (strcmp(key, "nfproto") == 0)
		return add_number(rule, CONDITION_FAMILY, negated,
				  strcmp(text_of(right), "ipv6") == 0 ? FAMILY_IPV6 : FAMILY_IPV4);
	if (strcmp(key, "pkttype") == 0)
		return add_number(rule, CONDITION_STRANGER, negated,
				  strcmp(text_of(right), "host") == 0 ||
					  strcmp(text_of(right), "unicast") == 0);
	return add_unknown(rule);
}

/* An address: of a set, or somebody's in particular. */
static int add_source(struct rule_view *rule, bool negated, struct json_object *right)
{
	const char *text = text_of(right);

	if (text[0] == '@')
		return add_text(rule, CONDITION_SET, negated, text + 1);
	return add_number(rule, CONDITION_STRANGER, negated, 0);
}

/* The network of an address, a set or a range of which is not understood. */
static int add_target(struct rule_view *rule, bool negated, struct json_object *right)
{
	struct json_object *prefix = get(right, "prefix");
	char *network CLEANUP(cleanup_free) = NULL;

	if (prefix && asprintf(&network, "%s/%d", get_text(prefix, "addr"),
			       json_object_get_int(get(prefix, "len"))) < 0) {
		network = NULL;
		return -ENOMEM;
	}
	return add_text(rule, CONDITION_TARGET, negated, network ? network : text_of(right));
}

static int add_payload(struct rule_view *rule, struct json_object *payload, bool negated,
		       bool is_in, struct json_object *right)
{
	const char *protocol = get_text(payload, "protocol"), *field = get_text(payload, "field");
	bool is_ip6 = strcmp(protocol, "ip6") == 0;
	int r = 0;

	if (is_ip6 || strcmp(protocol, "ip") == 0)
		r = add_number(rule, CONDITION_FAMILY, false, is_ip6 ? FAMILY_IPV6 : FAMILY_IPV4);
	else if (strcmp(protocol, "th") != 0)
		r = add_number(rule, CONDITION_PROTOCOL, false,
			       (uint32_t)protocol_number(protocol));
	if (r < 0)
		return r;
	if (strcmp(field, "dport") == 0)
		return add_ports(rule, negated, right);
	if (strcmp(field, "saddr") == 0)
		return add_source(rule, negated, right);
	if (strcmp(field, "daddr") == 0)
		return add_target(rule, negated, right);
	if (strcmp(field, "protocol") == 0 || strcmp(field, "nexthdr") == 0)
		return add_protocols(rule, negated, right);
	if (strcmp(field, "flags") == 0) {
		struct condition *condition =
			add(rule, is_in ? CONDITION_ANY_FLAGS : CONDITION_FLAGS, negated);

		if (!condition)
			return -ENOMEM;
		condition->number = flags_of(right);
		condition->mask = is_in ? condition->number : 0xff;
		return 0;
	}
	return add_unknown(rule);
}

/* tcp flags & (...) == ... */
static int add_masked(struct rule_view *rule, struct json_object *both, bool negated,
		      struct json_object *right)
{
	struct json_object *payload = get(item_of(both, 0), "payload");
	struct condition *condition;

	if (count_of(both) != 2 || strcmp(get_text(payload, "field"), "flags") != 0)
		return add_unknown(rule);
	condition = add(rule, CONDITION_FLAGS, negated);
	if (!condition)
		return -ENOMEM;
	condition->mask = flags_of(item_of(both, 1));
	condition->number = flags_of(right);
	return 0;
}

/* Several things looked up together in a set, of which the source's address must be one. */
static int add_concatenation(struct rule_view *rule, struct json_object *parts, bool negated,
			     struct json_object *right)
{
	const char *set = text_of(right);

	for (size_t i = 0; set[0] == '@' && i < count_of(parts); i++) {
		struct json_object *payload = get(item_of(parts, i), "payload");

		if (strcmp(get_text(payload, "field"), "saddr") == 0)
			return add_text(rule, CONDITION_SET, negated, set + 1);
	}
	return add_unknown(rule);
}

static int add_address_type(struct rule_view *rule, bool negated, struct json_object *right)
{
	struct json_object *set = get(right, "set"), *list = set ? set : right;
	bool is_local = false;

	for (size_t i = 0; i < count_of(list); i++)
		is_local = is_local || strcmp(text_of(item_of(list, i)), "local") == 0;
	return add_number(rule, CONDITION_STRANGER, negated, is_local);
}

static int add_match(struct rule_view *rule, struct json_object *left, const char *op,
		     struct json_object *right)
{
	bool negated = strcmp(op, "!=") == 0, is_in = strcmp(op, "in") == 0;

	if (!negated && !is_in && strcmp(op, "==") != 0)
		return add_unknown(rule);
	if (get(left, "payload"))
		return add_payload(rule, get(left, "payload"), negated, is_in, right);
	if (get(left, "meta"))
		return add_meta(rule, get_text(get(left, "meta"), "key"), negated, right);
	if (get(left, "&"))
		return add_masked(rule, get(left, "&"), negated, right);
	if (get(left, "concat"))
		return add_concatenation(rule, get(left, "concat"), negated, right);
	if (get(left, "fib") && strcmp(get_text(get(left, "fib"), "result"), "type") == 0)
		return add_address_type(rule, negated, right);
	if (get(left, "ct") && strcmp(get_text(get(left, "ct"), "key"), "state") == 0) {
		struct condition *condition = add(rule, CONDITION_STATE, negated);

		if (condition)
			condition->mask = states_of(right);
		return condition ? 0 : -ENOMEM;
	}
	return add_unknown(rule);
}

static void read_limit(struct rule_view *rule, struct json_object *limit, bool per_source)
{
	static const struct {
		const char *name;
		uint64_t times;
	} units[] = {{"second", 3600}, {"minute", 60}, {"hour", 1}, {"day", 0}, {"week", 0}};
	const char *per = get_text(limit, "per");
	uint64_t rate = (uint64_t)json_object_get_int64(get(limit, "rate"));

	rule->limit = (struct limit){
		.is_there = true,
		.per_source = per_source,
		.is_over = json_object_get_boolean(get(limit, "inv")),
		.per_hour = rate / 24,
		.burst = get(limit, "burst") ? (uint32_t)json_object_get_int64(get(limit, "burst"))
					     : 5,
	};
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
		if (strcmp(per, units[i].name) == 0 && units[i].times > 0)
			rule->limit.per_hour = rate * units[i].times;
}

/* Whoever looks at an address sees packets of its family, even where nft does not say so. */
static int add_family_of(struct rule_view *rule, const char *protocol)
{
	if (strcmp(protocol, "ip") != 0 && strcmp(protocol, "ip6") != 0)
		return 0;
	return add_number(rule, CONDITION_FAMILY, false, protocol[2] ? FAMILY_IPV6 : FAMILY_IPV4);
}

/* An update of a dynamic set by the source's address, with a limit for each; a meter is the same by
 * an older name. */
static int read_set_statement(struct rule_view *rule, struct json_object *set)
{
	struct json_object *statements = get(set, "stmt"), *key = get(set, "elem");
	struct json_object *masked, *payload;
	bool by_source;

	if (!key)
		key = get(set, "key");
	/* With a timeout of its own. */
	if (get(key, "elem"))
		key = get(get(key, "elem"), "val");
	masked = get(key, "&");
	payload = get(masked ? item_of(masked, 0) : key, "payload");
	by_source = strcmp(get_text(payload, "field"), "saddr") == 0;

	for (size_t i = 0; i < count_of(statements); i++)
		if (get(item_of(statements, i), "limit"))
			read_limit(rule, get(item_of(statements, i), "limit"), by_source);
	return add_family_of(rule, get_text(payload, "protocol"));
}

static int read_log(struct rule_view *rule, struct json_object *log)
{
	static const char *const levels[] = {"emerg", "alert",	"crit", "err",
					     "warn",  "notice", "info", "debug"};
	struct json_object *flags = get(log, "flags");

	/* That goes to some other program, or to the audit log. */
	if (get(log, "group") || strcmp(get_text(log, "level"), "audit") == 0)
		return 0;
	for (unsigned i = 0; i < 8; i++)
		if (strcmp(get_text(log, "level"), levels[i]) == 0)
			rule->log_level = i;
	for (size_t i = 0; i < count_of(flags); i++)
		rule->log_options = rule->log_options ||
				    strcmp(text_of(item_of(flags, i)), "all") == 0 ||
				    strcmp(text_of(item_of(flags, i)), "tcp options") == 0;
	return ruleset_set_text(&rule->log_prefix, get_text(log, "prefix"));
}

static int read_jump(struct rule_view *rule, enum verdict verdict, struct json_object *jump)
{
	rule->verdict = verdict;
	return ruleset_set_text(&rule->target, get_text(jump, "target"));
}

static int read_reject(struct rule_view *rule, struct json_object *reject)
{
	const char *type = get_text(reject, "type");

	rule->verdict = VERDICT_DROP;
	if (strcmp(type, "icmp") == 0 || strcmp(type, "icmpv6") == 0)
		return add_number(rule, CONDITION_FAMILY, false,
				  type[4] ? FAMILY_IPV6 : FAMILY_IPV4);
	return 0;
}

static bool is_one_of(const char *word, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(word, words[i]) == 0)
			return true;
	return false;
}

static int read_statement(struct rule_view *rule, const char *kind, struct json_object *value)
{
	static const char *const harmless[] = {"counter", "mangle", "notrack", "quota", "comment"};
	static const char *const away[] = {"dnat", "redirect", "tproxy"};

	if (strcmp(kind, "match") == 0)
		return add_match(rule, get(value, "left"), get_text(value, "op"),
				 get(value, "right"));
	if (strcmp(kind, "log") == 0)
		return read_log(rule, value);
	if (strcmp(kind, "limit") == 0)
		read_limit(rule, value, false);
	else if (strcmp(kind, "set") == 0 || strcmp(kind, "meter") == 0)
		return read_set_statement(rule, value);
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
	else if (is_one_of(kind, away, sizeof away / sizeof away[0]))
		rule->verdict = VERDICT_AWAY;
	else if (!is_one_of(kind, harmless, sizeof harmless / sizeof harmless[0]))
		return add_unknown(rule);
	return 0;
}

static int read_statements(struct rule_view *rule, struct json_object *expressions, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		json_object_object_foreach(json_object_array_get_idx(expressions, i), kind, value)
		{
			int r = strcmp(kind, "vmap") == 0 ? 0 : read_statement(rule, kind, value);

			if (r < 0)
				return r;
		}
	}
	return 0;
}

static int describe(struct rule_view *rule, const struct table_view *table,
		    const struct chain_view *chain, struct json_object *json)
{
	if (asprintf(&rule->text, "%s: chain %s, rule with handle %" PRId64, table->name,
		     chain->name, json_object_get_int64(get(json, "handle"))) >= 0)
		return 0;
	rule->text = NULL;
	return -ENOMEM;
}

/* A verdict map is as many rules as it has elements. */
static int read_map(const struct table_view *table, struct chain_view *chain,
		    struct json_object *json, struct json_object *map)
{
	struct json_object *expressions = get(json, "expr");
	struct json_object *elements = get(get(map, "data"), "set");
	int r = 0;

	for (size_t i = 0; r == 0 && i < count_of(elements); i++) {
		struct json_object *element = item_of(elements, i);
		struct rule_view *rule = chain_add_rule(chain);

		if (!rule)
			return -ENOMEM;
		r = describe(rule, table, chain, json);
		if (r == 0)
			r = read_statements(rule, expressions, count_of(expressions));
		if (r == 0)
			r = add_match(rule, get(map, "key"), "in", item_of(element, 0));
		if (r < 0)
			return r;
		json_object_object_foreach(item_of(element, 1), kind, value) r =
			read_statement(rule, kind, value);
	}
	return r;
}

static struct json_object *find_map(struct json_object *expressions)
{
	for (size_t i = 0; i < count_of(expressions); i++)
		if (get(item_of(expressions, i), "vmap"))
			return get(item_of(expressions, i), "vmap");
	return NULL;
}

static int read_rule(const struct table_view *table, struct json_object *json)
{
	struct chain_view *chain = table_find_chain(table, get_text(json, "chain"));
	struct json_object *expressions = get(json, "expr"), *map = find_map(expressions);
	struct rule_view *rule;
	int r;

	if (!chain || !json_object_is_type(expressions, json_type_array))
		return 0;
	if (map && get(get(map, "data"), "set"))
		return read_map(table, chain, json, map);
	rule = chain_add_rule(chain);
	if (!rule)
		return -ENOMEM;
	r = describe(rule, table, chain, json);
	if (r == 0)
		r = read_statements(rule, expressions, count_of(expressions));
	if (r == 0 && map)
		r = add_unknown(rule);
	return r;
}

static int read_chain(struct table_view *table, struct json_object *json)
{
	struct chain_view *chain = table_add_chain(table, get_text(json, "name"));
	bool before_routing = strcmp(get_text(json, "hook"), "prerouting") == 0;

	if (!chain)
		return -ENOMEM;
	chain->is_nat = strcmp(get_text(json, "type"), "nat") == 0;
	chain->is_base =
		before_routing || (strcmp(get_text(json, "hook"), "input") == 0 && !chain->is_nat);
	chain->priority = json_object_get_int(get(json, "prio"));
	if (before_routing)
		chain->priority += PRIORITY_BEFORE_ROUTING;
	if (strcmp(get_text(json, "policy"), "drop") == 0)
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

static int add_table(struct ruleset *ruleset, struct json_object *json,
		     const bool skip[static N_FAMILIES])
{
	const char *family = get_text(json, "family"), *name = get_text(json, "name");
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

static int read_item(struct ruleset *ruleset, struct json_object *item,
		     const bool skip[static N_FAMILIES])
{
	struct json_object *chain = get(item, "chain"), *rule = get(item, "rule");
	struct json_object *owned = chain ? chain : rule;
	struct table_view *table;

	if (get(item, "table"))
		return add_table(ruleset, get(item, "table"), skip);
	if (!owned)
		return 0;
	table = find_table(ruleset, get_text(owned, "family"), get_text(owned, "table"));
	if (!table)
		return 0;
	return chain ? read_chain(table, chain) : read_rule(table, rule);
}

int ruleset_add_nft(struct ruleset *ruleset, const char *json, const bool skip[static N_FAMILIES])
{
	struct json_object *document = json_tokener_parse(json), *items = get(document, "nftables");
	int r = items && json_object_is_type(items, json_type_array) ? 0 : -EBADMSG;

	for (size_t i = 0; r == 0 && i < count_of(items); i++)
		r = read_item(ruleset, item_of(items, i), skip);
	json_object_put(document);
	return r;
}
