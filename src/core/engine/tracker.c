#include "core/engine/tracker.h"

#include <errno.h>
#include <sodium/crypto_shorthash.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/engine/repeats.h"

enum { NONE = 0xffffff, CACHE_LINE = 64, HUGE_PAGE = 1 << 21, SOURCE_BYTES = 96 };
enum { REPEAT_BIT = 1 << 23 };

/* A number of 24 bits. */
struct number24 {
	uint8_t bytes[3];
};

/* The packets of the past follow it, newest first: n_past tags, then n_past - 1 times between a
 * packet and the one before it (UINT32_MAX: longer, or there is none), 32 bits each. Nothing here
 * needs to be aligned, so that nothing is lost between. */
struct tracker {
	struct address source;
	uint16_t last[3]; /* the last packet's time on the table's clock, 48 bits; 0: none yet */
	struct number24 node; /* and REPEAT_BIT: repeats are remembered */
	struct number24 hash_next, older, newer;
	uint8_t past[];
};

struct tracker_table {
	uint8_t key[crypto_shorthash_KEYBYTES];
	uint8_t *trackers; /* n_max of them, `stride` bytes apart */
	size_t stride;
	size_t n_past;
	struct number24 *buckets;
	uint32_t n_buckets;
	uint32_t n_max;
	uint32_t n_touched; /* places ever used: those beyond were never written */
	uint32_t n_used;
	uint32_t oldest, newest; /* the least and the most recently seen */
	uint32_t vacant;	 /* places given back, chained by hash_next */
	uint64_t epoch_us;	 /* when the table's clock stood at 0 */
	struct repeats repeats;
};

/* How far the table's clock starts before the first packet, so that older ones have a place on it:
 * those of other CPUs, and those that another table's trackers bring along. And how far it goes:
 * nine years. */
#define EPOCH_LEAD_US UINT64_C(3600000000)
#define CLOCK_END_US  (UINT64_C(1) << 48)

static uint32_t number24_get(const struct number24 *number)
{
	return number->bytes[0] | (uint32_t)number->bytes[1] << 8 |
	       (uint32_t)number->bytes[2] << 16;
}

static void number24_set(struct number24 *number, uint32_t value)
{
	number->bytes[0] = (uint8_t)value;
	number->bytes[1] = (uint8_t)(value >> 8);
	number->bytes[2] = (uint8_t)(value >> 16);
}

static uint32_t bytes_get32(const uint8_t *bytes)
{
	uint32_t value;

	memcpy(&value, bytes, sizeof value);
	return value;
}

static void bytes_set32(uint8_t *bytes, uint32_t value)
{
	memcpy(bytes, &value, sizeof value);
}

static uint64_t last_of(const struct tracker *tracker)
{
	return tracker->last[0] | (uint64_t)tracker->last[1] << 16 |
	       (uint64_t)tracker->last[2] << 32;
}

static void set_last(struct tracker *tracker, uint64_t clock_us)
{
	for (int i = 0; i < 3; i++)
		tracker->last[i] = (uint16_t)(clock_us >> 16 * i);
}

static const uint8_t *tag_at(const struct tracker *tracker, size_t i)
{
	return tracker->past + 4 * i;
}

/* Between packet i, counted from the newest, and the one before it. */
static const uint8_t *delta_at(const struct tracker_table *table, const struct tracker *tracker,
			       size_t i)
{
	return tracker->past + 4 * (table->n_past + i);
}

static struct tracker *tracker_at(const struct tracker_table *table, uint32_t i)
{
	return (struct tracker *)(void *)(table->trackers + i * table->stride);
}

uint32_t tracker_hash(const uint8_t key[static TRACKER_KEY_BYTES], const struct address *source)
{
	uint8_t hash[crypto_shorthash_BYTES];

	crypto_shorthash(hash, source->bytes, sizeof source->bytes, key);
	return bytes_get32(hash);
}

static struct number24 *tracker_bucket(const struct tracker_table *table, uint32_t hash)
{
	return &table->buckets[(uint64_t)hash * table->n_buckets >> 32];
}

/* One cache line where it fits in one. */
static size_t stride_of(size_t n_past)
{
	size_t stride = sizeof(struct tracker) + 4 * n_past + 4 * (n_past - 1);

	return stride <= CACHE_LINE ? CACHE_LINE : stride;
}

/* One for each tracker; fewer where that would be what makes a source cost more than it may. */
static uint32_t count_buckets(size_t n_max, size_t stride)
{
	bool tight = stride < SOURCE_BYTES && stride + sizeof(struct number24) > SOURCE_BYTES;

	return (uint32_t)(tight && n_max > 1 ? n_max * 5 / 8 : n_max);
}

