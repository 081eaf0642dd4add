#include "ruleset/iptables/targets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ruleset/iptables/reader.h"
#include "util/cleanup.h"

static int read_prefix(struct rule_reader *reader)
{
	return ruleset_set_text(&reader->rule->log_prefix, reader_take(reader));
}

static int read_nflog_prefix(struct rule_reader *reader)
{
	return ruleset_set_text(&reader->rule->nflog_prefix, reader_take(reader));
}

static int read_nflog_group(struct rule_reader *reader)
{
	reader->rule->nflog_group = (unsigned)strtoul(reader_take(reader), NULL, 10);
	return 0;
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

static int read_notrack(struct rule_reader *reader)
{
	reader->rule->untracks = true;
	return 0;
}

static void change_mark(struct mark_change *change, uint32_t keep, uint32_t flip)
{
	*change = (struct mark_change){.is_there = true, .keep = keep, .flip = flip};
}

static int read_mark_change(struct rule_reader *reader)
{
	bool is_connection = strcmp(reader->module, "CONNMARK") == 0;
	uint32_t number, mask;

	reader_read_masked(reader_take(reader), &number, &mask);
	change_mark(is_connection ? &reader->rule->ct_mark : &reader->rule->mark, ~mask, number);
	return 0;
}

static int read_restore(struct rule_reader *reader)
{
	change_mark(&reader->rule->mark, UINT32_MAX, 0);
	reader->rule->mark.from_other = true;
	return 0;
}

static int read_save(struct rule_reader *reader)
{
	change_mark(&reader->rule->ct_mark, UINT32_MAX, 0);
	reader->rule->ct_mark.from_other = true;
	return 0;
}

/* Of a part of a mark that is copied nothing more is known. */
static int read_copy_mask(struct rule_reader *reader)
{
	if (strtoul(reader_take(reader), NULL, 0) != UINT32_MAX)
		reader->rule->mark.is_unknown = reader->rule->ct_mark.is_unknown = true;
	return 0;
}

/* "192.0.2.2:80", ":80-90", "[2001:db8::2]:80", "2001:db8::2" */
static int read_destination(struct rule_reader *reader)
{
	struct destination_change *change = &reader->rule->change;
	char *text CLEANUP(cleanup_free) = strdup(reader_take(reader)), *port;

	if (!text)
		return -ENOMEM;
	port = text[0] == '[' ? strstr(text, "]:") : strchr(text, ':');
	if (port && text[0] == '[')
		*port++ = '\0';
	else if (port && strchr(port + 1, ':'))
		port = NULL;
	if (port)
		*port++ = '\0';
	change->has_port =
		port && reader_read_range(port, &change->port.first, &change->port.last) == 0;
	change->has_address = text[0] != '\0';
	if (change->has_address && accepted_set_addresses(&change->address, text) < 0)
		accepted_set_all_addresses(&change->address);
	return 0;
}

static int read_ports_changed(struct rule_reader *reader)
{
	struct destination_change *change = &reader->rule->change;

	change->has_port = reader_read_range(reader_take(reader), &change->port.first,
					     &change->port.last) == 0;
	return 0;
}

/* A program that nobody listens with gets nothing; else it is as if it were accepted here. */
static const struct target {
	const char *name;
	enum verdict verdict;
} targets[] = {
	{"ACCEPT", VERDICT_ACCEPT},    {"DROP", VERDICT_DROP},	      {"REJECT", VERDICT_DROP},
	{"TARPIT", VERDICT_DROP},      {"RETURN", VERDICT_RETURN},    {"DNAT", VERDICT_MOVE},
	{"REDIRECT", VERDICT_MOVE},    {"NETMAP", VERDICT_MOVE},      {"TPROXY", VERDICT_ACCEPT},
	{"LOG", VERDICT_NONE},	       {"MARK", VERDICT_NONE},	      {"CONNMARK", VERDICT_NONE},
	{"CT", VERDICT_NONE},	       {"NOTRACK", VERDICT_NONE},     {"NFLOG", VERDICT_NONE},
	{"ULOG", VERDICT_NONE},	       {"SET", VERDICT_NONE},	      {"TCPMSS", VERDICT_NONE},
	{"TTL", VERDICT_NONE},	       {"HL", VERDICT_NONE},	      {"DSCP", VERDICT_NONE},
	{"TOS", VERDICT_NONE},	       {"ECN", VERDICT_NONE},	      {"CLASSIFY", VERDICT_NONE},
	{"TRACE", VERDICT_NONE},       {"CHECKSUM", VERDICT_NONE},    {"AUDIT", VERDICT_NONE},
	{"SECMARK", VERDICT_NONE},     {"CONNSECMARK", VERDICT_NONE}, {"TEE", VERDICT_NONE},
	{"TCPOPTSTRIP", VERDICT_NONE}, {"IDLETIMER", VERDICT_NONE},   {"LED", VERDICT_NONE},
	{"RATEEST", VERDICT_NONE},
};

static int read_target(struct rule_reader *reader)
{
	bool goes = strcmp(reader->words[reader->i - 1], "-g") == 0;
	const char *name = reader->module = reader_take(reader);
	struct rule_view *rule = reader->rule;

	reader->has_target = true;
	if (table_find_chain(reader->table, name)) {
		rule->verdict = goes ? VERDICT_GOTO : VERDICT_JUMP;
		return ruleset_set_text(&rule->target, name);
	}
	rule->untracks = strcmp(name, "NOTRACK") == 0;
	rule->verdict = VERDICT_UNKNOWN;
	for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++)
		if (strcmp(targets[i].name, name) == 0)
			rule->verdict = targets[i].verdict;
	if (strcmp(name, "LOG") == 0)
		return ruleset_set_text(&rule->log_prefix, "");
	if (strcmp(name, "NFLOG") == 0)
		return ruleset_set_text(&rule->nflog_prefix, "");
	return 0;
}

static const struct target_option {
	const char *name;
	int (*read)(struct rule_reader *reader);
} target_options[] = {
	{"-j", read_target},
	{"-g", read_target},
	{"--log-prefix", read_prefix},
	{"--log-level", read_level},
	{"--nflog-prefix", read_nflog_prefix},
	{"--nflog-group", read_nflog_group},
	{"--log-tcp-options", read_log_options},
	{"--to-destination", read_destination},
	{"--to", read_destination},
	{"--to-ports", read_ports_changed},
	{"--tproxy-mark", read_mark_change},
	{"--set-xmark", read_mark_change},
	{"--set-mark", read_mark_change},
	{"--restore-mark", read_restore},
	{"--save-mark", read_save},
	{"--nfmask", read_copy_mask},
	{"--ctmask", read_copy_mask},
	{"--mask", read_copy_mask},
	{"--notrack", read_notrack},
};

bool targets_read(struct rule_reader *reader, const char *option, int *ret_error)
{
	for (size_t i = 0; i < sizeof target_options / sizeof target_options[0]; i++)
		if (strcmp(target_options[i].name, option) == 0 &&
		    (reader->has_target || target_options[i].read == read_target)) {
			*ret_error = target_options[i].read(reader);
			return true;
		}
	return false;
}
