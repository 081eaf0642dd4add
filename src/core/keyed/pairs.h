/* Pairs: a small filter for many sets of eight ports, which says that none of them is complete.
 *
 * Of eight ports at least two leave the same rest when divided by seven. The first two of a set
 * that do are its pair: where these two have not been seen, the set is not complete, and among
 * other ports there are few that can be a pair with one port.
 *
 * MUST: cost the same for a few sets as for many thousands, and stay small enough for the
 * processor's nearer caches. The pairs are secrets: they are kept as keys are. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { PAIRS_PORTS = 8, PAIRS_CLASSES = PAIRS_PORTS - 1, PAIRS_MARKS = 7 };

/* A place in memory for some pairs; others that belong here stand in the next ones. */
struct pairs_bucket {
	uint16_t marks[PAIRS_MARKS]; /* 0: none */
	uint16_t n_beyond;	     /* this many went on from here */
};

struct pairs {
	size_t n_buckets;
	struct pairs_bucket *buckets;
};

/* Room for n sets. sodium_init() must have been called. 0 or -ENOMEM. */
int pairs_init(struct pairs *pairs, size_t n);
void pairs_done(struct pairs *pairs);

/* Adds a set; removes one that was added. */
void pairs_add(struct pairs *pairs, const uint16_t ports[static PAIRS_PORTS]);
void pairs_remove(struct pairs *pairs, const uint16_t ports[static PAIRS_PORTS]);

/* Only ports of one class can be a pair. */
static inline unsigned pairs_class(uint16_t port)
{
	return port % PAIRS_CLASSES;
}

/* Where two ports are looked for, and by what. */
struct pairs_key {
	size_t bucket;
	uint16_t mark;
};

static inline struct pairs_key pairs_key(const struct pairs *pairs, uint16_t a, uint16_t b)
{
	uint64_t both = a < b ? (uint64_t)a << 16 | b : (uint64_t)b << 16 | a;

	both = (both + 1) * UINT64_C(0x9e3779b97f4a7c15);
	both ^= both >> 29;
	both *= UINT64_C(0xbf58476d1ce4e5b9);
	return (struct pairs_key){
		.bucket = (size_t)((both >> 32) * pairs->n_buckets >> 32),
		.mark = (uint16_t)(both >> 16 | 0x8000),
	};
}

static inline bool pairs_bucket_has(const struct pairs_bucket *bucket, uint16_t mark)
{
	const uint64_t ones = UINT64_C(0x0001000100010001), tops = ones << 15;
	uint64_t words[2];

	/* Whether any 16 bits are zero after this; the last ones never are, for want of a top bit.
	 */
	memcpy(words, bucket, sizeof words);
	words[0] ^= ones * mark;
	words[1] ^= ones * mark;
	return (((words[0] - ones) & ~words[0]) | ((words[1] - ones) & ~words[1])) & tops;
}

/* Whether the two may be the pair of some set: no is certain, yes nearly so. */
static inline bool pairs_has(const struct pairs *pairs, uint16_t a, uint16_t b)
{
	struct pairs_key key = pairs_key(pairs, a, b);
	const struct pairs_bucket *bucket = &pairs->buckets[key.bucket];

	for (size_t left = pairs->n_buckets; !pairs_bucket_has(bucket, key.mark); left--) {
		if (bucket->n_beyond == 0 || left == 0)
			return false;
		if (++bucket == pairs->buckets + pairs->n_buckets)
			bucket = pairs->buckets;
	}
	return true;
}
