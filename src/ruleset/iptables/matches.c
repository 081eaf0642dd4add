#include "ruleset/iptables/matches.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "core/probe.h"
#include "ruleset/iptables/ipset.h"
#include "ruleset/iptables/limits.h"
#include "ruleset/iptables/reader.h"

static int read_protocol(struct rule_reader *reader)
{
	const char *name = reader_take(reader);
	unsigned long number = strtoul(name, NULL, 10);

	if (strcmp(name, "all") == 0)
		return 0;
	/* What is something else is neither a probe nor from a neighbour. */
	return reader_add_number(reader, FIELD_PROTOCOL,
				 strcmp(name, "tcp") == 0 || number == IPPROTO_TCP   ? IPPROTO_TCP
				 : strcmp(name, "udp") == 0 || number == IPPROTO_UDP ? IPPROTO_UDP
				 : strstr(name, "icmpv6") || strcmp(name, "ipv6-icmp") == 0 ||
						 number == IPPROTO_ICMPV6
					 ? IPPROTO_ICMPV6
					 : IPPROTO_RAW);
}

static int read_name(struct rule_reader *reader, enum field field)
{
	char *name = reader->i < reader->n ? reader->words[reader->i++] : NULL;
	size_t length = name ? strlen(name) : 0;

	if (length > 0 && name[length - 1] == '+')
		name[length - 1] = '*';
	return rule_view_add_text(reader->rule, field, reader->negated, name ? name : "*");
}

static int read_interface(struct rule_reader *reader)
{
	return read_name(reader, FIELD_INTERFACE);
}

static int read_outgoing(struct rule_reader *reader)
{
	return read_name(reader, FIELD_OUTGOING);
}

/* A mask that is no prefix is not understood. */
static int read_addresses(struct rule_reader *reader, enum field field)
{
	struct condition *condition = rule_view_add(reader->rule, field, reader->negated);
	struct accepted *accepted = condition ? condition_add(condition) : NULL;
	const char *text = reader_take(reader), *slash = strchr(text, '/');

	if (!accepted)
		return -ENOMEM;
	if (slash && strcmp(slash, "/0") == 0)
		accepted_set_all_addresses(accepted);
	else if (accepted_set_addresses(accepted, text) < 0)
		condition->is_partial = true;
	return 0;
}

static int read_network(struct rule_reader *reader)
{
	return read_addresses(reader, FIELD_SOURCE);
}

static int read_target_network(struct rule_reader *reader)
{
	return read_addresses(reader, FIELD_TARGET);
}

static int read_original_target(struct rule_reader *reader)
{
	return read_addresses(reader, FIELD_ORIGINAL_TARGET);
}

/* A list of numbers and ranges. */
static int read_ranges(struct rule_reader *reader, enum field field)
{
	struct condition *condition = rule_view_add(reader->rule, field, reader->negated);
	const char *text = reader_take(reader);
	int r = condition ? 0 : -ENOMEM;

	while (r == 0 && *text) {
		uint32_t first, last;

		if (reader_read_range(text, &first, &last) == 0)
			r = condition_add_range(condition, first, last);
		else
			condition->is_partial = true;
		text += strcspn(text, ",");
		text += *text == ',';
	}
	return r;
}

static int read_ports(struct rule_reader *reader)
{
	return read_ranges(reader, FIELD_PORT);
}

static int read_source_ports(struct rule_reader *reader)
{
	return read_ranges(reader, FIELD_SOURCE_PORT);
}

/* Either port may be one of these. */
static int read_both_ports(struct rule_reader *reader)
{
	int r = read_ranges(reader, FIELD_PORT);

	if (r == 0)
		reader->rule->conditions[reader->rule->n_conditions - 1].is_partial = true;
	return r;
}

static int read_original_port(struct rule_reader *reader)
{
	return read_ranges(reader, FIELD_ORIGINAL_PORT);
}

static int read_segment_size(struct rule_reader *reader)
{
	return read_ranges(reader, FIELD_SEGMENT_SIZE);
}

static uint32_t read_names(const char *text, const char *const *names, const uint32_t *bits,
			   size_t n)
{
	uint32_t mask = 0;

	while (*text) {
		size_t length = strcspn(text, ",");

		for (size_t i = 0; i < n; i++)
			if (length == strlen(names[i]) && strncmp(text, names[i], length) == 0)
				mask |= bits[i];
		text += length + (text[length] == ',');
	}
	return mask;
}

