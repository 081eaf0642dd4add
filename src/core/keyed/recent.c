#include "core/keyed/recent.h"

#include <errno.h>
#include <sodium/crypto_shorthash.h>
#include <stdlib.h>
#include <string.h>

/* Two CPUs may stamp neighbouring lines a little out of order; what is further back is another
 * clock. */
#define DISORDER_US UINT64_C(1000000)

/* A source has one of so many places: those of its bucket. */
enum { WAYS = 8 };

struct recent_table {
	uint8_t key[crypto_shorthash_KEYBYTES];
	struct recent *places;
	size_t n_buckets; /* a power of two */
};

_Static_assert(RECENT_KEY_BYTES == crypto_shorthash_KEYBYTES, "the hash's key");

int recent_table_new(size_t n_max, const uint8_t key[static RECENT_KEY_BYTES],
		     struct recent_table **ret)
{
	struct recent_table *table = calloc(1, sizeof *table);

	if (!table)
		return -ENOMEM;
	memcpy(table->key, key, sizeof table->key);
	table->n_buckets = 1;
	while (table->n_buckets * WAYS < n_max)
		table->n_buckets *= 2;
	table->places = malloc(table->n_buckets * WAYS * sizeof *table->places);
	if (!table->places) {
		recent_table_free(table);
		return -ENOMEM;
	}
	/* Written to, so that the memory is there now and not when an attack needs it. */
	recent_table_clear(table);
	*ret = table;
	return 0;
}

struct recent_table *recent_table_free(struct recent_table *table)
{
	if (table) {
		free(table->places);
		free(table);
	}
	return NULL;
}

void recent_table_clear(struct recent_table *table)
{
	memset(table->places, 0, table->n_buckets * WAYS * sizeof *table->places);
}

static struct recent *recent_bucket(const struct recent_table *table, const struct address *source)
{
	uint8_t hash[crypto_shorthash_BYTES];
	uint64_t word;

	crypto_shorthash(hash, source->bytes, sizeof source->bytes, table->key);
	memcpy(&word, hash, sizeof word);
	return &table->places[(word & (table->n_buckets - 1)) * WAYS];
}

static void recent_start(struct recent *recent, const struct address *source, uint64_t now_us)
{
	memset(recent, 0, offsetof(struct recent, packets));
	recent->source = *source;
	recent->last_us = now_us;
}

/* The source's place, or the one that it shall have: the least recently seen. */
static struct recent *recent_find_slot(const struct recent_table *table,
				       const struct address *source)
{
	struct recent *bucket = recent_bucket(table, source), *oldest = bucket;

	for (size_t i = 0; i < WAYS; i++) {
		if (bucket[i].last_us > 0 && address_equal(&bucket[i].source, source))
			return &bucket[i];
		if (bucket[i].last_us < oldest->last_us)
			oldest = &bucket[i];
	}
	return oldest;
}

struct recent *recent_table_get(struct recent_table *table, const struct address *source,
				uint64_t now_us)
{
	struct recent *recent = recent_find_slot(table, source);

	now_us += now_us == 0; /* which means that nobody has the place */
	if (recent->last_us == 0 || !address_equal(&recent->source, source) ||
	    now_us > recent->last_us + RECENT_IDLE_US || now_us + DISORDER_US < recent->last_us)
		recent_start(recent, source, now_us);
	else if (now_us > recent->last_us)
		recent->last_us = now_us;
	return recent;
}

void recent_table_inherit(struct recent_table *table, const struct recent_table *other)
{
	for (size_t i = 0; i < other->n_buckets * WAYS; i++) {
		const struct recent *old = &other->places[i];
		struct recent *recent;

		if (old->last_us == 0)
			continue;
		recent = recent_find_slot(table, &old->source);
		*recent = *old;
		recent->tried = recent->compared = recent->paired = 0;
		recent->awaits = false;
	}
}

static void clear_place(struct recent *recent, unsigned place)
{
	uint32_t others = ~(UINT32_C(1) << place);

	recent->spent &= others;
	recent->marked &= others;
	recent->bound &= others;
	recent->tried &= others;
	recent->compared &= others;
	recent->paired &= others;
	recent->classes[pairs_class(recent_port(recent, place))] &= others;
}

bool recent_add(struct recent *recent, uint16_t source_port, uint16_t port)
{
	uint32_t packet = (uint32_t)source_port << 16 | port;

	for (size_t i = 0; i < recent->n; i++)
		if (recent->packets[i] == packet ||
		    (recent_port(recent, (unsigned)i) == port && !(recent->spent >> i & 1)))
			return false;
	recent->newest =
		recent->n < RECENT_PROBES ? recent->n++ : (recent->newest + 1) % RECENT_PROBES;
	clear_place(recent, recent->newest);
	recent->packets[recent->newest] = packet;
	recent->classes[pairs_class(port)] |= UINT32_C(1) << recent->newest;
	return true;
}

void recent_mark(struct recent *recent, bool is_bound)
{
	recent->marked |= UINT32_C(1) << recent->newest;
	recent->bound |= (uint32_t)is_bound << recent->newest;
}

bool recent_is_spent(const struct recent *recent)
{
	return recent->spent >> recent->newest & 1;
}

static void recent_compare(struct recent *recent, const struct pairs *pairs, unsigned place)
{
	uint16_t port = recent_port(recent, place);
	uint32_t left = recent->classes[pairs_class(port)] & ~recent->spent;

	recent->compared |= UINT32_C(1) << place;
	for (left &= ~(UINT32_C(1) << place); left != 0; left &= left - 1) {
		unsigned other = (unsigned)__builtin_ctz(left);
		uint16_t other_port = recent_port(recent, other);

		/* Who sends to one port again and again shall not make it dear. */
		if (other_port != port && pairs_has(pairs, port, other_port))
			recent->paired |= UINT32_C(1) << other;
	}
}

bool recent_has_pair(struct recent *recent, const struct pairs *pairs)
{
	uint32_t places = recent->n < RECENT_PROBES ? (UINT32_C(1) << recent->n) - 1 : UINT32_MAX;

	for (uint32_t left = places & ~recent->compared & ~recent->spent; left != 0;
	     left &= left - 1)
		recent_compare(recent, pairs, (unsigned)__builtin_ctz(left));
	return (recent->paired & ~recent->spent) != 0;
}

size_t recent_count(const struct recent *recent)
{
	size_t n = recent->n;

	for (uint32_t left = recent->spent; left != 0; left &= left - 1)
		n--;
	return n;
}

size_t recent_ports(const struct recent *recent, uint16_t ret_ports[static RECENT_PROBES])
{
	size_t n = 0;

	for (unsigned i = 0; i < recent->n; i++)
		if (!(recent->spent >> i & 1))
			ret_ports[n++] = recent_port(recent, i);
	return n;
}

uint16_t recent_port(const struct recent *recent, unsigned place)
{
	return (uint16_t)recent->packets[place];
}

void recent_spend(struct recent *recent, const uint16_t *ports, size_t n)
{
	for (size_t i = 0; i < recent->n; i++)
		for (size_t j = 0; j < n; j++)
			if (recent_port(recent, (unsigned)i) == ports[j])
				recent->spent |= UINT32_C(1) << i;
}
