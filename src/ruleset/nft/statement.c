#include "ruleset/nft/statement.h"

#include <json-c/json.h>
#include <string.h>

#include "ruleset/nft/json.h"
#include "ruleset/nft/limit.h"
#include "ruleset/nft/match.h"
#include "ruleset/nft/reader.h"
#include "ruleset/nft/select.h"
#include "ruleset/ruleset.h"

static int nft_read_log(struct rule_view *rule, struct json_object *log)
{
	static const char *const levels[] = {"emerg", "alert",	"crit", "err",
					     "warn",  "notice", "info", "debug"};
	struct json_object *flags = nft_get(log, "flags"), *group = nft_get(log, "group");

	if (strcmp(nft_get_text(log, "level"), "audit") == 0)
		return 0;
	if (group) {
		rule->nflog_group = (unsigned)json_object_get_int64(group);
		return ruleset_set_text(&rule->nflog_prefix, nft_get_text(log, "prefix"));
	}
	for (unsigned i = 0; i < 8; i++)
		if (strcmp(nft_get_text(log, "level"), levels[i]) == 0)
			rule->log_level = i;
	for (size_t i = 0; i < nft_count(flags); i++)
		rule->log_options = rule->log_options ||
				    strcmp(nft_text(nft_item(flags, i)), "all") == 0 ||
				    strcmp(nft_text(nft_item(flags, i)), "tcp options") == 0;
	return ruleset_set_text(&rule->log_prefix, nft_get_text(log, "prefix"));
}

static int read_jump(struct rule_view *rule, struct json_object *jump)
{
	rule->verdict = VERDICT_JUMP;
	return ruleset_set_text(&rule->target, nft_get_text(jump, "target"));
}

static int read_goto(struct rule_view *rule, struct json_object *jump)
{
	rule->verdict = VERDICT_GOTO;
	return ruleset_set_text(&rule->target, nft_get_text(jump, "target"));
}

static int read_notrack(struct rule_view *rule, struct json_object *value)
{
	(void)value;
	rule->untracks = true;
	return 0;
}

/* Of iptables, which says what it is to nobody else: it asks or does anything. */
static int read_extension(struct rule_view *rule, struct json_object *value)
{
	(void)value;
	if (rule->verdict == VERDICT_NONE)
		rule->verdict = VERDICT_UNKNOWN;
	return rule_view_add_number(rule, FIELD_UNKNOWN, false, 0);
}

static int read_reject(struct rule_view *rule, struct json_object *reject)
{
	const char *type = nft_get_text(reject, "type");

	rule->verdict = VERDICT_DROP;
	if (strcmp(type, "icmp") == 0 || strcmp(type, "icmpv6") == 0)
		return rule_view_add_number(rule, FIELD_FAMILY, false,
					    type[4] ? FAMILY_IPV6 : FAMILY_IPV4);
	return 0;
}

/* A port that is not understood may be any. */
void nft_read_destination(struct rule_view *rule, struct json_object *address,
			  struct json_object *port)
{
	struct destination_change *change = &rule->change;
	struct json_object *both = nft_get(address, "concat");

	rule->verdict = VERDICT_MOVE;
	change->has_address = address != NULL;
	if (address && !nft_read_addresses(both ? nft_item(both, 0) : address, 0, &change->address))
		accepted_set_all_addresses(&change->address);
	if (nft_count(both) == 2)
		port = nft_item(both, 1);
	change->has_port = port != NULL;
	if (port && !nft_read_numbers(port, 0, &change->port)) {
		change->port.first = 0;
		change->port.last = UINT16_MAX;
	}
}

/* dnat, redirect */
static int read_move(struct rule_view *rule, struct json_object *move)
{
	nft_read_destination(rule, nft_get(move, "addr"), nft_get(move, "port"));
	return 0;
}

/* What an expression makes of a mark: numbers, and what is done with them to the mark. */
static bool read_mark_change(struct json_object *value, const char *kind,
			     struct mark_change *change, unsigned depth)
{
	static const char *const operators[] = {"|", "&", "^"};
	struct json_object *both = NULL;
	size_t which = 0;
	uint32_t number;

