/* A ruleset: what iptables and nft do to packets that come in, as far as it can be read. What
 * becomes of one packet in it is told by walk.h. */
#pragma once

#include "core/address.h"
#include "ruleset/condition.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum verdict {
	VERDICT_NONE, /* goes on */
	VERDICT_ACCEPT,
	VERDICT_DROP,
	VERDICT_RETURN,
	VERDICT_JUMP,
	VERDICT_GOTO,
	VERDICT_MOVE,	 /* it goes on to another port or machine */
	VERDICT_UNKNOWN, /* a program or an extension decides */
};

struct log_limit {
	bool is_there;
	bool is_over; /* what is beyond it matches, not what is within */
	uint64_t per_hour;
	uint32_t burst;
	/* Where each source has a place of its own, for a time after its last packet; what finds
	 * none is not logged. 0: not known, or sources share the places. */
	uint64_t n_places, place_ms;
	char *table; /* of iptables: the name of what holds them; NULL: not known */
	bool is_full;
};

/* A rule may have both. */
struct log_limits {
	struct log_limit by_source, for_all;
};

/* Where a packet is sent instead. */
struct destination_change {
	bool has_address; /* else to this machine, unless only the port is another */
	bool is_here;	  /* redirected to this machine */
	bool has_port;
	struct accepted address, port;
};

/* What becomes of a packet's mark, or its connection's: (mark & keep) ^ flip. */
struct mark_change {
	bool is_there;
	bool is_unknown; /* what else it becomes */
	bool from_other; /* first of all it is the other mark */
	uint32_t keep, flip;
};

struct rule_view {
	struct condition *conditions;
	size_t n_conditions;
	struct log_limits limits;
	char *log_prefix;   /* NULL: it does not log to the kernel's log */
	char *nflog_prefix; /* NULL: it does not log by NFLOG */
	unsigned nflog_group;
	bool log_options; /* with the options of TCP */
	unsigned log_level;
	struct mark_change mark, ct_mark;
	bool untracks;
	enum verdict verdict;
	struct destination_change change; /* of a move */
	char *target;			  /* of a jump */
	uint64_t handle;		  /* of nft */
	char *text;			  /* where it is and what it says, for people */
};

/* In the order in which a packet may meet them. */
enum hook {
	HOOK_NONE,
	HOOK_INGRESS,
	HOOK_PREROUTING,
	HOOK_INPUT,
	HOOK_FORWARD,
	HOOK_OUTPUT,
	HOOK_POSTROUTING,
	HOOK_EGRESS,
	N_HOOKS
};

struct chain_view {
	char *name;
	enum hook hook;	  /* of base chains: where all goes through it */
	bool is_nat;	  /* if it is the first of a connection */
	int priority;	  /* of base chains; lower comes first */
	char **devices;	  /* of the hooks at devices: their names */
	size_t n_devices; /* 0: it is not known where */
	enum verdict policy;
	struct rule_view *rules;
	size_t n_rules;
};

struct table_view {
	char *name;		   /* "iptables", "nft inet filter" */
	char *set_prefix;	   /* what stands before the name of a set: "inet filter " */
	bool families[N_FAMILIES]; /* whose packets it sees */
	struct chain_view *chains;
	size_t n_chains;
};

struct ruleset {
	struct table_view *tables;
	size_t n_tables;
};

void ruleset_done(struct ruleset *ruleset);

/* Appends an empty one. NULL: no memory. */
struct table_view *ruleset_add_table(struct ruleset *ruleset);
struct chain_view *table_add_chain(struct table_view *table, const char *name);
struct chain_view *table_find_chain(const struct table_view *table, const char *name);
struct rule_view *chain_add_rule(struct chain_view *chain);

/* 0 or -ENOMEM. */
int chain_add_device(struct chain_view *chain, const char *name);

/* Appends a condition of one field without entries. NULL: no memory. */
struct condition *rule_view_add(struct rule_view *rule, enum field field, bool negated);

/* The same with one entry: a number, flags among a mask, or text. 0 or -ENOMEM. */
int rule_view_add_number(struct rule_view *rule, enum field field, bool negated, uint32_t number);
int rule_view_add_mask(struct rule_view *rule, enum field field, bool negated, uint32_t mask,
		       uint32_t number);
int rule_view_add_text(struct rule_view *rule, enum field field, bool negated, const char *text);

/* Puts a copy of the text there, in place of what was. 0 or -ENOMEM. */
int ruleset_set_text(char **field, const char *text);

/* Whether it logs with the prefix: to the kernel's log, or by NFLOG. */
bool rule_view_logs(const struct rule_view *rule, const char *log_prefix, bool by_nflog);

/* Any rule that logs packets of this family so, or NULL. */
const struct rule_view *ruleset_find_log(const struct ruleset *ruleset, enum family family,
					 const char *log_prefix, bool by_nflog);
