/* The last ports that each source probed, in one table of a fixed size: what tokens are looked for
 * in.
 *
 * MUST: take all memory at the start; find a source in one look-up whatever the sources are (the
 * hash is keyed: SipHash-2-4, Aumasson and Bernstein 2012); when there is no room, forget the least
 * recently seen of a few that an attacker cannot choose. */
#pragma once

#include "core/address.h"
#include "core/keyed/pairs.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct recent_table;

enum { RECENT_PROBES = 32, RECENT_KEY_BYTES = 16 };

/* A source that has been quiet for this long starts again. */
#define RECENT_IDLE_US UINT64_C(30000000)

/* Each bit of a mask is for one of the places. */
struct recent {
	struct address source;
	uint64_t last_us;  /* when its last probe was logged; 0: a place that nobody has */
	uint32_t spent;	   /* it was part of a token that is complete */
	uint32_t marked;   /* its port selects some token */
	uint32_t bound;	   /* its port selects some token that may name its source... */
	uint32_t tried;	   /* ...and these were computed, for `tried_for` */
	uint32_t compared; /* with all others, whether they are a pair of some token... */
	uint32_t paired;   /* ...and one of them is */
	bool awaits;	   /* some computed token waits for another port */
	uint8_t n, newest;
	uint32_t classes[PAIRS_CLASSES]; /* its port is of this class */
	struct address tried_for;
	uint64_t refused_s;		 /* in this second (and one) its share was used up */
	uint32_t packets[RECENT_PROBES]; /* source port and port */
};

/* A table for about `n_max` sources. Copies the key. 0 or -ENOMEM. */
int recent_table_new(size_t n_max, const uint8_t key[static RECENT_KEY_BYTES],
		     struct recent_table **ret);
struct recent_table *recent_table_free(struct recent_table *table);
void recent_table_clear(struct recent_table *table);

/* Copies what another table knows, but for what it has made of it. */
void recent_table_inherit(struct recent_table *table, const struct recent_table *other);

/* What is known of the source; nothing, if it is new or was quiet for long. Never fails. */
struct recent *recent_table_get(struct recent_table *table, const struct address *source,
				uint64_t now_us);

/* Adds a probe, over the oldest if there are RECENT_PROBES. False: the same packet is there
 * already, so that this one is a retransmission; or the same port, which counts once. */
bool recent_add(struct recent *recent, uint16_t source_port, uint16_t port);

/* Marks the newest: its port selects tokens, of which some may name their source. */
void recent_mark(struct recent *recent, bool is_bound);

/* Whether the newest counts no more. */
bool recent_is_spent(const struct recent *recent);

/* Whether two ports that count are the pair of some token; looks only at what is new since the last
 * call. */
bool recent_has_pair(struct recent *recent, const struct pairs *pairs);

/* How many ports count; writes them and returns how many they are; one of them. */
size_t recent_count(const struct recent *recent);
size_t recent_ports(const struct recent *recent, uint16_t ret_ports[static RECENT_PROBES]);
uint16_t recent_port(const struct recent *recent, unsigned place);

/* These n ports count no more. */
void recent_spend(struct recent *recent, const uint16_t *ports, size_t n);
