#include "ruleset/nft/select.h"

#include <errno.h>
#include <json-c/json.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ruleset/nft/json.h"
#include "ruleset/ruleset.h"

/* Values */

bool nft_read_numbers(struct json_object *object, uint32_t mask, struct accepted *ret)
{
	struct json_object *range = nft_get(object, "range");

	if (nft_count(range) == 2)
		return nft_read_numbers(nft_item(range, 0), mask, ret) &&
		       (ret->last = (uint32_t)json_object_get_int64(nft_item(range, 1)), true);
	ret->mask = mask;
	/* Of a number whose type nft has forgotten: "0x16 [invalid type]". */
	if (strncmp(nft_text(object), "0x", 2) == 0)
		ret->first = ret->last = (uint32_t)strtoul(nft_text(object), NULL, 16);
	else if (json_object_is_type(object, json_type_int))
		ret->first = ret->last = (uint32_t)json_object_get_int64(object);
	else
		return false;
	return true;
}

bool nft_read_addresses(struct json_object *object, uint32_t mask, struct accepted *ret)
{
	struct json_object *prefix = nft_get(object, "prefix"), *range = nft_get(object, "range");
	char text[2 * ADDRESS_TEXT_MAX];

	(void)mask;
	if (prefix && json_object_get_int(nft_get(prefix, "len")) == 0) {
		accepted_set_all_addresses(ret);
		return true;
	}
	if (prefix)
		snprintf(text, sizeof text, "%s/%d", nft_get_text(prefix, "addr"),
			 json_object_get_int(nft_get(prefix, "len")));
	else if (nft_count(range) == 2)
		snprintf(text, sizeof text, "%s-%s", nft_text(nft_item(range, 0)),
			 nft_text(nft_item(range, 1)));
	else
		snprintf(text, sizeof text, "%s", nft_text(object));
	return accepted_set_addresses(ret, text) == 0;
}

static bool read_interfaces(struct json_object *object, uint32_t mask, struct accepted *ret)
{
	(void)mask;
	return nft_text(object)[0] && accepted_set_text(ret, nft_text(object)) == 0;
}

static bool set_number(struct accepted *ret, uint32_t number)
{
	ret->first = ret->last = number;
	return true;
}

static uint32_t protocol_number(const char *name)
{
	return strcmp(name, "tcp") == 0					       ? IPPROTO_TCP
	       : strcmp(name, "udp") == 0				       ? IPPROTO_UDP
	       : strcmp(name, "icmpv6") == 0 || strcmp(name, "ipv6-icmp") == 0 ? IPPROTO_ICMPV6
									       : IPPROTO_RAW;
}

static bool read_protocols(struct json_object *object, uint32_t mask, struct accepted *ret)
{
	if (!json_object_is_type(object, json_type_string))
		return nft_read_numbers(object, mask, ret);
	return set_number(ret, protocol_number(nft_text(object)));
}

/* "ipv4" or "ip"; what else there is never comes here. */
static bool read_families(struct json_object *object, uint32_t mask, struct accepted *ret)
{
	const char *name = nft_text(object);

	(void)mask;
	return set_number(ret, strcmp(name, "ipv6") == 0 || strcmp(name, "ip6") == 0  ? FAMILY_IPV6
			       : strcmp(name, "ipv4") == 0 || strcmp(name, "ip") == 0 ? FAMILY_IPV4
										      : N_FAMILIES);
}

/* The bits of names, of which there may be several, or { "|": [...] }. */
static uint32_t bits_of(struct json_object *object, const char *const *names, const uint32_t *bits,
			size_t n)
{
	struct json_object *either = nft_get(object, "|"), *list = either ? either : object;
	uint32_t mask = 0;

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

	return json_object_is_type(object, json_type_int) ? (uint32_t)json_object_get_int64(object)
							  : bits_of(object, names, bits, 8);
}

/* All of the flags, as they are. */
static bool read_flags(struct json_object *object, uint32_t mask, struct accepted *ret)
{
	ret->mask = mask;
	return set_number(ret, flags_of(object));
}

static bool read_any_flags(struct json_object *object, uint32_t mask, struct accepted *ret)
{
	(void)mask;
	ret->mask = flags_of(object);
	return true;
}

