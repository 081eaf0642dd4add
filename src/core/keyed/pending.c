#include "core/keyed/pending.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { N_BUCKETS = 1024, WAYS = 4 };

struct pending_tokens {
	uint64_t key[2];
	struct pending_token places[N_BUCKETS][WAYS]; /* the newest first */
};

_Static_assert(PENDING_KEY_BYTES == sizeof((struct pending_tokens *)NULL)->key, "the hash's key");

int pending_tokens_new(const uint8_t key[static PENDING_KEY_BYTES], struct pending_tokens **ret)
{
	struct pending_tokens *table = calloc(1, sizeof *table);

	if (!table)
		return -ENOMEM;
	memcpy(table->key, key, sizeof table->key);
	*ret = table;
	return 0;
}

struct pending_tokens *pending_tokens_free(struct pending_tokens *table)
{
	if (table)
		sodium_memzero(table, sizeof *table);
	free(table);
	return NULL;
}

/* The port is a secret, so that nobody can aim at another's bucket. */
static struct pending_token *pending_bucket(struct pending_tokens *table,
					    const struct address *source, uint16_t port)
{
	uint64_t words[2];

	memcpy(words, source->bytes, sizeof words);
	words[0] = (words[0] ^ table->key[0]) * UINT64_C(0x9e3779b97f4a7c15);
	words[0] ^= words[0] >> 32;
	words[1] = (words[1] ^ table->key[1] ^ words[0]) * UINT64_C(0xd6e8feb86659fd93);
	words[1] ^= words[1] >> 32;
	words[1] = (words[1] ^ port) * UINT64_C(0xbf58476d1ce4e5b9);
	return table->places[(words[1] >> 32) % N_BUCKETS];
}

static bool is_same(const struct pending_token *a, const struct pending_token *b)
{
	return a->port == b->port && a->row == b->row && a->step == b->step &&
	       address_equal(&a->source, &b->source);
}

void pending_tokens_put(struct pending_tokens *table, const struct pending_token *pending_token)
{
	struct pending_token *bucket =
		pending_bucket(table, &pending_token->source, pending_token->port);

	for (size_t i = 0; i < WAYS; i++)
		if (is_same(&bucket[i], pending_token))
			return;
	memmove(bucket + 1, bucket, (WAYS - 1) * sizeof *bucket);
	bucket[0] = *pending_token;
}

bool pending_tokens_take(struct pending_tokens *table, const struct address *source, uint16_t port,
			 struct pending_token *ret)
{
	struct pending_token *bucket = pending_bucket(table, source, port);

	for (size_t i = 0; i < WAYS; i++) {
		if (port == 0 || bucket[i].port != port ||
		    !address_equal(&bucket[i].source, source))
			continue;
		*ret = bucket[i];
		memmove(&bucket[i], &bucket[i + 1], (WAYS - 1 - i) * sizeof *bucket);
		memset(&bucket[WAYS - 1], 0, sizeof *bucket);
		return true;
	}
	return false;
}
