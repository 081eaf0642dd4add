#include "audit/ratelimit.h"

#include "core/hash.h"

bool ratelimit_take(struct ratelimit *limit, const char *door, const char *user, uint64_t now_us,
		    uint64_t *ret_dropped)
{
	uint64_t hash = hash_text(hash_text(HASH_START ^ limit->seed, door), user);
	uint64_t n;

	hash ^= hash >> 32;
	hash = *door || *user ? hash % LIMIT_KINDS : LIMIT_STRAYS;
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
