/* A count that anybody can make grow, and that is reported in the log now and then. */
#pragma once

#include <stdint.h>

/* At most once in so long. */
#define GROWTH_US UINT64_C(10000000)

/* All zero at first. */
struct growth {
	uint64_t n_reported, reported_us;
};

/* How much more it is, `n` by now, than when it was last reported: to be reported now. 0: nothing,
 * or not yet. */
uint64_t growth_take(struct growth *growth, uint64_t n);
