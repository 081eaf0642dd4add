/* A token: eight ports that a key, a door and the time select, for one use.
 *
 * What they are made of is described in knocktail-protocol(7). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/address.h"

struct mac_key;

enum {
	TOKEN_PORTS = 8,
	TOKEN_STEP_S = 30, /* how long the ports stay the same */
	TOKEN_PORT_MIN = 1024,
};

/* The number of the 30 seconds that hold this Unix time. */
uint64_t token_step(uint64_t unix_s);

/* A key's base (core/key-file.h), a door by its name in lower case, the family over which the token
 * is sent, and when. */
struct token_seed {
	const struct mac_key *base;
	const char *door;
	enum family family;
	uint64_t step;
};

/* The first of a token's ports, which does not depend on who sends it: the server finds key and
 * door by it. */
uint16_t token_selector(const struct token_seed *seed);

/* All of a token's ports, no two alike, the first being the selector. `bound` is the address that
 * it is sent from; NULL: it names none. */
void token_ports(const struct token_seed *seed, const struct address *bound,
		 uint16_t ret_ports[static TOKEN_PORTS]);

/* Whether all of the token's ports are among the n that were seen, in any order. Takes as long
 * whichever of them are. */
bool token_is_complete(const uint16_t ports[static TOKEN_PORTS], const uint16_t *seen, size_t n);