static uint32_t read_flag_names(const char *text)
{
	static const char *const names[] = {"FIN", "SYN", "RST", "PSH", "ACK", "URG", "ALL"};
	static const uint32_t bits[] = {TCP_FLAG_FIN, TCP_FLAG_SYN, TCP_FLAG_RST, TCP_FLAG_PSH,
					TCP_FLAG_ACK, TCP_FLAG_URG, 0x3f};

	return read_names(text, names, bits, 7);
}

static int read_flags(struct rule_reader *reader)
{
	uint32_t mask = read_flag_names(reader_take(reader));

	return reader_add_mask(reader, FIELD_FLAGS, mask, read_flag_names(reader_take(reader)));
}

static int read_syn(struct rule_reader *reader)
{
	return reader_add_mask(reader, FIELD_FLAGS,
			       TCP_FLAG_FIN | TCP_FLAG_SYN | TCP_FLAG_RST | TCP_FLAG_ACK,
			       TCP_FLAG_SYN);
}

static int read_ct_state(struct rule_reader *reader)
{
	static const char *const state_names[] = {"NEW",	"ESTABLISHED", "RELATED",
						  "INVALID",	"UNTRACKED",   "DNAT",
						  "SEEN_REPLY", "ASSURED",     "CONFIRMED"};
	static const uint32_t bits[] = {PACKET_NEW,	 PACKET_ESTABLISHED, PACKET_RELATED,
					PACKET_INVALID,	 PACKET_UNTRACKED,   PACKET_MOVED,
					PACKET_ANSWERED, PACKET_ANSWERED,    PACKET_ANSWERED};

	return reader_add_mask(reader, FIELD_STATE,
			       read_names(reader_take(reader), state_names, bits, 9), 0);
}

static int read_direction(struct rule_reader *reader)
{
	return reader_add_number(reader, FIELD_DIRECTION,
				 strcmp(reader_take(reader), "ORIGINAL") == 0);
}

/* "135", "135/0" */
static int read_icmp_type(struct rule_reader *reader)
{
	return reader_add_number(reader, FIELD_ICMP_TYPE,
				 (uint32_t)strtoul(reader_take(reader), NULL, 10));
}

static int read_hop_limit(struct rule_reader *reader)
{
	return reader_add_number(reader, FIELD_HOP_LIMIT,
				 (uint32_t)strtoul(reader_take(reader), NULL, 10));
}

/* "--hl-lt 255", "--hl-gt 63" */
static int read_hop_limits(struct rule_reader *reader)
{
	bool is_less = strcmp(reader->words[reader->i - 1], "--hl-lt") == 0;
	uint32_t number = (uint32_t)strtoul(reader_take(reader), NULL, 10);
	struct condition *condition = rule_view_add(reader->rule, FIELD_HOP_LIMIT, reader->negated);

	if (!condition)
		return -ENOMEM;
	if (is_less && number == 0)
		return 0;
	return condition_add_range(condition, is_less ? 0 : number + 1,
				   is_less ? number - 1 : UINT32_MAX);
}

/* What a helper expects is related to another connection. */
static int read_helper(struct rule_reader *reader)
{
	reader_take(reader);
	return reader_add_mask(reader, FIELD_STATE, PACKET_RELATED | PACKET_ESTABLISHED, 0);
}

static int read_mark(struct rule_reader *reader)
{
	uint32_t number, mask;

	reader_read_masked(reader_take(reader), &number, &mask);
	return reader_add_mask(reader,
			       strcmp(reader->module, "connmark") == 0 ? FIELD_CT_MARK : FIELD_MARK,
			       mask, number);
}

/* A probe goes to an address of this machine's own, and to it alone; what neighbours ask may go to
 * many. */
static int read_address_type(struct rule_reader *reader)
{
	static const char *const kind_names[] = {"LOCAL", "UNICAST", "MULTICAST"};
	static const uint32_t bits[] = {ADDRESS_LOCAL, ADDRESS_UNICAST, ADDRESS_OTHER};

	return reader_add_mask(reader, FIELD_TARGET_KIND,
			       read_names(reader_take(reader), kind_names, bits, 3), 0);
}

static int read_source_type(struct rule_reader *reader)
{
	return reader_add_number(reader, FIELD_CONSTANT,
				 strstr(reader_take(reader), "UNICAST") ? ANSWER_YES : ANSWER_NO);
}

