#include "core/tracker.h"

#include <errno.h>
#include <sodium/crypto_shorthash.h>
#include <stdlib.h>
#include <string.h>

enum { NONE = UINT32_MAX };

struct tracker_table {
	uint8_t key[crypto_shorthash_KEYBYTES];
	uint8_t *trackers; /* n_max of them, `stride` bytes apart */
	size_t stride;
	size_t n_past;
	uint32_t *buckets;
	uint32_t bucket_mask;
	uint32_t n_max;
	uint32_t n_touched; /* places ever used: those beyond were never written */
	uint32_t n_used;
	uint32_t oldest, newest; /* the least and the most recently seen */
	uint32_t vacant;	 /* places given back, chained by hash_next */
};

static struct tracker *at(const struct tracker_table *table, uint32_t i)
{
	return (struct tracker *)(void *)(table->trackers + i * table->stride);
}

static uint32_t index_of(const struct tracker_table *table, const struct tracker *tracker)
{
	return (uint32_t)((size_t)((const uint8_t *)tracker - table->trackers) / table->stride);
}

static uint32_t *bucket_of(const struct tracker_table *table, const struct address *source)
{
	uint8_t hash[crypto_shorthash_BYTES];
	uint32_t word;

	crypto_shorthash(hash, source->bytes, sizeof source->bytes, table->key);
	memcpy(&word, hash, sizeof word);
	return &table->buckets[word & table->bucket_mask];
}

int tracker_table_new(size_t n_max, size_t n_past, const uint8_t key[static 16],
		      struct tracker_table **ret)
{
	struct tracker_table *table = calloc(1, sizeof *table);
	uint32_t n_buckets = 1;

	if (!table)
		return -ENOMEM;
	while (n_buckets < n_max)
		n_buckets *= 2;
	memcpy(table->key, key, sizeof table->key);
	table->stride = sizeof(struct tracker) + n_past * sizeof(struct past);
	table->n_past = n_past;
	table->n_max = (uint32_t)n_max;
	table->bucket_mask = n_buckets - 1;
	table->trackers = malloc(n_max * table->stride);
	table->buckets = malloc(n_buckets * sizeof *table->buckets);
	if (!table->trackers || !table->buckets) {
		tracker_table_free(table);
		return -ENOMEM;
	}
	/* Written to once, so that the memory is there now and not when an attack needs it. */
	memset(table->trackers, 0, n_max * table->stride);
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
	for (uint32_t i = 0; i <= table->bucket_mask; i++)
		table->buckets[i] = NONE;
	table->n_touched = table->n_used = 0;
	table->oldest = table->newest = table->vacant = NONE;
}

size_t tracker_table_size(const struct tracker_table *table)
{
	return table->n_used;
}

static void order_remove(struct tracker_table *table, struct tracker *tracker)
{
	if (tracker->older != NONE)
		at(table, tracker->older)->newer = tracker->newer;
	else
		table->oldest = tracker->newer;
	if (tracker->newer != NONE)
		at(table, tracker->newer)->older = tracker->older;
	else
		table->newest = tracker->older;
}

static void order_append(struct tracker_table *table, struct tracker *tracker)
{
	uint32_t i = index_of(table, tracker);

	tracker->older = table->newest;
	tracker->newer = NONE;
	if (table->newest != NONE)
		at(table, table->newest)->newer = i;
	else
		table->oldest = i;
	table->newest = i;
}

static void drop_oldest(struct tracker_table *table)
{
	uint32_t i = table->oldest;
	struct tracker *tracker = at(table, i);
	uint32_t *link = bucket_of(table, &tracker->source);

	while (*link != i)
		link = &at(table, *link)->hash_next;
	*link = tracker->hash_next;
	order_remove(table, tracker);
	tracker->hash_next = table->vacant;
	table->vacant = i;
	table->n_used--;
}

static struct tracker *take_place(struct tracker_table *table)
{
	struct tracker *tracker;

	if (table->n_used == table->n_max)
		drop_oldest(table);
	if (table->vacant != NONE) {
		tracker = at(table, table->vacant);
		table->vacant = tracker->hash_next;
	} else {
		tracker = at(table, table->n_touched++);
	}
	table->n_used++;
	return tracker;
}

struct tracker *tracker_table_get(struct tracker_table *table, const struct address *source,
				  uint64_t now_us)
{
	uint32_t *bucket = bucket_of(table, source);
	struct tracker *tracker;

	for (uint32_t i = *bucket; i != NONE; i = tracker->hash_next) {
		tracker = at(table, i);
		if (address_equal(&tracker->source, source)) {
			order_remove(table, tracker);
			order_append(table, tracker);
			return tracker;
		}
	}

	tracker = take_place(table);
	tracker->source = *source;
	tracker->last_us = now_us;
	tracker_reset(tracker);
	tracker->hash_next = *bucket;
	*bucket = index_of(table, tracker);
	order_append(table, tracker);
	return tracker;
}

void tracker_table_expire(struct tracker_table *table, uint64_t before_us)
{
	for (int i = 0; i < 2 && table->oldest != NONE; i++) {
		if (at(table, table->oldest)->last_us >= before_us)
			return;
		drop_oldest(table);
	}
}

const struct tracker *tracker_table_next(const struct tracker_table *table,
					 const struct tracker *tracker)
{
	uint32_t i = tracker ? tracker->newer : table->oldest;

	return i != NONE ? at(table, i) : NULL;
}

void tracker_reset(struct tracker *tracker)
{
	tracker->node = 0;
	tracker->n_past = 0;
	tracker->newest = 0;
}

void tracker_push(const struct tracker_table *table, struct tracker *tracker, uint32_t tag,
		  uint64_t delta_us)
{
	tracker->newest = (uint8_t)((tracker->newest + 1u) % table->n_past);
	if (tracker->n_past < table->n_past)
		tracker->n_past++;
	tracker->past[tracker->newest] = (struct past){
		.tag = tag,
		.delta_us = delta_us < UINT32_MAX ? (uint32_t)delta_us : UINT32_MAX,
	};
}

const struct past *tracker_past(const struct tracker_table *table, const struct tracker *tracker,
				size_t i)
{
	return &tracker->past[(tracker->newest + table->n_past - i) % table->n_past];
}