static bool read_states(struct json_object *object, uint32_t mask, struct accepted *ret)
{
	static const char *const names[] = {"new",	  "established", "related",
					    "invalid",	  "untracked",	 "dnat",
					    "seen-reply", "assured",	 "confirmed"};
	static const uint32_t bits[] = {PACKET_NEW,	 PACKET_ESTABLISHED, PACKET_RELATED,
					PACKET_INVALID,	 PACKET_UNTRACKED,   PACKET_MOVED,
					PACKET_ANSWERED, PACKET_ANSWERED,    PACKET_ANSWERED};

	(void)mask;
	ret->mask = bits_of(object, names, bits, 9);
	return true;
}

static bool read_kinds(struct json_object *object, uint32_t mask, struct accepted *ret)
{
	const char *name = nft_text(object);

	(void)mask;
	ret->mask = strcmp(name, "local") == 0	   ? ADDRESS_LOCAL
		    : strcmp(name, "unicast") == 0 ? ADDRESS_UNICAST
						   : ADDRESS_OTHER;
	return true;
}

static bool set_answer(struct accepted *ret, bool holds)
{
	return set_number(ret, holds ? ANSWER_YES : ANSWER_NO);
}

/* Packets are from a unicast address. */
static bool read_source_kind(struct json_object *object, uint32_t mask, struct accepted *ret)
{
	(void)mask;
	return set_answer(ret, strcmp(nft_text(object), "unicast") == 0);
}

static bool read_cast(struct json_object *object, uint32_t mask, struct accepted *ret)
{
	const char *name = nft_text(object);

	(void)mask;
	ret->mask = strcmp(name, "host") == 0 || strcmp(name, "unicast") == 0 ? CAST_HOST
		    : strcmp(name, "multicast") == 0			      ? CAST_MANY
									      : CAST_OTHER;
	return true;
}

static bool read_direction(struct json_object *object, uint32_t mask, struct accepted *ret)
{
	(void)mask;
	return set_number(ret, strcmp(nft_text(object), "original") == 0);
}