static int read_packet_type(struct rule_reader *reader)
{
	const char *name = reader_take(reader);

	return reader_add_mask(reader, FIELD_CAST,
			       strcmp(name, "unicast") == 0	? CAST_HOST
			       : strcmp(name, "multicast") == 0 ? CAST_MANY
								: CAST_OTHER,
			       0);
}

/* A stranger's packet comes by where answers to it leave, and not out of a tunnel; it is whole. */
static int read_never(struct rule_reader *reader)
{
	return reader_add_number(reader, FIELD_CONSTANT, ANSWER_NO);
}

static int read_invert(struct rule_reader *reader)
{
	return strcmp(reader->module, "rpfilter") == 0
		       ? read_never(reader)
		       : reader_add_number(reader, FIELD_UNKNOWN, 0);
}

static int read_policy(struct rule_reader *reader)
{
	return reader_add_number(reader, FIELD_CONSTANT,
				 strcmp(reader_take(reader), "none") == 0 ? ANSWER_YES : ANSWER_NO);
}

static int read_time(struct rule_reader *reader)
{
	reader_take(reader);
	return reader_add_number(reader, FIELD_TIME, 0);
}

static int read_quota(struct rule_reader *reader)
{
	reader_take(reader);
	return reader_add_number(reader, FIELD_RATE, 1);
}

static int skip_one(struct rule_reader *reader)
{
	reader_take(reader);
	return 0;
}

static int skip_none(struct rule_reader *reader)
{
	(void)reader;
	return 0;
}

/* An option of which module (NULL: any). */
static const struct match_option {
	const char *module, *name;
	int (*read)(struct rule_reader *reader);
} match_options[] = {
	{NULL, "-p", read_protocol},
	{NULL, "-i", read_interface},
	{NULL, "-o", read_outgoing},
	{NULL, "-s", read_network},
	{NULL, "-d", read_target_network},
	{NULL, "-f", read_never},
	{NULL, "-m", matches_begin_module},
	{NULL, "--dport", read_ports},
	{NULL, "--dports", read_ports},
	{NULL, "--sport", read_source_ports},
	{NULL, "--sports", read_source_ports},
	{NULL, "--ports", read_both_ports},
	{NULL, "--tcp-flags", read_flags},
	{NULL, "--syn", read_syn},
	{"icmp", "--icmp-type", skip_one},
	{"icmp6", "--icmpv6-type", read_icmp_type},
	{"hl", "--hl-eq", read_hop_limit},
	{"hl", "--hl-lt", read_hop_limits},
	{"hl", "--hl-gt", read_hop_limits},
	{"conntrack", "--ctstate", read_ct_state},
	{"conntrack", "--ctstatus", read_ct_state},
	{"conntrack", "--ctorigdstport", read_original_port},
	{"conntrack", "--ctorigdst", read_original_target},
	{"conntrack", "--ctorigsrc", read_network},
	{"conntrack", "--ctproto", read_protocol},
	{"conntrack", "--ctdir", read_direction},
	{"state", "--state", read_ct_state},
	{"set", "--match-set", ipset_read_match},
	{"set", "--return-nomatch", skip_none},
	{"set", "--update-counters", skip_none},
	{"set", "--update-subcounters", skip_none},
	{"limit", "--limit", read_limit_rate},
	{"limit", "--limit-burst", read_limit_burst},
	{"hashlimit", "--hashlimit-upto", read_hashed_rate},
	{"hashlimit", "--hashlimit-above", read_hashed_over},
	{"hashlimit", "--hashlimit-burst", read_hashed_burst},
	{"hashlimit", "--hashlimit-mode", read_hashed_mode},
	{"hashlimit", "--hashlimit-name", read_hashed_name},
	{"hashlimit", "--hashlimit-srcmask", skip_one},
	{"hashlimit", "--hashlimit-dstmask", skip_one},
	{"hashlimit", "--hashlimit-htable-max", read_hashed_max},
	{"hashlimit", "--hashlimit-htable-size", skip_one},
	{"hashlimit", "--hashlimit-htable-expire", read_hashed_expire},
	{"hashlimit", "--hashlimit-htable-gcinterval", skip_one},
	{"connlimit", "--connlimit-above", read_connections_above},
	{"connlimit", "--connlimit-upto", read_connections_up_to},
	{"connlimit", "--connlimit-mask", skip_one},
	{"connlimit", "--connlimit-saddr", skip_none},
	{"connlimit", "--connlimit-daddr", skip_none},
	{"recent", "--set", read_recent_set},
	{"recent", "--rcheck", read_recent_check},
	{"recent", "--update", read_recent_check},
	{"recent", "--remove", read_recent_check},
	{"recent", "--hitcount", read_recent_hits},
	{"recent", "--seconds", skip_one},
	{"recent", "--reap", skip_none},
	{"recent", "--rttl", skip_none},
	{"recent", "--name", skip_one},
	{"recent", "--mask", skip_one},
	{"recent", "--rsource", skip_none},
	{"recent", "--rdest", skip_none},
	{"time", "--timestart", read_time},
	{"time", "--timestop", read_time},
	{"time", "--datestart", read_time},
	{"time", "--datestop", read_time},
	{"time", "--weekdays", read_time},
	{"time", "--monthdays", read_time},
	{"time", "--contiguous", skip_none},
	{"time", "--kerneltz", skip_none},
	{"time", "--utc", skip_none},
	{"mark", "--mark", read_mark},
	{"connmark", "--mark", read_mark},
	{"addrtype", "--dst-type", read_address_type},
	{"addrtype", "--src-type", read_source_type},
	{"addrtype", "--limit-iface-in", skip_none},
	{"pkttype", "--pkt-type", read_packet_type},
	{"iprange", "--src-range", read_network},
	{"iprange", "--dst-range", read_target_network},
	{"rpfilter", "--invert", read_invert},
	{"rpfilter", "--loose", skip_none},
	{"rpfilter", "--validmark", skip_none},
	{"rpfilter", "--accept-local", skip_none},
	{"policy", "--pol", read_policy},
	{"policy", "--dir", skip_one},
	{"policy", "--strict", skip_none},
	{"policy", "--reqid", skip_one},
	{"policy", "--proto", skip_one},
	{"policy", "--mode", skip_one},
	{"tcpmss", "--mss", read_segment_size},
	{"helper", "--helper", read_helper},
	{"quota", "--quota", read_quota},
	{"comment", "--comment", skip_one},
	/* All of whose options are above, or any. */
	{"tcp", "", NULL},
	{"udp", "", NULL},
	{"multiport", "", NULL},
};

