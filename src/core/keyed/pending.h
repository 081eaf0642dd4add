/* Pending tokens: computed for one source, each waiting for one of its ports that has not come yet.
 *
 * MUST: take all memory at the start; find what waits for a port in one look-up; when there is no
 * room, forget the oldest of a few. The ports are secrets: wiped at the end. */
#pragma once

#include "core/address.h"
#include "core/token.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pending_tokens;

enum { PENDING_KEY_BYTES = 16 };

struct pending_token {
	struct address source;
	uint64_t step;
	uint32_t row;
	uint16_t port; /* that is missing; 0: nothing is kept here */
	uint16_t ports[TOKEN_PORTS];
};

/* Copies the key: without it, nobody can choose who gives way. 0 or -ENOMEM. */
int pending_tokens_new(const uint8_t key[static PENDING_KEY_BYTES], struct pending_tokens **ret);
struct pending_tokens *pending_tokens_free(struct pending_tokens *table);

/* Nothing happens if it is there already. */
void pending_tokens_put(struct pending_tokens *table, const struct pending_token *pending_token);

/* Takes out one that waits for this port of this source. False: none does. */
bool pending_tokens_take(struct pending_tokens *table, const struct address *source, uint16_t port,
			 struct pending_token *ret);
