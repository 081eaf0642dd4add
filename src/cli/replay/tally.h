/* A tally: which doors would have opened for whom, and how often. */
#pragma once

#include "core/address.h"

#include <stddef.h>

struct tally_item {
	size_t door;
	struct address source;
};

struct tally {
	struct tally_item *items;
	size_t n_items, n_room;
};

void tally_done(struct tally *tally);

/* 0 or -ENOMEM. */
int tally_add(struct tally *tally, size_t door, const struct address *source);

/* Calls `fn` once for each door and source, in that order, with how often they were added. */
typedef void (*tally_fn)(void *userdata, const struct tally_item *item, size_t n);
void tally_each(struct tally *tally, tally_fn fn, void *userdata);
