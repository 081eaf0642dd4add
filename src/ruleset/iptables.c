/* Reads what iptables-save and ip6tables-save print. */

#include "ruleset/iptables.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/probe.h"
#include "ruleset/ruleset.h"
#include "util/cleanup.h"

enum { WORDS_MAX = 128 };

/* For how long hashlimit keeps an idle source, unless it is told otherwise. */
enum { HASHED_EXPIRE_MS = 10000 };

/* One rule's words, and how far they have been read. */
struct rule_reader {
	struct rule_view *rule;
	struct log_limit hashed; /* of -m hashlimit: by source, or not */
	bool is_by_source;
	char *words[WORDS_MAX + 1];
	size_t n, i;
	bool negated;
};

/* Takes the words out of a line, in place; quotes group, and a backslash within them takes the next
 * character. */
static void reader_split(char *line, struct rule_reader *reader)
{
	char *to = line;

	reader->n = 0;
	while (*line && reader->n < WORDS_MAX) {
		bool quoted = false;

		line += strspn(line, " ");
		if (!*line)
			break;
		reader->words[reader->n++] = to;
		for (; *line && (quoted || *line != ' '); line++) {
			if (*line == '"')
				quoted = !quoted;
			else if (*line == '\\' && quoted && line[1])
				*to++ = *++line;
			else
				*to++ = *line;
		}
		line += *line == ' ';
		*to++ = '\0';
	}
	reader->words[reader->n] = NULL;
}

static const char *reader_take(struct rule_reader *reader)
{
	return reader->i < reader->n ? reader->words[reader->i++] : "";
}

static int reader_add_number(struct rule_reader *reader, enum condition_kind kind, uint32_t number)
{
	return rule_view_add_number(reader->rule, kind, reader->negated, number);
}

static int reader_add_text(struct rule_reader *reader, enum condition_kind kind, const char *text)
{
	return rule_view_add_text(reader->rule, kind, reader->negated, text);
}

static int read_protocol(struct rule_reader *reader)
{
	const char *name = reader_take(reader);

	if (strcmp(name, "all") == 0)
		return 0;
	/* What is neither TCP nor UDP is never a probe. */
	return reader_add_number(reader, CONDITION_PROTOCOL,
				 strcmp(name, "tcp") == 0   ? IPPROTO_TCP
				 : strcmp(name, "udp") == 0 ? IPPROTO_UDP
							    : IPPROTO_RAW);
}

static int read_interface(struct rule_reader *reader)
{
	char *name = reader->i < reader->n ? reader->words[reader->i++] : NULL;
	size_t length = name ? strlen(name) : 0;

	if (length > 0 && name[length - 1] == '+')
		name[length - 1] = '*';
	return reader_add_text(reader, CONDITION_INTERFACE, name ? name : "*");
}

static int read_network(struct rule_reader *reader)
{
	const char *network = reader_take(reader), *slash = strchr(network, '/');

	return reader_add_number(reader, CONDITION_STRANGER, slash && strcmp(slash, "/0") == 0);
}

static int read_target_network(struct rule_reader *reader)
{
	return reader_add_text(reader, CONDITION_TARGET, reader_take(reader));
}

static int read_ports(struct rule_reader *reader)
{
	struct condition *condition = rule_view_add(reader->rule, CONDITION_PORTS, reader->negated);
	const char *text = reader_take(reader);

	if (!condition)
		return -ENOMEM;
	while (*text) {
		if (condition->n_ranges == RANGES_MAX) {
			condition->number = true;
			break;
		}
		struct port_range *range = &condition->ranges[condition->n_ranges++];
		char *end;

		range->first = (uint16_t)strtoul(text, &end, 10);
		range->last = *end == ':' ? (uint16_t)strtoul(end + 1, &end, 10) : range->first;
		text = *end == ',' ? end + 1 : "";
	}
	return 0;
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
	struct condition *condition = rule_view_add(reader->rule, CONDITION_FLAGS, reader->negated);

	if (!condition)
		return -ENOMEM;
	condition->mask = read_flag_names(reader_take(reader));
	condition->number = read_flag_names(reader_take(reader));
	return 0;
}

