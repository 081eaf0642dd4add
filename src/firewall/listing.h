/* A listing: what is open in one place of the firewall, as the firewall itself says it. */
#pragma once

#include "firewall/types.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct passage;
struct spelling;

struct listing_item {
	char *key; /* what it is, as the backend spells it */
	uint64_t left_us;
	bool is_known; /* somebody has asked for it, and found it */
};

struct listing {
	struct passage *place; /* some passage of this place */
	firewall_listed_fn fn;
	void *userdata;
	int error; /* 0, or why it could not be listed: a negative errno */
	struct listing_item *items;
	size_t n_items, n_room;
	struct spelling *spelling; /* of sets: what set_find() and set_knows() have noted */
	unsigned n_asked;	   /* how often backend.holds() was called */
};

/* An empty one, of the passage's place. 0 or -ENOMEM. */
int listing_new(const struct passage *passage, struct listing **ret);
struct listing *listing_free(struct listing *listing);

/* Adds what is open for another `left_us` (UINT64_MAX: no end is known). 0 or -ENOMEM. */
int listing_add(struct listing *listing, const char *key, size_t length, uint64_t left_us);

/* To be called once, after all has been added and before something is looked up. */
void listing_sort(struct listing *listing);

/* Delivers it to whoever asked, and frees it. */
void listing_deliver(struct listing *listing, uint64_t now_us);

/* Whether the key is there; *ret_left_us is written if it is. A duplicate has no
 * known end: one of the two should not be there. */
bool listing_find(const struct listing *listing, const char *key, uint64_t *ret_left_us);
