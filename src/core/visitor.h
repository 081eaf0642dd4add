/* A visitor: for whom a door is opened, as far as it is known. */
#pragma once

#include "core/address.h"

#include <stdint.h>

struct visitor {
	struct address source;
	const char *user; /* whose key it was; NULL or "": nobody's */
	const char *way;  /* "sequence", "token", "spa", "hand": how he came; NULL: unknown. It is
			     not copied */
	uint32_t seconds; /* that the door was asked to stay open; 0: as long as it says itself */
};