static int read_syn(struct rule_reader *reader)
{
	struct condition *condition = rule_view_add(reader->rule, CONDITION_FLAGS, reader->negated);

	if (!condition)
		return -ENOMEM;
	condition->mask = TCP_FLAG_FIN | TCP_FLAG_SYN | TCP_FLAG_RST | TCP_FLAG_ACK;
	condition->number = TCP_FLAG_SYN;
	return 0;
}

static int read_ct_state(struct rule_reader *reader)
{
	static const char *const names[] = {"NEW", "ESTABLISHED", "RELATED", "INVALID"};
	static const uint32_t bits[] = {PACKET_NEW, PACKET_ESTABLISHED, PACKET_RELATED,
					PACKET_INVALID};
	struct condition *condition = rule_view_add(reader->rule, CONDITION_STATE, reader->negated);

	if (!condition)
		return -ENOMEM;
	condition->mask = read_names(reader_take(reader), names, bits, 4);
	return 0;
}

static int read_set(struct rule_reader *reader)
{
	const char *name = reader_take(reader), *directions = reader_take(reader);

	if (strcmp(directions, "dst") == 0)
		return reader_add_text(reader, CONDITION_PORT_SET, name);
	if (strncmp(directions, "src", 3) != 0)
		return reader_add_number(reader, CONDITION_UNKNOWN, 0);
	return reader_add_text(reader, CONDITION_SET, name);
}

/* "30/min" */
static uint64_t per_hour(const char *text)
{
	static const struct {
		const char *unit;
		uint64_t times;
	} units[] = {{"/s", 3600}, {"/m", 60}, {"/h", 1}, {"/d", 0}};
	uint64_t number = strtoull(text, NULL, 10);

	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
		if (strstr(text, units[i].unit))
			return units[i].times ? number * units[i].times : number / 24;
	return number;
}

/* What is not said is 5. */
static struct log_limit *limit_begin(struct log_limit *limit)
{
	if (!limit->is_there)
		*limit = (struct log_limit){.is_there = true, .burst = 5};
	return limit;
}

static int read_limit_rate(struct rule_reader *reader)
{
	limit_begin(&reader->rule->limits.for_all)->per_hour = per_hour(reader_take(reader));
	return 0;
}

static int read_limit_burst(struct rule_reader *reader)
{
	limit_begin(&reader->rule->limits.for_all)->burst =
		(uint32_t)strtoul(reader_take(reader), NULL, 10);
	return 0;
}

/* What iptables-save does not print is the default. */
static struct log_limit *hashed_begin(struct rule_reader *reader)
{
	if (!reader->hashed.is_there)
		limit_begin(&reader->hashed)->place_ms = HASHED_EXPIRE_MS;
	return &reader->hashed;
}

static int read_hashed_rate(struct rule_reader *reader)
{
	hashed_begin(reader)->per_hour = per_hour(reader_take(reader));
	return 0;
}

static int read_hashed_over(struct rule_reader *reader)
{
	hashed_begin(reader)->is_over = true;
	return read_hashed_rate(reader);
}

static int read_hashed_burst(struct rule_reader *reader)
{
	hashed_begin(reader)->burst = (uint32_t)strtoul(reader_take(reader), NULL, 10);
	return 0;
}

static int read_hashed_mode(struct rule_reader *reader)
{
	reader->is_by_source = strstr(reader_take(reader), "srcip") != NULL;
	return 0;
}

static int read_hashed_name(struct rule_reader *reader)
{
	return ruleset_set_text(&hashed_begin(reader)->table, reader_take(reader));
}

static int read_hashed_max(struct rule_reader *reader)
{
	hashed_begin(reader)->n_places = strtoull(reader_take(reader), NULL, 10);
	return 0;
}

static int read_hashed_expire(struct rule_reader *reader)
{
	hashed_begin(reader)->place_ms = strtoull(reader_take(reader), NULL, 10);
	return 0;
}

/* The rule owns what has been read. */
static void place_hashed(struct rule_reader *reader)
{
	struct log_limits *limits = &reader->rule->limits;

	if (!reader->hashed.is_there)
		return;
	if (reader->is_by_source) {
		limits->by_source = reader->hashed;
	} else {
		free(reader->hashed.table);
		reader->hashed.table = NULL;
		if (!limits->for_all.is_there)
			limits->for_all = reader->hashed;
	}
}

