/* Awaited: tokens that were computed for one source, each waiting for one of its ports that has not
 * come yet.
 *
 * MUST: take all memory at the start; find what waits for a port in one look-up; when there is no
 * room, forget the oldest of a few. The ports are secrets: wiped at the end. */
#pragma once

#include "core/address.h"
#include "core/token.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct awaited_table;

enum { AWAITED_KEY_BYTES = 16 };

struct awaited {
	struct address source;
	uint64_t step;
	uint32_t row;
	uint16_t port; /* that is missing; 0: nothing is kept here */
	uint16_t ports[TOKEN_PORTS];
};

/* Copies the key: who does not know it cannot choose who gives way. 0 or -ENOMEM. */
int awaited_table_new(const uint8_t key[static AWAITED_KEY_BYTES], struct awaited_table **ret);
struct awaited_table *awaited_table_free(struct awaited_table *table);

/* Nothing happens if it is there already. */
void awaited_table_put(struct awaited_table *table, const struct awaited *awaited);

/* Takes out one that waits for this port of this source. False: none does. */
bool awaited_table_take(struct awaited_table *table, const struct address *source, uint16_t port,
			struct awaited *ret);
