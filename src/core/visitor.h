/* A visitor: for whom a door is opened, and how they knocked, as far as it is known. */
#pragma once

#include "core/address.h"

#include <stdint.h>

enum knock_kind {
	KNOCK_UNKNOWN,
	KNOCK_SEQUENCE,
	KNOCK_TOKEN,
	KNOCK_SPA,
	KNOCK_HAND, /* no knock: an administrator has opened the door */
	N_KNOCK_KINDS
};

struct visitor {
	struct address source;
	const char *user; /* whose key it was; NULL or "": nobody's */
	enum knock_kind knock;
	uint32_t seconds; /* that the door was asked to stay open; 0: as long as it says itself */
};

/* "sequence", "token", "spa" or "hand", as configuration, profiles and journal spell it; NULL:
 * unknown. */
const char *knock_kind_name(enum knock_kind kind);