/* A probe goes to an address of this machine's own, and to it alone. */
static int read_address_type(struct rule_reader *reader)
{
	return reader_add_number(reader, CONDITION_STRANGER,
				 strstr(reader_take(reader), "LOCAL") != NULL);
}

static int read_packet_type(struct rule_reader *reader)
{
	return reader_add_number(reader, CONDITION_STRANGER,
				 strcmp(reader_take(reader), "unicast") == 0);
}

static int read_prefix(struct rule_reader *reader)
{
	return ruleset_set_text(&reader->rule->log_prefix, reader_take(reader));
}

static int read_level(struct rule_reader *reader)
{
	reader->rule->log_level = (unsigned)strtoul(reader_take(reader), NULL, 10);
	return 0;
}

static int read_log_options(struct rule_reader *reader)
{
	reader->rule->log_options = true;
	return 0;
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

static int read_target(struct rule_reader *reader)
{
	static const struct {
		const char *name;
		enum verdict verdict;
	} verdicts[] = {
		{"ACCEPT", VERDICT_ACCEPT}, {"DROP", VERDICT_DROP},	{"REJECT", VERDICT_DROP},
		{"RETURN", VERDICT_RETURN}, {"LOG", VERDICT_NONE},	{"MARK", VERDICT_NONE},
		{"DNAT", VERDICT_AWAY},	    {"REDIRECT", VERDICT_AWAY}, {"TPROXY", VERDICT_AWAY},
	};
	bool goes = strcmp(reader->words[reader->i - 1], "-g") == 0;
	const char *name = reader_take(reader);

	for (size_t i = 0; i < sizeof verdicts / sizeof verdicts[0]; i++)
		if (strcmp(verdicts[i].name, name) == 0) {
			reader->rule->verdict = verdicts[i].verdict;
			if (strcmp(name, "LOG") == 0 && !reader->rule->log_prefix)
				return ruleset_set_text(&reader->rule->log_prefix, "");
			return 0;
		}
	reader->rule->verdict = goes ? VERDICT_GOTO : VERDICT_JUMP;
	return ruleset_set_text(&reader->rule->target, name);
}

static const struct {
	const char *name;
	int (*read)(struct rule_reader *reader);
} options[] = {
	{"-p", read_protocol},
	{"-i", read_interface},
	{"-s", read_network},
	{"-d", read_target_network},
	{"-m", skip_one},
	{"-j", read_target},
	{"-g", read_target},
	{"--dport", read_ports},
	{"--dports", read_ports},
	{"--tcp-flags", read_flags},
	{"--syn", read_syn},
	{"--ctstate", read_ct_state},
	{"--state", read_ct_state},
	{"--match-set", read_set},
	{"--limit", read_limit_rate},
	{"--limit-burst", read_limit_burst},
	{"--hashlimit-upto", read_hashed_rate},
	{"--hashlimit-above", read_hashed_over},
	{"--hashlimit-burst", read_hashed_burst},
	{"--hashlimit-mode", read_hashed_mode},
	{"--hashlimit-name", read_hashed_name},
	{"--hashlimit-srcmask", skip_one},
	{"--hashlimit-htable-max", read_hashed_max},
	{"--hashlimit-htable-size", skip_one},
	{"--hashlimit-htable-expire", read_hashed_expire},
	{"--hashlimit-htable-gcinterval", skip_one},
	{"--dst-type", read_address_type},
	{"--pkt-type", read_packet_type},
	{"--log-prefix", read_prefix},
	{"--log-level", read_level},
	{"--log-tcp-options", read_log_options},
	{"--log-tcp-sequence", skip_none},
	{"--log-ip-options", skip_none},
	{"--log-uid", skip_none},
	{"--comment", skip_one},
	{"--to-destination", skip_one},
	{"--to-ports", skip_one},
	{"--on-port", skip_one},
	{"--on-ip", skip_one},
	{"--tproxy-mark", skip_one},
	{"--reject-with", skip_one},
	{"--icmp-type", skip_one},
	{"--icmpv6-type", skip_one},
};

static int read_option(struct rule_reader *reader)
{
	const char *word = reader_take(reader);

	for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
		if (strcmp(options[i].name, word) == 0)
			return options[i].read(reader);
	/* Up to the next option it is this one's. */
	while (reader->i < reader->n && reader->words[reader->i][0] != '-' &&
	       strcmp(reader->words[reader->i], "!") != 0)
		reader->i++;
	return reader_add_number(reader, CONDITION_UNKNOWN, 0);
}

static int iptables_read_rule(struct table_view *table, const char *line)
{
	char *copy CLEANUP(cleanup_free) = strdup(line);
	struct rule_reader reader = {0};
	struct chain_view *chain;
	int r = 0;

	if (!copy)
		return -ENOMEM;
	reader_split(copy, &reader);
	chain = reader.n > 1 ? table_find_chain(table, reader.words[1]) : NULL;
	if (!chain)
		return 0;
	reader.rule = chain_add_rule(chain);
	if (!reader.rule || asprintf(&reader.rule->text, "%s: %s", table->name, line) < 0)
		return -ENOMEM;
	for (reader.i = 2; r == 0 && reader.i < reader.n;) {
		reader.negated = strcmp(reader.words[reader.i], "!") == 0;
		reader.i += reader.negated;
		r = read_option(&reader);
	}
	place_hashed(&reader);
	return r;
}

const struct iptables_table ruleset_iptables_tables[N_IPTABLES_TABLES] = {
	{"raw", -300}, {"mangle", -150}, {"nat", -100}, {"filter", 0}, {"security", 50},
};

/* ":INPUT DROP [0:0]" */
static int iptables_read_chain(struct table_view *table, const struct iptables_table *kind,
			       const char *line)
{
	char *name CLEANUP(cleanup_free) = strndup(line + 1, strcspn(line + 1, " "));
	struct chain_view *chain = name ? table_add_chain(table, name) : NULL;
	bool before_routing;

	if (!chain)
		return -ENOMEM;
	before_routing = strcmp(name, "PREROUTING") == 0;
	chain->is_nat = strcmp(kind->name, "nat") == 0;
	chain->is_base = before_routing || (strcmp(name, "INPUT") == 0 && !chain->is_nat);
	chain->priority = kind->priority + (before_routing ? PRIORITY_BEFORE_ROUTING : 0);
	if (strncmp(line + 1 + strlen(name), " DROP", 5) == 0)
		chain->policy = VERDICT_DROP;
	return 0;
}

static const struct iptables_table *find_kind(const char *name)
{
	for (size_t i = 0; i < N_IPTABLES_TABLES; i++)
		if (strcmp(ruleset_iptables_tables[i].name, name) == 0)
			return &ruleset_iptables_tables[i];
	return NULL;
}

/* "*filter"; each has chains of its own. */
static struct table_view *iptables_add_table(struct ruleset *ruleset, enum family family,
					     const char *name, const struct iptables_table *kind)
{
	bool is_filter = strcmp(kind->name, "filter") == 0;
	struct table_view *table = ruleset_add_table(ruleset);

	if (!table)
		return NULL;
	table->families[family] = true;
	if (asprintf(&table->name, "%s%s%s", name, is_filter ? "" : " -t ",
		     is_filter ? "" : kind->name) < 0)
		table->name = NULL;
	table->set_prefix = strdup("");
	return table->name && table->set_prefix ? table : NULL;
}

int ruleset_add_iptables(struct ruleset *ruleset, enum family family, const char *name,
			 const char *text)
{
	const struct iptables_table *kind = NULL;
	struct table_view *table = NULL;
	int r = 0;

	while (*text && r == 0) {
		size_t length = strcspn(text, "\n");
		char *line CLEANUP(cleanup_free) = strndup(text, length);

		if (!line)
			return -ENOMEM;
		if (line[0] == '*') {
			kind = find_kind(line + 1);
			table = kind ? iptables_add_table(ruleset, family, name, kind) : NULL;
			r = kind && !table ? -ENOMEM : 0;
		} else if (table && line[0] == ':') {
			r = iptables_read_chain(table, kind, line);
		} else if (table && strncmp(line, "-A ", 3) == 0) {
			r = iptables_read_rule(table, line);
		}
		text += length + (text[length] == '\n');
	}
	return r;
}