/* Those that neighbours send have names, or are numbers; others are none of them. */
static bool read_icmp_types(struct json_object *object, uint32_t mask, struct accepted *ret)
{
	static const char *const names[] = {"nd-router-solicit", "nd-router-advert",
					    "nd-neighbor-solicit", "nd-neighbor-advert",
					    "nd-redirect"};

	if (!nft_text(object)[0])
		return nft_read_numbers(object, mask, ret);
	for (uint32_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (strcmp(names[i], nft_text(object)) == 0)
			return set_number(ret, ND_ROUTER_SOLICIT + i);
	return set_number(ret, 0);
}

/* An answer would leave by some interface: true, or a name. */
static bool read_exists(struct json_object *object, uint32_t mask, struct accepted *ret)
{
	(void)mask;
	return set_answer(ret, json_object_is_type(object, json_type_boolean)
				       ? json_object_get_boolean(object)
				       : strcmp(nft_text(object), "0") != 0);
}

/* It did not come out of a tunnel. */
static bool read_missing(struct json_object *object, uint32_t mask, struct accepted *ret)
{
	(void)mask;
	return set_answer(ret, !json_object_get_boolean(object));
}

/* It is not a piece of a packet. */
static bool read_zero(struct json_object *object, uint32_t mask, struct accepted *ret)
{
	(void)mask;
	return set_answer(ret, json_object_get_int(object) == 0);
}

static bool read_any(struct json_object *object, uint32_t mask, struct accepted *ret)
{
	(void)object;
	(void)mask;
	return set_answer(ret, true);
}

static bool read_helpers(struct json_object *object, uint32_t mask, struct accepted *ret)
{
	(void)object;
	(void)mask;
	ret->mask = PACKET_RELATED | PACKET_ESTABLISHED;
	return true;
}

/* Fields */

static const struct {
	const char *kind, *key;
	enum field field;
	nft_value_fn read;
} keys[] = {
	{"meta", "l4proto", FIELD_PROTOCOL, read_protocols},
	{"meta", "iif", FIELD_INTERFACE, read_interfaces},
	{"meta", "iifname", FIELD_INTERFACE, read_interfaces},
	{"meta", "oif", FIELD_OUTGOING, read_interfaces},
	{"meta", "oifname", FIELD_OUTGOING, read_interfaces},
	{"meta", "nfproto", FIELD_FAMILY, read_families},
	{"meta", "protocol", FIELD_FAMILY, read_families},
	{"meta", "pkttype", FIELD_CAST, read_cast},
	{"meta", "mark", FIELD_MARK, nft_read_numbers},
	{"meta", "ipsec", FIELD_CONSTANT, read_missing},
	{"meta", "hour", FIELD_TIME, read_any},
	{"meta", "day", FIELD_TIME, read_any},
	{"meta", "time", FIELD_TIME, read_any},
	{"ct", "state", FIELD_STATE, read_states},
	{"ct", "status", FIELD_STATE, read_states},
	{"ct", "mark", FIELD_CT_MARK, nft_read_numbers},
	{"ct", "direction", FIELD_DIRECTION, read_direction},
	{"ct", "helper", FIELD_STATE, read_helpers},
	{"ct", "l3proto", FIELD_FAMILY, read_families},
	{"ct", "protocol", FIELD_PROTOCOL, read_protocols},
	{"ct", "proto-dst", FIELD_ORIGINAL_PORT, nft_read_numbers},
	{"ct", "proto-src", FIELD_SOURCE_PORT, nft_read_numbers},
	{"ct", "daddr", FIELD_ORIGINAL_TARGET, nft_read_addresses},
	{"ct", "ip daddr", FIELD_ORIGINAL_TARGET, nft_read_addresses},
	{"ct", "ip6 daddr", FIELD_ORIGINAL_TARGET, nft_read_addresses},
	{"ct", "saddr", FIELD_SOURCE, nft_read_addresses},
	{"ct", "ip saddr", FIELD_SOURCE, nft_read_addresses},
	{"ct", "ip6 saddr", FIELD_SOURCE, nft_read_addresses},
};

static const struct {
	const char *name;
	enum field field;
	nft_value_fn read;
} payloads[] = {
	{"dport", FIELD_PORT, nft_read_numbers},
	{"sport", FIELD_SOURCE_PORT, nft_read_numbers},
	{"saddr", FIELD_SOURCE, nft_read_addresses},
	{"daddr", FIELD_TARGET, nft_read_addresses},
	{"protocol", FIELD_PROTOCOL, read_protocols},
	{"nexthdr", FIELD_PROTOCOL, read_protocols},
	{"version", FIELD_CONSTANT, read_any},
	{"hoplimit", FIELD_HOP_LIMIT, nft_read_numbers},
};

static bool is_transport(const char *protocol)
{
	static const char *const protocols[] = {"tcp", "udp",  "icmp", "icmpv6", "igmp",    "esp",
						"ah",  "comp", "sctp", "dccp",	 "udplite", "gre"};

	for (size_t i = 0; i < sizeof protocols / sizeof protocols[0]; i++)
		if (strcmp(protocols[i], protocol) == 0)
			return true;
	return false;
}

static int select_payload(struct rule_view *rule, struct json_object *payload, const char *op,
			  struct selection *ret)
{
	const char *protocol = nft_get_text(payload, "protocol"),
		   *field = nft_get_text(payload, "field");
	bool is_ip = strcmp(protocol, "ip") == 0, is_ip6 = strcmp(protocol, "ip6") == 0;

	for (size_t i = 0; i < sizeof payloads / sizeof payloads[0]; i++)
		if (strcmp(payloads[i].name, field) == 0 &&
		    (is_ip || is_ip6 || strcmp(protocol, "th") == 0 || is_transport(protocol)))
			*ret = (struct selection){payloads[i].field, payloads[i].read, 0, false};
	if (strcmp(protocol, "tcp") == 0 && strcmp(field, "flags") == 0)
		*ret = strcmp(op, "in") == 0
			       ? (struct selection){FIELD_ANY_FLAGS, read_any_flags, 0, false}
			       : (struct selection){FIELD_FLAGS, read_flags, 0xff, false};
	if (strcmp(protocol, "icmpv6") == 0 && strcmp(field, "type") == 0)
		*ret = (struct selection){FIELD_ICMP_TYPE, read_icmp_types, 0, false};
	if (is_ip || is_ip6)
		return rule_view_add_number(rule, FIELD_FAMILY, false,
					    is_ip6 ? FAMILY_IPV6 : FAMILY_IPV4);
	if (is_transport(protocol))
		return rule_view_add_number(rule, FIELD_PROTOCOL, false, protocol_number(protocol));
	return 0;
}

/* As nft prints it where a rule says the family in a way of its own: "@nh,96,32" is ip saddr. */
static int select_raw(struct rule_view *rule, struct json_object *payload, struct selection *ret)
{
	static const struct {
		const char *base;
		int offset, length;
		enum field field;
		nft_value_fn read;
		enum family family;
	} places[] = {
		{"nh", 96, 32, FIELD_SOURCE, nft_read_addresses, FAMILY_IPV4},
		{"nh", 128, 32, FIELD_TARGET, nft_read_addresses, FAMILY_IPV4},
		{"nh", 64, 128, FIELD_SOURCE, nft_read_addresses, FAMILY_IPV6},
		{"nh", 192, 128, FIELD_TARGET, nft_read_addresses, FAMILY_IPV6},
		{"th", 0, 16, FIELD_SOURCE_PORT, nft_read_numbers, N_FAMILIES},
		{"th", 16, 16, FIELD_PORT, nft_read_numbers, N_FAMILIES},
	};

	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
		if (strcmp(places[i].base, nft_get_text(payload, "base")) != 0 ||
		    places[i].offset != json_object_get_int(nft_get(payload, "offset")) ||
		    places[i].length != json_object_get_int(nft_get(payload, "len")))
			continue;
		*ret = (struct selection){places[i].field, places[i].read, 0, false};
		return places[i].family == N_FAMILIES
			       ? 0
			       : rule_view_add_number(rule, FIELD_FAMILY, false, places[i].family);
	}
	return 0;
}

