#include "core/keyed/budget.h"

#include <sodium/crypto_shorthash.h>
#include <string.h>

#include "core/address.h"

_Static_assert(BUDGET_KEY_BYTES == crypto_shorthash_KEYBYTES, "the hash's key");

bool budget_take(struct budget *budget, const struct address *source, uint64_t now_us)
{
	struct address network = address_source(source, BUDGET_IPV6_PREFIX);
	uint8_t hash[crypto_shorthash_BYTES];
	uint64_t word, second = now_us / 1000000;

	crypto_shorthash(hash, network.bytes, sizeof network.bytes, budget->key);
	memcpy(&word, hash, sizeof word);
	word %= BUDGET_SLOTS;
	/* A little earlier is out of order; much earlier is another boot. */
	if (second > budget->slots[word].second || second + 1 < budget->slots[word].second) {
		budget->slots[word].second = second;
		budget->slots[word].spent = 0;
	}
	if (budget->slots[word].spent == BUDGET_A_SECOND)
		return false;
	budget->slots[word].spent++;
	return true;
}
