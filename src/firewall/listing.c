#include "firewall/listing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "firewall/passage.h"
#include "firewall/spelling.h"

int listing_new(const struct passage *passage, struct listing **ret)
{
	struct listing *listing = calloc(1, sizeof *listing);

	if (!listing)
		return -ENOMEM;
	listing->spelling = calloc(1, sizeof *listing->spelling);
	if (!listing->spelling || passage_new_place(passage, &listing->place) < 0) {
		listing_free(listing);
		return -ENOMEM;
	}
	*ret = listing;
	return 0;
}

struct listing *listing_free(struct listing *listing)
{
	if (listing) {
		for (size_t i = 0; i < listing->n_items; i++)
			free(listing->items[i].key);
		free(listing->items);
		passage_free(listing->place);
		if (listing->spelling)
			spelling_done(listing->spelling);
		free(listing->spelling);
		free(listing);
	}
	return NULL;
}

int listing_add(struct listing *listing, const char *key, size_t length, uint64_t left_us)
{
	struct listing_item *item;

	if (listing->n_items == listing->n_room) {
		size_t n_room = listing->n_room * 2 + 16;
		struct listing_item *items = reallocarray(listing->items, n_room, sizeof *items);

		if (!items)
			return -ENOMEM;
		listing->items = items;
		listing->n_room = n_room;
	}
	item = &listing->items[listing->n_items];
	item->key = strndup(key, length);
	if (!item->key)
		return -ENOMEM;
	item->left_us = left_us;
	item->is_known = false;
	listing->n_items++;
	return 0;
}

static int listing_item_compare(const void *a, const void *b)
{
	return strcmp(((const struct listing_item *)a)->key, ((const struct listing_item *)b)->key);
}

void listing_sort(struct listing *listing)
{
	if (listing->n_items > 0)
		qsort(listing->items, listing->n_items, sizeof *listing->items,
		      listing_item_compare);
}

void listing_deliver(struct listing *listing, uint64_t now_us)
{
	listing->fn(listing->userdata, listing, now_us);
	listing_free(listing);
}

static bool listing_is_duplicate(const struct listing *listing, const struct listing_item *item)
{
	const struct listing_item *last = listing->items + listing->n_items - 1;

	return (item > listing->items && listing_item_compare(item - 1, item) == 0) ||
	       (item < last && listing_item_compare(item + 1, item) == 0);
}

bool listing_find(const struct listing *listing, const char *key, uint64_t *ret_left_us)
{
	const struct listing_item wanted = {.key = (char *)key};
	struct listing_item *found = NULL;

	if (listing->n_items > 0)
		found = bsearch(&wanted, listing->items, listing->n_items, sizeof wanted,
				listing_item_compare);
	if (!found)
		return false;
	found->is_known = true;
	*ret_left_us = listing_is_duplicate(listing, found) ? UINT64_MAX : found->left_us;
	return true;
}
