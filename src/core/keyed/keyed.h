/* Keyed knocks: tokens and SPA knocks among the probes.
 *
 * MUST: nothing but a key makes a request; what is valid here is valid once, which calling code
 * ensures. The cost of a probe does not grow with the keys, the doors or the sources; what one
 * source and all sources can cause of decrypting is bounded (core/budget.h). No probe makes it
 * allocate. */
#pragma once

#include "core/keyed/request.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct door;
struct expected_ports;
struct key_holder;
struct keyed;
struct probe;

enum { KEYED_HASH_KEY_BYTES = 16, KEYED_SKEW_MAX_S = 300 };

struct keyed_limits {
	uint32_t max_sources; /* for each combination of tcpflags, interface and target */
	uint8_t ipv6_prefix;  /* leading bits of an IPv6 address that make one source */
	uint32_t skew_s;      /* how far a client's clock may be off: up to KEYED_SKEW_MAX_S */
	uint8_t hash_key[KEYED_HASH_KEY_BYTES]; /* random */
};

/* Compiles all doors that take tokens or SPA knocks, with the keys (ordered by user); neither is
 * kept, their positions are their numbers. sodium_init() must have been called. 0; -ENOMEM; -E2BIG:
 * too many keys for so many doors, or a skew beyond the maximum. */
int keyed_new(const struct keyed_limits *limits, const struct door *doors, size_t n_doors,
	      const struct key_holder *keys, size_t n_keys, struct keyed **ret);
struct keyed *keyed_free(struct keyed *keyed);

/* Takes over what another remembers of each source. */
void keyed_inherit(struct keyed *keyed, const struct keyed *other);

/* Feeds one probe that was logged at this Unix time (0: unknown, and nothing is looked for). `fn`
 * is called before it returns, for each request that it completes, the bad ones included; it must
 * not call this module. True: the source may be in the middle of a token. */
bool keyed_feed(struct keyed *keyed, const struct probe *probe, uint64_t unix_s, request_fn fn,
		void *userdata);

/* Prepares a part of what the next steps of time need; to be called about every second, probes or
 * not. */
void keyed_tend(struct keyed *keyed, uint64_t unix_s);

/* Forgets every source: after a reboot the kernel's clock starts again. */
void keyed_forget(struct keyed *keyed);

/* The ports that knocks are expected at. They are the keyed knocks' own. */
struct expected_ports *keyed_expected(const struct keyed *keyed);

struct keyed_counts {
	uint64_t tries;	  /* decryptions and the like, which cost a microsecond or two each */
	uint64_t dropped; /* not tried, because the source had used up its share */
};
const struct keyed_counts *keyed_counts(const struct keyed *keyed);