/* A probe needs its source's tracker and two others, anywhere in the table: on small pages each
 * costs a walk through page tables as well. Where the kernel has no large ones, small ones do. */
static void use_huge_pages(void *memory, size_t size)
{
	size_t skip = -(uintptr_t)memory & (HUGE_PAGE - 1);

	if (size > skip)
		(void)madvise((uint8_t *)memory + skip, size - skip, MADV_HUGEPAGE);
}

int tracker_table_new(size_t n_max, size_t n_past, const uint8_t key[static TRACKER_KEY_BYTES],
		      struct tracker_table **ret)
{
	struct tracker_table *table = calloc(1, sizeof *table);
	size_t size;

	if (!table)
		return -ENOMEM;
	memcpy(table->key, key, sizeof table->key);
	table->stride = stride_of(n_past);
	table->n_past = n_past;
	table->n_max = (uint32_t)n_max;
	table->n_buckets = count_buckets(n_max, table->stride);
	size = (n_max * table->stride + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
	table->trackers = aligned_alloc(CACHE_LINE, size);
	table->buckets = malloc(table->n_buckets * sizeof *table->buckets);
	if (!table->trackers || !table->buckets) {
		tracker_table_free(table);
		return -ENOMEM;
	}
	use_huge_pages(table->trackers, size);
	use_huge_pages(table->buckets, table->n_buckets * sizeof *table->buckets);
	/* Written to once, so that the memory is there now and not when an attack needs it. */
	memset(table->trackers, 0, size);
	tracker_table_clear(table);
	*ret = table;
	return 0;
}

struct tracker_table *tracker_table_free(struct tracker_table *table)
{
	if (table) {
		free(table->trackers);
		free(table->buckets);
		free(table);
	}
	return NULL;
}

void tracker_table_clear(struct tracker_table *table)
{
	memset(table->buckets, 0xff, table->n_buckets * sizeof *table->buckets);
	table->n_touched = table->n_used = 0;
	table->oldest = table->newest = table->vacant = NONE;
}

size_t tracker_table_size(const struct tracker_table *table)
{
	return table->n_used;
}

size_t tracker_table_bytes(const struct tracker_table *table)
{
	return sizeof *table + table->n_max * table->stride +
	       table->n_buckets * sizeof *table->buckets;
}

/* The time on the table's clock, above 0. A time before that clock began is of another clock, and
 * one behind its end is rare enough: everything is forgotten, and the clock starts again. */
static uint64_t clock_of(struct tracker_table *table, uint64_t now_us)
{
	if (table->n_used == 0 || now_us < table->epoch_us ||
	    now_us - table->epoch_us >= CLOCK_END_US - 1) {
		if (table->n_used > 0)
			tracker_table_clear(table);
		table->epoch_us = now_us > EPOCH_LEAD_US ? now_us - EPOCH_LEAD_US : 0;
	}
	return now_us - table->epoch_us + 1;
}

static void order_remove(struct tracker_table *table, struct tracker *tracker)
{
	uint32_t older = number24_get(&tracker->older), newer = number24_get(&tracker->newer);

	if (older != NONE)
		number24_set(&tracker_at(table, older)->newer, newer);
	else
		table->oldest = newer;
	if (newer != NONE)
		number24_set(&tracker_at(table, newer)->older, older);
	else
		table->newest = older;
}

static void order_append(struct tracker_table *table, struct tracker *tracker, uint32_t i)
{
	number24_set(&tracker->older, table->newest);
	number24_set(&tracker->newer, NONE);
	if (table->newest != NONE)
		number24_set(&tracker_at(table, table->newest)->newer, i);
	else
		table->oldest = i;
	table->newest = i;
}

static void drop_oldest(struct tracker_table *table)
{
	uint32_t i = table->oldest;
	struct tracker *tracker = tracker_at(table, i);
	struct number24 *link = tracker_bucket(table, tracker_hash(table->key, &tracker->source));

	while (number24_get(link) != i)
		link = &tracker_at(table, number24_get(link))->hash_next;
	*link = tracker->hash_next;
	order_remove(table, tracker);
	number24_set(&tracker->hash_next, table->vacant);
	table->vacant = i;
	table->n_used--;
}

static struct tracker *take_place(struct tracker_table *table, uint32_t *ret_i)
{
	struct tracker *tracker;

