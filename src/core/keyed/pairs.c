#include "core/keyed/pairs.h"

#include <errno.h>
#include <sodium.h>

/* How many of a bucket's slots are taken on average. */
enum { LOAD = 3 };

_Static_assert(sizeof(struct pairs_bucket) == 16, "pairs_bucket_has() reads two words");

int pairs_init(struct pairs *pairs, size_t n)
{
	size_t n_buckets = n / LOAD + 1;
	struct pairs_bucket *buckets = sodium_allocarray(n_buckets, sizeof *buckets);

	if (!buckets)
		return -ENOMEM;
	memset(buckets, 0, n_buckets * sizeof *buckets);
	*pairs = (struct pairs){.n_buckets = n_buckets, .buckets = buckets};
	return 0;
}

void pairs_done(struct pairs *pairs)
{
	sodium_free(pairs->buckets); /* which wipes them */
	*pairs = (struct pairs){0};
}

static struct pairs_key key_of(const struct pairs *pairs, const uint16_t *ports)
{
	for (size_t i = 0; i < PAIRS_PORTS; i++)
		for (size_t j = i + 1; j < PAIRS_PORTS; j++)
			if (pairs_class(ports[i]) == pairs_class(ports[j]))
				return pairs_key(pairs, ports[i], ports[j]);
	__builtin_unreachable(); /* there are fewer classes than ports */
}

/* From the key's bucket on, the first place that holds this. */
static uint16_t *pairs_find(struct pairs *pairs, size_t bucket, uint16_t mark, int beyond)
{
	for (;; bucket = (bucket + 1) % pairs->n_buckets) {
		for (size_t i = 0; i < PAIRS_MARKS; i++)
			if (pairs->buckets[bucket].marks[i] == mark)
				return &pairs->buckets[bucket].marks[i];
		pairs->buckets[bucket].n_beyond += beyond;
	}
}

void pairs_add(struct pairs *pairs, const uint16_t ports[static PAIRS_PORTS])
{
	struct pairs_key key = key_of(pairs, ports);

	*pairs_find(pairs, key.bucket, 0, 1) = key.mark;
}

/* If it takes away the mark of another set, that one's place is the one that is left: two marks
 * that are equal are the same to whoever looks for either. */
void pairs_remove(struct pairs *pairs, const uint16_t ports[static PAIRS_PORTS])
{
	struct pairs_key key = key_of(pairs, ports);

	*pairs_find(pairs, key.bucket, key.mark, -1) = 0;
}
