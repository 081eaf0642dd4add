/* What a rule asks of a packet: some of its fields, and which values of them match.
 *
 * A lookup of one field in a list, of several together, and in a set by name are the same here. */
#pragma once

#include "core/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum answer { ANSWER_NO, ANSWER_MAYBE, ANSWER_YES };

/* Numbers are in first to last; what else there is in an accepted value is said here. */
enum field {
	FIELD_UNKNOWN,	       /* not understood */
	FIELD_CONSTANT,	       /* number: enum answer */
	FIELD_TIME,	       /* of day, of week; some time or other it matches */
	FIELD_RATE,	       /* number: whether it matches what comes seldom */
	FIELD_EARNED,	       /* a list that whoever sends gets into */
	FIELD_FAMILY,	       /* number: enum family */
	FIELD_PROTOCOL,	       /* number: IPPROTO_, IPPROTO_RAW for all but TCP, UDP and ICMPv6 */
	FIELD_ICMP_TYPE,       /* number: of ICMPv6 */
	FIELD_HOP_LIMIT,       /* number */
	FIELD_PORT,	       /* number: that it is sent to */
	FIELD_SOURCE_PORT,     /* number */
	FIELD_SEGMENT_SIZE,    /* number: of TCP's option */
	FIELD_FLAGS,	       /* mask, number */
	FIELD_ANY_FLAGS,       /* mask: one of them is set */
	FIELD_STATE,	       /* mask: of PACKET_ */
	FIELD_MARK,	       /* mask, number */
	FIELD_CT_MARK,	       /* mask, number */
	FIELD_ORIGINAL_PORT,   /* number: before it was sent elsewhere */
	FIELD_ORIGINAL_TARGET, /* low to high */
	FIELD_TARGET,	       /* low to high */
	FIELD_TARGET_KIND,     /* mask: of ADDRESS_ */
	FIELD_CAST,	       /* mask: of CAST_ */
	FIELD_DIRECTION,       /* number: whether it goes the way of who began */
	FIELD_SOURCE,	       /* low to high */
	FIELD_INTERFACE,       /* text: a name; a '*' at its end stands for anything */
	FIELD_OUTGOING,	       /* the same */
};

enum packet_state {
	PACKET_NEW = 1,
	PACKET_ESTABLISHED = 2,
	PACKET_RELATED = 4,
	PACKET_INVALID = 8,
	PACKET_UNTRACKED = 16,
	PACKET_MOVED = 32,   /* sent elsewhere: status dnat */
	PACKET_ANSWERED = 64 /* status seen-reply, assured */
};

enum address_kind { ADDRESS_LOCAL = 1, ADDRESS_UNICAST = 2, ADDRESS_OTHER = 4 };

/* How a packet is sent on its link. */
enum cast { CAST_HOST = 1, CAST_MANY = 2, CAST_OTHER = 4 };

enum { FIELDS_MAX = 8 };

struct accepted {
	uint32_t first, last, mask;
	struct address low, high;
	char *text;
};

struct condition {
	enum field fields[FIELDS_MAX];
	size_t n_fields;
	bool negated;
	bool needs_tracking;	   /* it matches no packet of which no connection is known */
	bool is_partial;	   /* there is more in it than is known */
	bool is_earned;		   /* packets put their sources into the set */
	char *set;		   /* the name of the set, or NULL */
	struct accepted *accepted; /* n_fields for each entry */
	size_t n_entries;
};

void condition_done(struct condition *condition);

/* Appends an entry of values that accept nothing yet, n_fields of them. NULL: no memory. */
struct accepted *condition_add(struct condition *condition);

/* Of a condition of one field. 0 or -ENOMEM. */
int condition_add_range(struct condition *condition, uint32_t first, uint32_t last);

int accepted_set_text(struct accepted *accepted, const char *text);

/* "192.0.2.0/24", "192.0.2.1-192.0.2.9", "[2001:db8::1]". 0 or -EINVAL. */
int accepted_set_addresses(struct accepted *accepted, const char *text);
void accepted_set_all_addresses(struct accepted *accepted);

/* Whether the condition looks the field up. */
bool condition_asks(const struct condition *condition, enum field field);
