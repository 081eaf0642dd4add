/* Where a ruleset tells ports apart: what becomes of one port becomes of its neighbours up to the
 * next cut, so that a range is looked at by few of its ports. */
#pragma once

#include "core/opening/ports.h"

#include <stdbool.h>
#include <stdint.h>

struct ruleset;

struct port_cuts {
	uint8_t bits[(UINT16_MAX + 1) / 8]; /* a bit each: it is told from the port before it */
};

/* Without what the set of ports of this name holds, of which packets say whether they are in it. */
void port_cuts_find(const struct ruleset *ruleset, const char *port_set, struct port_cuts *ret);

/* The next piece of a range, behind this one, without a cut inside; at first the piece is {0}.
 * False: there is none. */
bool port_cuts_next(const struct port_cuts *cuts, const struct port_range *range,
		    struct port_range *piece);
