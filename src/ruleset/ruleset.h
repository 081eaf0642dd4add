/* A ruleset: what iptables and nft do to packets that come in, as far as it can be read, and what
 * becomes of one packet in it.
 *
 * What a rule asks that is not understood here is answered with "maybe": such a rule decides
 * nothing, and it is said that there was one. */
#pragma once

#include "core/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum answer { ANSWER_NO, ANSWER_MAYBE, ANSWER_YES };

enum condition_kind {
	CONDITION_FAMILY,    /* number: enum family */
	CONDITION_PROTOCOL,  /* number: IPPROTO_ */
	CONDITION_PORTS,     /* ranges; number: whether there are more than fit */
	CONDITION_FLAGS,     /* mask, number */
	CONDITION_ANY_FLAGS, /* mask: one of them is set */
	CONDITION_STATE,     /* mask of PACKET_ */
	CONDITION_INTERFACE, /* text: names with blanks in between; a '*' at the end of one stands
				for anything */
	CONDITION_STRANGER,  /* number: whether just anybody's address matches */
	CONDITION_TARGET,    /* text: the network that it is sent to */
	CONDITION_SET,	     /* text: "NAME" or "FAMILY TABLE NAME", looked up by the source */
	CONDITION_PORT_SET,  /* the same, looked up by the port that it is sent to */
	CONDITION_UNKNOWN,
};

enum packet_state {
	PACKET_NEW = 1,
	PACKET_ESTABLISHED = 2,
	PACKET_RELATED = 4,
	PACKET_INVALID = 8
};

enum { RANGES_MAX = 32 };

struct condition {
	enum condition_kind kind;
	bool negated;
	uint32_t number, mask;
	char *text;
	size_t n_ranges;
	struct port_range {
		uint16_t first, last;
	} ranges[RANGES_MAX];
};

enum verdict {
	VERDICT_NONE, /* goes on */
	VERDICT_ACCEPT,
	VERDICT_DROP,
	VERDICT_RETURN,
	VERDICT_JUMP,
	VERDICT_GOTO,
	VERDICT_AWAY, /* it goes on to another port or machine, and is not followed there */
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

struct rule_view {
	struct condition *conditions;
	size_t n_conditions;
	struct log_limits limits;
	char *log_prefix; /* NULL: it does not log to the kernel's log */
	bool log_options; /* with the options of TCP */
	unsigned log_level;
	enum verdict verdict;
	char *target; /* of a jump */
	char *text;   /* where it is and what it says, for people */
};

struct chain_view {
	char *name;
	bool is_base; /* all that comes in goes through it */
	bool is_nat;  /* if it is the first of a connection */
	int priority; /* of base chains; lower comes first, and what comes before routing first of
			 all */
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

/* What has to be added to a priority before routing. */
enum { PRIORITY_BEFORE_ROUTING = -1000000 };

/* Appends an empty one. NULL: no memory. */
struct table_view *ruleset_add_table(struct ruleset *ruleset);
struct chain_view *table_add_chain(struct table_view *table, const char *name);
struct chain_view *table_find_chain(const struct table_view *table, const char *name);
struct rule_view *chain_add_rule(struct chain_view *chain);
struct condition *rule_view_add(struct rule_view *rule, enum condition_kind kind, bool negated);

/* The same with its number, or a copy of its text. 0 or -ENOMEM. */
int rule_view_add_number(struct rule_view *rule, enum condition_kind kind, bool negated,
			 uint32_t number);
int rule_view_add_text(struct rule_view *rule, enum condition_kind kind, bool negated,
		       const char *text);

/* Puts a copy of the text there, in place of what was. 0 or -ENOMEM. */
int ruleset_set_text(char **field, const char *text);

struct packet {
	enum family family;
	uint8_t protocol, flags;
	uint16_t port;
	enum packet_state state;
	const char *interface;	      /* NULL: not known */
	const struct address *target; /* NULL: not known */
	const char *set;	      /* the set that its source is in; NULL: none */
	const char *port_set;	      /* a set of ports; NULL: none is known... */
	bool in_port_set;	      /* ...and whether its port is in that */
	const char *chain; /* a chain that accepts it: of the backend iptables; NULL: none */
};

/* What became of a packet. Rules are those of the ruleset. */
struct walk {
	enum verdict verdict;		/* accept, drop or away */
	const struct rule_view *by;	/* NULL: the end of a base chain, or no chain at all */
	const struct table_view *table; /* whose base chain it is that drops at its end, or NULL */
	const struct chain_view *chain; /* that chain, or NULL */
	const struct rule_view *logged; /* the first that logged it with the prefix; NULL: none */
	bool maybe_logged;		/* `logged` asks something that is not understood */
	struct log_limits limits;	/* of that and of what led to it; texts are the ruleset's */
	const struct rule_view *maybe;	/* a rule that may have decided otherwise; NULL: none */
};
void ruleset_walk(const struct ruleset *ruleset, const struct packet *packet,
		  const char *log_prefix, struct walk *ret);

/* Any rule that logs packets of this family with the prefix, or NULL. */
const struct rule_view *ruleset_find_log(const struct ruleset *ruleset, enum family family,
					 const char *log_prefix);