enum { N_MATCH_OPTIONS = sizeof match_options / sizeof match_options[0] };

static bool is_known_module(const char *name)
{
	for (size_t i = 0; i < N_MATCH_OPTIONS; i++)
		if (match_options[i].module && strcmp(match_options[i].module, name) == 0)
			return true;
	return false;
}

/* IPv6 extension headers, and those of IPsec: a probe has none, whatever is asked of them, and a
 * rule that asks for one without an option means any (net/ipv6/netfilter/ip6t_rt.c and its like).
 */
static bool is_extension_header(const char *name)
{
	static const char *const names[] = {"rt", "frag", "hbh", "dst", "mh", "srh", "ah", "esp"};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

int matches_begin_module(struct rule_reader *reader)
{
	int r = limits_place(reader);

	reader->module = reader_take(reader);
	reader->negated = false;
	if (r == 0 && is_extension_header(reader->module))
		return reader_add_number(reader, FIELD_CONSTANT, ANSWER_NO);
	return r < 0 || is_known_module(reader->module)
		       ? r
		       : reader_add_number(reader, FIELD_UNKNOWN, 0);
}

/* All but the state is known of connections that are followed alone. */
static bool is_of_connection(const struct match_option *option)
{
	return option->module &&
	       (strcmp(option->module, "connmark") == 0 ||
		(strcmp(option->module, "conntrack") == 0 &&
		 strcmp(option->name, "--ctstate") != 0 && strcmp(option->name, "--ctproto") != 0));
}

bool matches_read(struct rule_reader *reader, const char *option, int *ret_error)
{
	for (size_t i = 0; i < N_MATCH_OPTIONS; i++) {
		const struct match_option *known = &match_options[i];

		if (strcmp(known->name, option) != 0 ||
		    (known->module && strcmp(known->module, reader->module) != 0))
			continue;
		*ret_error = known->read(reader);
		if (*ret_error == 0 && is_of_connection(known))
			reader->rule->conditions[reader->rule->n_conditions - 1].needs_tracking =
				true;
		return true;
	}
	return false;
}
