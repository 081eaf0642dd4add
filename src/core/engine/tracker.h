/* Trackers: what is remembered of each source, in one table of a fixed size.
 *
 * MUST: take all memory at the start; find a source in one look-up whatever the sources are (the
 * hash is keyed: SipHash-2-4, Aumasson and Bernstein 2012); when full, forget the least recently
 * seen. A source costs 96 bytes at most, all of the table included, if it remembers up to 8
 * packets, and one cache line if up to 4. */
#pragma once

#include "core/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TRACKER_KEY_BYTES = 16 };

/* Numbers of nodes have 23 bits; those of trackers 24, the last of which stands for none. */
enum { TRACKER_NODE_MAX = (1 << 23) - 1, TRACKER_TABLE_MAX = (1 << 24) - 2 };

struct tracker;
struct tracker_table;

/* A table for at most `n_max` trackers (1 to TRACKER_TABLE_MAX) that each remember `n_past` packets
 * (1 to 255). Copies the key. 0 or -ENOMEM. */
int tracker_table_new(size_t n_max, size_t n_past, const uint8_t key[static TRACKER_KEY_BYTES],
		      struct tracker_table **ret);
struct tracker_table *tracker_table_free(struct tracker_table *table);

/* The hash that the functions below want with a source: the same for all tables of one key. */
uint32_t tracker_hash(const uint8_t key[static TRACKER_KEY_BYTES], const struct address *source);

/* The source's tracker, now the most recently seen; a fresh one at node 0 if there was none. Never
 * fails. */
struct tracker *tracker_table_get(struct tracker_table *table, const struct address *source,
				  uint32_t hash, uint64_t now_us);

/* The same without any effect; NULL if there is none. */
const struct tracker *tracker_table_find(const struct tracker_table *table,
					 const struct address *source, uint32_t hash);

/* Prefetches the trackers of n hashes into the cache, for tracker_table_get(). Has no other effect.
 */
void tracker_table_expect(const struct tracker_table *table, const uint32_t *hashes, size_t n);

/* Drops the least recently seen trackers whose last packet is older than `age_us`; at most two a
 * call, so that it costs every probe the same. */
void tracker_table_expire(struct tracker_table *table, uint64_t now_us, uint64_t age_us);

void tracker_table_clear(struct tracker_table *table);
size_t tracker_table_size(const struct tracker_table *table);

/* All memory that the table has taken. */
size_t tracker_table_bytes(const struct tracker_table *table);

/* Goes through all of them, the least recently seen first: NULL in, the first out; after the last,
 * NULL. */
const struct tracker *tracker_table_next(const struct tracker_table *table,
					 const struct tracker *tracker);

const struct address *tracker_source(const struct tracker *tracker);

/* When its last packet was logged; of a tracker that has had one. */
uint64_t tracker_last_us(const struct tracker_table *table, const struct tracker *tracker);

/* How far it is: a node of its lane's automaton, up to TRACKER_NODE_MAX. */
uint32_t tracker_node(const struct tracker *tracker);
void tracker_move(struct tracker *tracker, uint32_t node);

/* The time from the last packet to now: 0 if it is no later, UINT64_MAX if there was none or it is
 * more than `disorder_us` ahead, which makes it another clock's; then the past is forgotten, and
 * the node is 0. */
uint64_t tracker_elapsed_us(const struct tracker_table *table, struct tracker *tracker,
			    uint64_t now_us, uint64_t disorder_us);

/* A packet's tag is what a retransmission has in common with it; ports differ in the lower half. */

/* Adds a packet, over the oldest if all places are taken; `delta_us` is what tracker_elapsed_us()
 * says. */
void tracker_push(const struct tracker_table *table, struct tracker *tracker, uint32_t tag,
		  uint64_t delta_us, uint64_t now_us);

/* The last packet has come again, as another one from another port: the later time counts. It is
 * remembered, too (repeats.h); or instead of the first one, if that is older than `window_us`. */
void tracker_repeat(struct tracker_table *table, struct tracker *tracker, uint32_t tag,
		    uint64_t delta_us, uint64_t now_us, uint64_t window_us);
void tracker_forget_repeats(struct tracker *tracker);

/* Whether the last packet went to the same port, over the same protocol to the same target. */
bool tracker_is_to_last_port(const struct tracker *tracker, uint32_t tag);

/* Whether one of its packets within `window_us` has this tag, or went to the same port as the
 * repeat that has it; `delta_us` is the last one's age. */
bool tracker_has(const struct tracker_table *table, const struct tracker *tracker, uint32_t tag,
		 uint64_t delta_us, uint64_t window_us);

/* From the first of the last n packets (at most n_past) to the last; at least an hour and ten
 * minutes if it is longer or there were fewer. */
uint64_t tracker_span_us(const struct tracker_table *table, const struct tracker *tracker,
			 size_t n);

/* Copies the past of a tracker into a fresh one of another table, as much of it as fits. */
void tracker_inherit(struct tracker_table *table, struct tracker *tracker,
		     const struct tracker_table *other_table, const struct tracker *other);
