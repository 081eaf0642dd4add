/* A limit on events that anybody can cause: of each kind a few at once, and then one now and then.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
	LIMIT_KINDS = 64,	    /* distinguished; others share a counter with one of them */
	LIMIT_STRAYS = LIMIT_KINDS, /* whose door and user nobody knows: anybody can cause these */
	N_LIMITS,
	LIMIT_BURST = 10,
};
#define LIMIT_REFILL_US UINT64_C(10000000) /* for one more */

/* All zero at first but the seed, which is random: so nobody knows who shares a counter. */
struct ratelimit {
	uint64_t seed;
	struct {
		uint64_t since_us; /* when it was refilled last */
		uint32_t spent;
		uint64_t n_dropped;
	} kinds[N_LIMITS];
};

/* Whether one more event of this door and user ("" each: none) may be reported. If so, *ret_dropped
 * is how many were suppressed since the last. */
bool ratelimit_take(struct ratelimit *limit, const char *door, const char *user, uint64_t now_us,
		    uint64_t *ret_dropped);
