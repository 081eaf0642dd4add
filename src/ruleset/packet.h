/* A packet that comes in from a stranger or leaves, and what is around the machine. */
#pragma once

#include "core/address.h"
#include "ruleset/condition.h"

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rule_view;

struct route {
	struct network network;
	char interface[IF_NAMESIZE];
};

struct surroundings {
	struct address *own; /* this machine's addresses */
	size_t n_own;
	struct route *routes;
	size_t n_routes;
};

struct packet {
	enum family family;
	uint8_t protocol, flags;
	uint8_t icmp_type; /* of ICMPv6: of those that only neighbours send */
	uint16_t port;	   /* of an answer: that it is sent from */
	enum packet_state state;
	const char *interface;		   /* NULL: not known */
	const struct address *source;	   /* NULL: a stranger's, or, of an answer, not known */
	const struct address *target;	   /* NULL: not known, or, of an answer, a stranger's */
	const struct surroundings *around; /* NULL: not known */
	const char *set;		   /* the set that its source is in; NULL: none */
	const char *port_set;		   /* a set of ports; NULL: none is known... */
	bool in_port_set;		   /* ...and whether its port is in that */
	bool leaves;	   /* it is sent by this machine: an answer, or to a neighbour */
	bool passes;	   /* its target is another machine, by itself */
	bool by_nflog;	   /* what logs it logs by NFLOG */
	const char *chain; /* a chain that accepts it: of the backend iptables; NULL: none */
	const struct rule_view
		*sent_on;	    /* what the chain of that name in nat does with it, or NULL */
	const struct packet *first; /* that began its connection; NULL: like this one */

	/* Whoever it is, at any time: what is asked of sources, source ports and rates may hold or
	 * not. Else it is one of few packets of somebody like many. */
	bool is_anybodys;
};

/* What is known of a packet's mark, or its connection's. */
struct mark {
	bool is_unknown;
	uint32_t value;
};

/* What has become of the packet so far. */
struct situation {
	const struct packet *packet;
	const char *set_prefix;	      /* of the table that looks at it */
	bool is_forwarded;	      /* it is looked at where packets go to others */
	struct accepted target, port; /* where it is going: low to high, first to last */
	bool has_target;
	bool is_moved;	 /* sent elsewhere than it was */
	bool is_away;	 /* to another machine */
	const char *out; /* by which interface; NULL: not known */
	unsigned states; /* those that it may be in, of PACKET_ */
	struct mark mark, ct_mark;
};
