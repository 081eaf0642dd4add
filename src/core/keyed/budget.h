/* A budget: how much of something dear each source may cause in a second.
 *
 * Sources share a fixed number of slots, by a keyed hash: a flood from one address empties one
 * slot, and others' knocks are still looked at. All slots together are the bound on what
 * everybody can cause. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct address;

enum {
	BUDGET_SLOTS = 1024,
	BUDGET_A_SECOND = 16, /* of each slot */
	BUDGET_KEY_BYTES = 16,
	BUDGET_IPV6_PREFIX = 64, /* a network of this size is one source */
};

struct budget {
	uint8_t key[BUDGET_KEY_BYTES]; /* random */
	struct {
		uint64_t second;
		uint32_t spent;
	} slots[BUDGET_SLOTS];
};

/* Takes one from the source's slot. False: it is empty until the next second. */
bool budget_take(struct budget *budget, const struct address *source, uint64_t now_us);
