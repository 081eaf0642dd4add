/* How often the tail looks into the journal. Times are CLOCK_MONOTONIC's.
 *
 * MUST: depend on what is logged, never on whether a probe was right: everybody on this machine can
 * count the looks in /proc. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How often it looks without a doorbell while nothing happens. */
enum { PACE_LOOKS_PER_S = 50 };

struct pace {
	bool doorbell;	 /* there is one */
	bool hears_logs; /* some records do not ring it */

	/* The rest is its own. */
	bool awaits;		/* it has rung for what has not come yet */
	uint64_t stirred_us;	/* when it last rang, or something came */
	uint64_t busy_since_us; /* since when there was no pause between such times */
	uint64_t hurry_until_us;
};

/* Until the next look. */
struct pace_gap {
	uint64_t us;
	bool listens; /* the doorbell is to wake the tail before */
};

/* The doorbell has rung. */
struct pace_gap pace_ring(struct pace *pace, uint64_t now_us);

/* A look has found so many records. `answered`: something that had rung was among the entries, be
 * it a record or not. */
struct pace_gap pace_look(struct pace *pace, uint64_t now_us, size_t n_records, bool answered);

/* A probe has come: without a doorbell, more looks for a while. */
void pace_hurry(struct pace *pace, uint64_t now_us);
