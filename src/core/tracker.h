/* Trackers: what is remembered of each source, in one table of a fixed size.
 *
 * MUST: take all memory at the start; find a source in one look-up whatever the sources are (the
 * hash is keyed: SipHash-2-4, Aumasson and Bernstein 2012); when full, forget the least recently
 * seen. */
#pragma once

#include "core/address.h"

#include <stddef.h>
#include <stdint.h>

struct tracker_table;

/* One logged packet of the past, as much of it as retransmissions and timeouts need. */
struct past {
	uint32_t tag;	   /* its ports, protocol and target */
	uint32_t delta_us; /* since the packet before it; UINT32_MAX: longer */
};

struct tracker {
	struct address source;
	uint64_t last_us; /* when its last packet was logged */
	uint32_t node;	  /* how far it is: a node of its lane's automaton */
	uint32_t hash_next, older, newer;
	uint8_t n_past;
	uint8_t newest; /* its position in the ring */
	struct past past[];
};

/* A table for at most `n_max` trackers (1 to 2^24) that each remember `n_past` packets (1 to 255).
 * Copies the key. 0 or -ENOMEM. */
int tracker_table_new(size_t n_max, size_t n_past, const uint8_t key[static 16],
		      struct tracker_table **ret);
struct tracker_table *tracker_table_free(struct tracker_table *table);

/* The source's tracker, now the most recently seen; a fresh one if there was none. Never fails. */
struct tracker *tracker_table_get(struct tracker_table *table, const struct address *source,
				  uint64_t now_us);

/* Drops the least recently seen trackers whose last packet is older than `before_us`; at most two a
 * call, so that it costs every probe the same. */
void tracker_table_expire(struct tracker_table *table, uint64_t before_us);

void tracker_table_clear(struct tracker_table *table);
size_t tracker_table_size(const struct tracker_table *table);

/* Goes through all of them, the least recently seen first: NULL in, the first out; after the last,
 * NULL. */
const struct tracker *tracker_table_next(const struct tracker_table *table,
					 const struct tracker *tracker);

/* Forgets the source's past, not the source. */
void tracker_reset(struct tracker *tracker);

/* Adds a packet, over the oldest if all places are taken. `delta_us` is the time since the last. */
void tracker_push(const struct tracker_table *table, struct tracker *tracker, uint32_t tag,
		  uint64_t delta_us);

/* The i-th packet back from the newest (0); `i` is below n_past. */
const struct past *tracker_past(const struct tracker_table *table, const struct tracker *tracker,
				size_t i);
