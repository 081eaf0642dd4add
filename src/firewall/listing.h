/* A listing: what is open in one place of the firewall, as the firewall itself says it. */
#pragma once

#include "firewall/firewall.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct passage;
struct spelling;

struct listing_item {
	char *key; /* what it is, as the backend spells it */
	uint64_t left_us;
};

struct listing {
	struct passage *place; /* some rule of this place */
	firewall_listed_fn fn;
	void *userdata;
	int error; /* 0, or why the firewall could not be asked: a negative errno */
	struct listing_item *items;
	size_t n_items, n_room;
	struct spelling *spelling; /* of sets: what set_find() and set_knows() have noted */
	unsigned n_asked;	   /* how often backend.holds was asked */
};

/* An empty one, of the place that the rule belongs to. 0 or -ENOMEM. */
int listing_new(const struct passage *passage, struct listing **ret);
struct listing *listing_free(struct listing *listing);

/* Adds what is open for another `left_us` (UINT64_MAX: no end is known). 0 or -ENOMEM. */
int listing_add(struct listing *listing, const char *key, size_t length, uint64_t left_us);

/* To be called once, after all has been added and before something is looked up. */
void listing_sort(struct listing *listing);

/* Hands it to whoever asked, and frees it. */
void listing_tell(struct listing *listing, uint64_t now_us);

/* Whether the key is there; *ret_left_us is written if it is. What is there twice has no end that
 * is known: one of the two is too many. */
bool listing_find(const struct listing *listing, const char *key, uint64_t *ret_left_us);