	if (table->n_used == table->n_max)
		drop_oldest(table);
	if (table->vacant != NONE) {
		*ret_i = table->vacant;
		tracker = tracker_at(table, table->vacant);
		table->vacant = number24_get(&tracker->hash_next);
	} else {
		*ret_i = table->n_touched;
		tracker = tracker_at(table, table->n_touched++);
	}
	table->n_used++;
	return tracker;
}

static struct tracker *tracker_find(const struct tracker_table *table, const struct address *source,
				    uint32_t hash, uint32_t *ret_i)
{
	uint32_t i = number24_get(tracker_bucket(table, hash));

	while (i != NONE) {
		struct tracker *tracker = tracker_at(table, i);

		/* Longer than a cache line: its end is on the way before it is needed. */
		__builtin_prefetch((uint8_t *)tracker + table->stride - 1);
		if (address_equal(&tracker->source, source)) {
			*ret_i = i;
			return tracker;
		}
		i = number24_get(&tracker->hash_next);
	}
	return NULL;
}

struct tracker *tracker_table_get(struct tracker_table *table, const struct address *source,
				  uint32_t hash, uint64_t now_us)
{
	struct tracker *tracker;
	uint32_t i;

	clock_of(table, now_us);
	tracker = tracker_find(table, source, hash, &i);
	if (tracker) {
		if (table->newest != i) {
			order_remove(table, tracker);
			order_append(table, tracker, i);
		}
		return tracker;
	}
	tracker = take_place(table, &i);
	tracker->source = *source;
	set_last(tracker, 0);
	number24_set(&tracker->node, 0);
	tracker->hash_next = *tracker_bucket(table, hash);
	number24_set(tracker_bucket(table, hash), i);
	order_append(table, tracker, i);
	return tracker;
}

/* Inlined in any case: GCC takes a function that only prefetches for one without any effect. */
__attribute__((always_inline)) static inline void prefetch(const struct tracker_table *table,
							   uint32_t i)
{
	if (i == NONE)
		return;
	__builtin_prefetch(tracker_at(table, i));
	if (table->stride > CACHE_LINE)
		__builtin_prefetch((uint8_t *)tracker_at(table, i) + table->stride - 1);
}

/* Each round waits for what the one before has asked for, all at once: first the buckets, then the
 * trackers, then those that a tracker has to know when it moves to the end of the order. */
void tracker_table_expect(const struct tracker_table *table, const uint32_t *hashes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		__builtin_prefetch(tracker_bucket(table, hashes[i]));
	for (size_t i = 0; i < n; i++)
		prefetch(table, number24_get(tracker_bucket(table, hashes[i])));
	for (size_t i = 0; i < n; i++) {
		uint32_t first = number24_get(tracker_bucket(table, hashes[i]));

		if (first == NONE)
			continue;
		prefetch(table, number24_get(&tracker_at(table, first)->older));
		prefetch(table, number24_get(&tracker_at(table, first)->newer));
		prefetch(table, number24_get(&tracker_at(table, first)->hash_next));
	}
}

const struct tracker *tracker_table_find(const struct tracker_table *table,
					 const struct address *source, uint32_t hash)
{
	uint32_t i;

	return tracker_find(table, source, hash, &i);
}

void tracker_table_expire(struct tracker_table *table, uint64_t now_us, uint64_t age_us)
{
	uint64_t clock_us = clock_of(table, now_us);

	for (int i = 0; i < 2 && table->oldest != NONE; i++) {
		if (last_of(tracker_at(table, table->oldest)) + age_us >= clock_us)
			return;
		drop_oldest(table);
	}
}

const struct tracker *tracker_table_next(const struct tracker_table *table,
					 const struct tracker *tracker)
{
	uint32_t i = tracker ? number24_get(&tracker->newer) : table->oldest;

	return i != NONE ? tracker_at(table, i) : NULL;
}

const struct address *tracker_source(const struct tracker *tracker)
{
	return &tracker->source;
}

uint64_t tracker_last_us(const struct tracker_table *table, const struct tracker *tracker)
{
	return table->epoch_us + last_of(tracker) - 1;
}

uint32_t tracker_node(const struct tracker *tracker)
{
	return number24_get(&tracker->node) & ~(uint32_t)REPEAT_BIT;
}

static bool has_repeat(const struct tracker *tracker)
{
	return number24_get(&tracker->node) & REPEAT_BIT;
}

void tracker_move(struct tracker *tracker, uint32_t node)
{
	number24_set(&tracker->node, node | (number24_get(&tracker->node) & REPEAT_BIT));
}

void tracker_forget_repeats(struct tracker *tracker)
{
	number24_set(&tracker->node, tracker_node(tracker));
}

static uint32_t tracker_number(const struct tracker_table *table, const struct tracker *tracker)
{
	return (uint32_t)((size_t)((const uint8_t *)tracker - table->trackers) / table->stride);
}

static void tracker_add_repeat(struct tracker_table *table, struct tracker *tracker, uint32_t tag)
{
	repeats_add(&table->repeats, tracker_number(table, tracker), !has_repeat(tracker), tag);
	number24_set(&tracker->node, number24_get(&tracker->node) | REPEAT_BIT);
}

uint64_t tracker_elapsed_us(const struct tracker_table *table, struct tracker *tracker,
			    uint64_t now_us, uint64_t disorder_us)
{
	uint64_t last_us = tracker_last_us(table, tracker);

	if (last_of(tracker) == 0)
		return UINT64_MAX;
	if (now_us >= last_us)
		return now_us - last_us;
	if (last_us - now_us <= disorder_us)
		return 0;
	set_last(tracker, 0);
	number24_set(&tracker->node, 0);
	return UINT64_MAX;
}

/* Now, or when its last packet was logged, if that is later. */
static void tracker_touch(const struct tracker_table *table, struct tracker *tracker,
			  uint64_t now_us)
{
	uint64_t clock_us = now_us - table->epoch_us + 1, last_us = last_of(tracker);

	if (clock_us < last_us)
		clock_us = last_us;
	set_last(tracker, clock_us);
}

void tracker_push(const struct tracker_table *table, struct tracker *tracker, uint32_t tag,
		  uint64_t delta_us, uint64_t now_us)
{
	uint8_t *tags = tracker->past, *deltas = tracker->past + 4 * table->n_past;

	memmove(tags + 4, tags, 4 * (table->n_past - 1));
	bytes_set32(tags, tag);
	if (table->n_past > 1) {
		memmove(deltas + 4, deltas, 4 * (table->n_past - 2));
		bytes_set32(deltas, delta_us < UINT32_MAX ? (uint32_t)delta_us : UINT32_MAX);
	}
	tracker_touch(table, tracker, now_us);
}

void tracker_repeat(struct tracker_table *table, struct tracker *tracker, uint32_t tag,
		    uint64_t delta_us, uint64_t now_us, uint64_t window_us)
{
	uint8_t *deltas = tracker->past + 4 * table->n_past;

	if (delta_us > window_us)
		bytes_set32(tracker->past, tag);
	else
		tracker_add_repeat(table, tracker, tag);
	if (table->n_past > 1) {
		delta_us += bytes_get32(deltas);
		bytes_set32(deltas, delta_us < UINT32_MAX ? (uint32_t)delta_us : UINT32_MAX);
	}
	tracker_touch(table, tracker, now_us);
}

/* Ports differ in the lower half. */
static bool is_to_port_of(uint32_t tag, uint32_t past)
{
	return (uint16_t)tag == (uint16_t)past;
}

bool tracker_is_to_last_port(const struct tracker *tracker, uint32_t tag)
{
	return last_of(tracker) > 0 && is_to_port_of(tag, bytes_get32(tag_at(tracker, 0)));
}

bool tracker_has(const struct tracker_table *table, const struct tracker *tracker, uint32_t tag,
		 uint64_t delta_us, uint64_t window_us)
{
	bool is_repeats = has_repeat(tracker) &&
			  repeats_have(&table->repeats, tracker_number(table, tracker), tag);
	uint64_t age_us = delta_us;

	for (size_t i = 0; age_us <= window_us; i++) {
		uint32_t past = bytes_get32(tag_at(tracker, i));

		if (past == tag || (is_repeats && is_to_port_of(tag, past)))
			return true;
		if (i + 1 == table->n_past)
			return false;
		age_us += bytes_get32(delta_at(table, tracker, i));
	}
	return false;
}

uint64_t tracker_span_us(const struct tracker_table *table, const struct tracker *tracker, size_t n)
{
	uint64_t span_us = 0;

	for (size_t i = 0; i + 1 < n; i++)
		span_us += bytes_get32(delta_at(table, tracker, i));
	return span_us;
}

void tracker_inherit(struct tracker_table *table, struct tracker *tracker,
		     const struct tracker_table *other_table, const struct tracker *other)
{
	uint64_t last_us = tracker_last_us(other_table, other);
	const struct repeater *repeater;
	size_t n = 1;

	if (last_of(other) == 0)
		return;
	while (n < other_table->n_past &&
	       bytes_get32(delta_at(other_table, other, n - 1)) < UINT32_MAX)
		n++;
	for (size_t i = n; i > 0; i--) {
		uint64_t delta_us = i < other_table->n_past
					    ? bytes_get32(delta_at(other_table, other, i - 1))
					    : UINT64_MAX;

		tracker_push(table, tracker, bytes_get32(tag_at(other, i - 1)), delta_us, last_us);
	}
	repeater = has_repeat(other)
			   ? repeats_find(&other_table->repeats, tracker_number(other_table, other))
			   : NULL;
	if (repeater) {
		repeats_copy(&table->repeats, tracker_number(table, tracker), repeater);
		number24_set(&tracker->node, number24_get(&tracker->node) | REPEAT_BIT);
	}
}