/* Only the direction of whoever began is known. */
static void select_key(const char *kind, struct json_object *expression, struct selection *ret)
{
	const char *key = nft_get_text(expression, "key"), *dir = nft_get_text(expression, "dir");

	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
		if (strcmp(keys[i].kind, kind) == 0 && strcmp(keys[i].key, key) == 0 &&
		    strcmp(dir, "reply") != 0)
			*ret = (struct selection){keys[i].field, keys[i].read, UINT32_MAX,
						  strcmp(kind, "ct") == 0 &&
							  strcmp(key, "state") != 0};
}

static void select_route(struct json_object *fib, struct selection *ret)
{
	struct json_object *flags = nft_get(fib, "flags");
	bool is_type = strcmp(nft_get_text(fib, "result"), "type") == 0, is_source = false;

	for (size_t i = 0; i < nft_count(flags); i++)
		is_source = is_source || strcmp(nft_text(nft_item(flags, i)), "saddr") == 0;
	if (is_source)
		*ret = (struct selection){FIELD_CONSTANT, is_type ? read_source_kind : read_exists,
					  0, false};
	else if (is_type)
		*ret = (struct selection){FIELD_TARGET_KIND, read_kinds, 0, false};
}

/* A mark or flags with a mask. */
static int select_masked(struct rule_view *rule, struct json_object *both, struct selection *ret)
{
	struct selection whole = {0};
	struct json_object *payload = nft_get(nft_item(both, 0), "payload");
	int r = nft_count(both) == 2 ? nft_select(rule, nft_item(both, 0), "==", &whole) : 0;

	if (whole.field == FIELD_FLAGS)
		*ret = (struct selection){FIELD_FLAGS, read_flags, flags_of(nft_item(both, 1)),
					  false};
	else if (whole.field == FIELD_MARK || whole.field == FIELD_CT_MARK)
		*ret = (struct selection){whole.field, whole.read,
					  (uint32_t)json_object_get_int64(nft_item(both, 1)),
					  whole.of_connection};
	else if (strcmp(nft_get_text(payload, "field"), "frag-off") == 0)
		*ret = (struct selection){FIELD_CONSTANT, read_zero, 0, false};
	return r;
}

int nft_select(struct rule_view *rule, struct json_object *expression, const char *op,
	       struct selection *ret)
{
	struct json_object *option = nft_get(expression, "tcp option");

	*ret = (struct selection){FIELD_UNKNOWN, read_any, 0, false};
	/* A probe has no IPv6 extension header whose fields could be anything. */
	if (nft_get(nft_get(expression, "exthdr"), "field"))
		return rule_view_add_number(rule, FIELD_CONSTANT, false, ANSWER_NO);
	if (nft_get(nft_get(expression, "payload"), "base"))
		return select_raw(rule, nft_get(expression, "payload"), ret);
	if (nft_get(expression, "payload"))
		return select_payload(rule, nft_get(expression, "payload"), op, ret);
	if (nft_get(expression, "&"))
		return select_masked(rule, nft_get(expression, "&"), ret);
	if (nft_get(expression, "fib"))
		select_route(nft_get(expression, "fib"), ret);
	else if (nft_get(expression, "meta"))
		select_key("meta", nft_get(expression, "meta"), ret);
	else if (nft_get(expression, "ct"))
		select_key("ct", nft_get(expression, "ct"), ret);
	else if (strcmp(nft_get_text(option, "name"), "maxseg") == 0)
		*ret = (struct selection){FIELD_SEGMENT_SIZE, nft_read_numbers, 0, false};
	return 0;
}
