#include "ruleset/nft/match.h"

#include <errno.h>
#include <json-c/json.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "ruleset/nft/json.h"
#include "ruleset/ruleset.h"
#include "util/cleanup.h"

/* The bits of names, of which there may be several, or { "|": [...] }. */
static uint32_t bits_of(struct json_object *object, const char *const *names, const uint32_t *bits,
			size_t n)
{
	struct json_object *either = nft_get(object, "|"), *list = either ? either : object;
	uint32_t mask = 0;

	if (nft_get(list, "set"))
		list = nft_get(list, "set");
	for (size_t i = 0; i < nft_count(list); i++)
		for (size_t j = 0; j < n; j++)
			if (strcmp(nft_text(nft_item(list, i)), names[j]) == 0)
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

static int protocol_number(const char *name)
{
	return strcmp(name, "tcp") == 0	  ? IPPROTO_TCP
	       : strcmp(name, "udp") == 0 ? IPPROTO_UDP
					  : IPPROTO_RAW;
}

static int add_protocols(struct rule_view *rule, bool negated, struct json_object *right)
{
	struct json_object *set = nft_get(right, "set");
	bool tcp = false, udp = false;

	if (!set)
		return rule_view_add_number(rule, CONDITION_PROTOCOL, negated,
					    (uint32_t)protocol_number(nft_text(right)));
	for (size_t i = 0; i < nft_count(set); i++) {
		tcp = tcp || protocol_number(nft_text(nft_item(set, i))) == IPPROTO_TCP;
		udp = udp || protocol_number(nft_text(nft_item(set, i))) == IPPROTO_UDP;
	}
	/* Probes are of one or the other. */
	if (tcp && udp)
		return negated ? rule_view_add_number(rule, CONDITION_PROTOCOL, false, IPPROTO_RAW)
			       : 0;
	return rule_view_add_number(rule, CONDITION_PROTOCOL, negated,
				    tcp	  ? IPPROTO_TCP
				    : udp ? IPPROTO_UDP
					  : IPPROTO_RAW);
}

static int add_ports(struct rule_view *rule, bool negated, struct json_object *right)
{
	struct json_object *set = nft_get(right, "set"), *list = set ? set : right;
	struct condition *condition;

	if (nft_text(right)[0] == '@')
		return rule_view_add_text(rule, CONDITION_PORT_SET, negated, nft_text(right) + 1);
	if (json_object_is_type(right, json_type_string))
		return rule_view_add_number(rule, CONDITION_UNKNOWN, false, 0);
	condition = rule_view_add(rule, CONDITION_PORTS, negated);
	if (!condition)
		return -ENOMEM;
	condition->number = nft_count(list) > RANGES_MAX;
	for (size_t i = 0; i < nft_count(list) && condition->n_ranges < RANGES_MAX; i++) {
		struct json_object *item = nft_item(list, i), *range = nft_get(item, "range");
		struct port_range *to = &condition->ranges[condition->n_ranges++];

		if (range && nft_count(range) == 2) {
			to->first = (uint16_t)json_object_get_int(nft_item(range, 0));
			to->last = (uint16_t)json_object_get_int(nft_item(range, 1));
		} else {
			to->first = to->last = (uint16_t)json_object_get_int(item);
		}
	}
	return 0;
}

static int add_interface(struct rule_view *rule, bool negated, struct json_object *right)
{
	struct json_object *set = nft_get(right, "set"), *list = set ? set : right;
	char *names CLEANUP(cleanup_free) = NULL;
	size_t size;
	FILE *file;

	if (nft_text(right)[0] == '@')
		return rule_view_add_number(rule, CONDITION_UNKNOWN, false, 0);
	file = open_memstream(&names, &size);
	if (!file)
		return -ENOMEM;
	for (size_t i = 0; i < nft_count(list); i++)
		fprintf(file, "%s%s", i > 0 ? " " : "", nft_text(nft_item(list, i)));
	if (fclose(file) != 0)
		return -ENOMEM;
	return rule_view_add_text(rule, CONDITION_INTERFACE, negated, names);
}

static int add_meta(struct rule_view *rule, const char *key, bool negated,
		    struct json_object *right)
{
	if (strcmp(key, "l4proto") == 0)
		return add_protocols(rule, negated, right);
	if (strcmp(key, "iif") == 0 || strcmp(key, "iifname") == 0)
		return add_interface(rule, negated, right);
	if (strcmp(key, "nfproto") == 0)
		return rule_view_add_number(rule, CONDITION_FAMILY, negated,
					    strcmp(nft_text(right), "ipv6") == 0 ? FAMILY_IPV6
										 : FAMILY_IPV4);
	if (strcmp(key, "pkttype") == 0)
		return rule_view_add_number(rule, CONDITION_STRANGER, negated,
					    strcmp(nft_text(right), "host") == 0 ||
						    strcmp(nft_text(right), "unicast") == 0);
	return rule_view_add_number(rule, CONDITION_UNKNOWN, false, 0);
}

/* An address: of a set, or somebody's in particular. */
static int add_source(struct rule_view *rule, bool negated, struct json_object *right)
{
	const char *text = nft_text(right);

	if (text[0] == '@')
		return rule_view_add_text(rule, CONDITION_SET, negated, text + 1);
	return rule_view_add_number(rule, CONDITION_STRANGER, negated, 0);
}

/* The network of an address, a set or a range of which is not understood. */
static int add_target(struct rule_view *rule, bool negated, struct json_object *right)
{
	struct json_object *prefix = nft_get(right, "prefix");
	char *network CLEANUP(cleanup_free) = NULL;

	if (prefix && asprintf(&network, "%s/%d", nft_get_text(prefix, "addr"),
			       json_object_get_int(nft_get(prefix, "len"))) < 0) {
		network = NULL;
		return -ENOMEM;
	}
	return rule_view_add_text(rule, CONDITION_TARGET, negated,
				  network ? network : nft_text(right));
}

static int add_payload(struct rule_view *rule, struct json_object *payload, bool negated,
		       bool is_in, struct json_object *right)
{
	const char *protocol = nft_get_text(payload, "protocol"),
		   *field = nft_get_text(payload, "field");
	bool is_ip6 = strcmp(protocol, "ip6") == 0;
	int r = 0;

	if (is_ip6 || strcmp(protocol, "ip") == 0)
		r = rule_view_add_number(rule, CONDITION_FAMILY, false,
					 is_ip6 ? FAMILY_IPV6 : FAMILY_IPV4);
	else if (strcmp(protocol, "th") != 0)
		r = rule_view_add_number(rule, CONDITION_PROTOCOL, false,
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
			rule_view_add(rule, is_in ? CONDITION_ANY_FLAGS : CONDITION_FLAGS, negated);

		if (!condition)
			return -ENOMEM;
		condition->number = flags_of(right);
		condition->mask = is_in ? condition->number : 0xff;
		return 0;
	}
	return rule_view_add_number(rule, CONDITION_UNKNOWN, false, 0);
}

/* tcp flags & (...) == ... */
static int add_masked(struct rule_view *rule, struct json_object *both, bool negated,
		      struct json_object *right)
{
	struct json_object *payload = nft_get(nft_item(both, 0), "payload");
	struct condition *condition;

	if (nft_count(both) != 2 || strcmp(nft_get_text(payload, "field"), "flags") != 0)
		return rule_view_add_number(rule, CONDITION_UNKNOWN, false, 0);
	condition = rule_view_add(rule, CONDITION_FLAGS, negated);
	if (!condition)
		return -ENOMEM;
	condition->mask = flags_of(nft_item(both, 1));
	condition->number = flags_of(right);
	return 0;
}

/* Several things looked up together in a set, of which the source's address must be one. */
static int add_concatenation(struct rule_view *rule, struct json_object *parts, bool negated,
			     struct json_object *right)
{
	const char *set = nft_text(right);

	for (size_t i = 0; set[0] == '@' && i < nft_count(parts); i++) {
		struct json_object *payload = nft_get(nft_item(parts, i), "payload");

		if (strcmp(nft_get_text(payload, "field"), "saddr") == 0)
			return rule_view_add_text(rule, CONDITION_SET, negated, set + 1);
	}
	return rule_view_add_number(rule, CONDITION_UNKNOWN, false, 0);
}

static int add_address_type(struct rule_view *rule, bool negated, struct json_object *right)
{
	struct json_object *set = nft_get(right, "set"), *list = set ? set : right;
	bool is_local = false;

	for (size_t i = 0; i < nft_count(list); i++)
		is_local = is_local || strcmp(nft_text(nft_item(list, i)), "local") == 0;
	return rule_view_add_number(rule, CONDITION_STRANGER, negated, is_local);
}

int nft_add_match(struct rule_view *rule, struct json_object *left, const char *op,
		  struct json_object *right)
{
	bool negated = strcmp(op, "!=") == 0, is_in = strcmp(op, "in") == 0;

	if (!negated && !is_in && strcmp(op, "==") != 0)
		return rule_view_add_number(rule, CONDITION_UNKNOWN, false, 0);
	if (nft_get(left, "payload"))
		return add_payload(rule, nft_get(left, "payload"), negated, is_in, right);
	if (nft_get(left, "meta"))
		return add_meta(rule, nft_get_text(nft_get(left, "meta"), "key"), negated, right);
	if (nft_get(left, "&"))
		return add_masked(rule, nft_get(left, "&"), negated, right);
	if (nft_get(left, "concat"))
		return add_concatenation(rule, nft_get(left, "concat"), negated, right);
	if (nft_get(left, "fib") &&
	    strcmp(nft_get_text(nft_get(left, "fib"), "result"), "type") == 0)
		return add_address_type(rule, negated, right);
	if (nft_get(left, "ct") && strcmp(nft_get_text(nft_get(left, "ct"), "key"), "state") == 0) {
		struct condition *condition = rule_view_add(rule, CONDITION_STATE, negated);

		if (condition)
			condition->mask = states_of(right);
		return condition ? 0 : -ENOMEM;
	}
	return rule_view_add_number(rule, CONDITION_UNKNOWN, false, 0);
}
