/* A visitor: for whom a door is opened, and how they knocked, as far as it is known. */
#pragma once

#include "core/address.h"

#include <stdbool.h>
#include <stdint.h>

enum { KEY_ID_SIZE = 16 };

/* The longest name of another host of the fleet, and of a visitor of its. */
enum { VISITOR_HOST_MAX = 63, VISITOR_NAME_MAX = 32 + 1 + VISITOR_HOST_MAX };

/* What a key is called where it must not be seen: two keys have one by accident only, and a key
 * does not follow from it. All zero: no key's. */
struct key_id {
	uint8_t bytes[KEY_ID_SIZE];
};

enum knock_kind {
	KNOCK_UNKNOWN,
	KNOCK_SEQUENCE,
	KNOCK_TOKEN,
	KNOCK_SPA,
	KNOCK_HAND, /* no knock: an administrator has opened the door */
	N_KNOCK_KINDS
};

/* Who did it by hand, over the socket or the bus. */
struct hand {
	bool is_known;
	uint32_t uid;
	uint64_t stamp_us; /* when, by the wall clock */
};

struct visitor {
	struct address source;
	const char *user;  /* whose key it was; NULL or "": nobody's; "USER@HOST": another host of
			      the fleet has it open for them ("@HOST": for nobody's key) */
	struct key_id key; /* which of theirs; none: unknown */
	enum knock_kind knock;
	uint32_t seconds;  /* that the door was asked to stay open; 0: as long as it says itself */
	struct hand hand;  /* of KNOCK_HAND */
	uint64_t stamp_us; /* when that was, by the wall clock of the host where it was; 0: unknown
			    */
};

/* Whether a host of the fleet may have this name: 1 to VISITOR_HOST_MAX of a-z 0-9 . _ -, the first
 * a letter or a digit. */
bool visitor_host_is_name(const char *text);

/* The host that the name of a visitor is from; NULL: they have knocked here. */
const char *visitor_host(const char *user);

bool key_id_equal(const struct key_id *a, const struct key_id *b);
bool key_id_is_none(const struct key_id *id);

/* Why a door is not opened, as far as somebody who watches over it cares. */
enum refusal {
	REFUSAL_OTHER,
	REFUSAL_REPLAYED, /* the knock was used before */
	REFUSAL_CLOCK,	  /* it is too late, or too early */
	REFUSAL_SOURCE,	  /* it is for another source, or this one may not */
	REFUSAL_KEY,	  /* of nobody's key, or damaged */
	REFUSAL_EXPIRED,  /* its key is out of its time */
	REFUSAL_USER,	  /* its key is not for that door */
	REFUSAL_RATE,	  /* too many of one source, or key */
	REFUSAL_FULL,	  /* as many doors are open as may be */
	REFUSAL_DISK,	  /* it cannot be recorded */
	REFUSAL_FIREWALL, /* it could not be opened */
	N_REFUSALS
};

/* In one word. */
const char *refusal_name(enum refusal refusal);

/* "sequence", "token", "spa" or "hand", as configuration, profiles and journal spell it; NULL:
 * unknown. */
const char *knock_kind_name(enum knock_kind kind);
