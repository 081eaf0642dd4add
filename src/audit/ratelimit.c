#include "audit/ratelimit.h"

static uint32_t hash_text(uint32_t hash, const char *text)
{
	for (; *text; text++)
		hash = (hash ^ (uint8_t)*text) * 16777619u; /* FNV-1a */
	return (hash ^ '/') * 16777619u;
}

bool ratelimit_take(struct ratelimit *limit, const char *door, const char *user, uint64_t now_us,
		    uint64_t *ret_dropped)
{
	uint32_t hash = hash_text(hash_text(2166136261u, door), user);
	uint64_t n;

	hash ^= hash >> 16;
	hash %= LIMIT_KINDS;
	n = (now_us - limit->kinds[hash].since_us) / LIMIT_REFILL_US;
	if (n >= limit->kinds[hash].spent) {
		limit->kinds[hash].spent = 0;
		limit->kinds[hash].since_us = now_us;
	} else {
		limit->kinds[hash].spent -= (uint32_t)n;
		limit->kinds[hash].since_us += n * LIMIT_REFILL_US;
	}
	if (limit->kinds[hash].spent == LIMIT_BURST) {
		limit->kinds[hash].n_dropped++;
		return false;
	}
	limit->kinds[hash].spent++;
	*ret_dropped = limit->kinds[hash].n_dropped;
	limit->kinds[hash].n_dropped = 0;
	return true;
}