	if (json_object_is_type(value, json_type_int)) {
		change->keep = 0;
		change->flip = (uint32_t)json_object_get_int64(value);
		return true;
	}
	if (strcmp(nft_get_text(nft_get(value, "meta"), "key"), "mark") == 0 ||
	    strcmp(nft_get_text(nft_get(value, "ct"), "key"), "mark") == 0) {
		change->from_other = !nft_get(value, kind);
		change->keep = UINT32_MAX;
		change->flip = 0;
		return true;
	}
	for (; which < 3 && !both; which += !both)
		both = nft_get(value, operators[which]);
	if (nft_count(both) != 2 || depth == 0 ||
	    !read_mark_change(nft_item(both, 0), kind, change, depth - 1) ||
	    !json_object_is_type(nft_item(both, 1), json_type_int))
		return false;
	number = (uint32_t)json_object_get_int64(nft_item(both, 1));
	if (which == 2) {
		change->flip ^= number;
	} else if (which == 1) {
		change->keep &= number;
		change->flip &= number;
	} else {
		change->keep &= ~number;
		change->flip |= number;
	}
	return true;
}

static int read_mangle(struct rule_view *rule, struct json_object *mangle)
{
	struct json_object *key = nft_get(mangle, "key");
	bool is_mark = strcmp(nft_get_text(nft_get(key, "meta"), "key"), "mark") == 0,
	     is_ct_mark = strcmp(nft_get_text(nft_get(key, "ct"), "key"), "mark") == 0;
	struct mark_change *change = is_ct_mark ? &rule->ct_mark : &rule->mark;

	if (!is_mark && !is_ct_mark)
		return 0;
	*change = (struct mark_change){.is_there = true};
	change->is_unknown =
		!read_mark_change(nft_get(mangle, "value"), is_ct_mark ? "ct" : "meta", change, 8);
	return 0;
}

static const struct {
	const char *kind;
	enum verdict verdict;
} verdicts[] = {
	{"accept", VERDICT_ACCEPT},  {"drop", VERDICT_DROP},	   {"return", VERDICT_RETURN},
	{"continue", VERDICT_NONE},  {"queue", VERDICT_UNKNOWN},   {"synproxy", VERDICT_UNKNOWN},
	{"counter", VERDICT_NONE},   {"comment", VERDICT_NONE},	   {"last", VERDICT_NONE},
	{"ct helper", VERDICT_NONE}, {"ct timeout", VERDICT_NONE}, {"ct expectation", VERDICT_NONE},
	{"secmark", VERDICT_NONE},   {"dup", VERDICT_NONE},	   {"flow", VERDICT_NONE},
	{"tproxy", VERDICT_NONE},    {"map", VERDICT_NONE},	   {"fwd", VERDICT_DROP},
};

static const struct {
	const char *kind;
	int (*read)(struct rule_view *rule, struct json_object *value);
} actions[] = {
	{"log", nft_read_log},	 {"reject", read_reject},   {"jump", read_jump},
	{"goto", read_goto},	 {"dnat", read_move},	    {"redirect", read_move},
	{"mangle", read_mangle}, {"notrack", read_notrack}, {"xt", read_extension},
};

int nft_read_statement(const struct nft_reader *reader, struct rule_view *rule, const char *kind,
		       struct json_object *value)
{
	if (strcmp(kind, "match") == 0)
		return nft_add_match(reader, rule, nft_get(value, "left"),
				     nft_get_text(value, "op"), nft_get(value, "right"));
	if (strcmp(kind, "limit") == 0)
		return nft_read_limit(reader, rule, value);
	if (strcmp(kind, "quota") == 0 || strcmp(kind, "ct count") == 0)
		return nft_read_count(reader, rule, kind, value);
	if (strcmp(kind, "set") == 0 || strcmp(kind, "meter") == 0)
		return nft_read_update(reader, rule, value);
	for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++)
		if (strcmp(actions[i].kind, kind) == 0)
			return actions[i].read(rule, value);
	for (size_t i = 0; i < sizeof verdicts / sizeof verdicts[0]; i++)
		if (strcmp(verdicts[i].kind, kind) == 0) {
			if (verdicts[i].verdict != VERDICT_NONE)
				rule->verdict = verdicts[i].verdict;
			return 0;
		}
	return rule_view_add_number(rule, FIELD_UNKNOWN, false, 0);
}
