#include "firewall/strays.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/door.h"
#include "core/placeholder.h"
#include "firewall/backend.h"
#include "firewall/backends.h"
#include "firewall/firewall.h"
#include "firewall/listing.h"
#include "firewall/passage.h"

/* A set of a door's. */
struct set_place {
	const struct door *door;
	struct passage *passage; /* an element that it could have */
};

struct search {
	struct firewall *firewall;
	struct set_place *places; /* those that are the same set stand one beside the other */
	size_t n;
	struct passage *const *known;
	size_t n_known;
	stray_fn fn;
	void *userdata;
	const struct set_place *current;
	int result;
	int n_unlisted;
};

static int set_place_compare(const void *a, const void *b)
{
	const struct set_place *x = a, *y = b;
	int order = strcmp(x->passage->set, y->passage->set);

	return order != 0 ? order : (int)x->door->opening.backend - (int)y->door->opening.backend;
}

/* 0 or -ENOMEM. */
static int search_add(struct search *search, const struct door *door, enum family family)
{
	const struct placeholder_values values = backend_example(door->name, family);
	struct set_place *place = &search->places[search->n];

	if (!door->opening.set[family])
		return 0;
	place->door = door;
	if (passage_new(&door->opening, &values, &place->passage) < 0)
		return -ENOMEM;
	search->n++;
	return 0;
}

static int search_begin(struct search *search, const struct door *doors, size_t n_doors)
{
	int r = 0;

	search->places = calloc(n_doors * N_FAMILIES + 1, sizeof search->places[0]);
	if (!search->places)
		return -ENOMEM;
	for (size_t i = 0; i < n_doors; i++)
		for (enum family family = 0; r == 0 && family < N_FAMILIES; family++)
			r = search_add(search, &doors[i], family);
	if (r == 0)
		qsort(search->places, search->n, sizeof search->places[0], set_place_compare);
	return r;
}

static void search_end(struct search *search)
{
	for (size_t i = 0; i < search->n; i++)
		passage_free(search->places[i].passage);
	free(search->places);
}

/* It takes the listing's name of an element. */
static int stray_passage_new(const struct listing *listing, const char *element,
			     struct passage **ret)
{
	char *copy = strdup(element);
	int r = copy ? passage_new_place(listing->place, ret) : -ENOMEM;

	if (r < 0) {
		free(copy);
		return r;
	}
	free((*ret)->element);
	(*ret)->element = copy;
	return 0;
}

/* Marks what is on record. False: some of that may be there by another name. */
static bool search_mark_known(const struct search *search, struct listing *listing)
{
	uint64_t left_us;

	for (size_t i = 0; i < search->n_known; i++) {
		enum firewall_answer answer;

		if (!listing_covers(listing, search->known[i]))
			continue;
		answer = firewall_ask(search->firewall, listing, search->known[i], &left_us);
		if (answer != FIREWALL_PRESENT && answer != FIREWALL_ABSENT)
			return false;
	}
	return true;
}

static void on_listed(void *userdata, struct listing *listing, uint64_t now_us)
{
	struct search *search = userdata;

	(void)now_us;
	if (listing->error < 0 && listing->error != -ENOENT)
		search->n_unlisted++;
	if (!search_mark_known(search, listing))
		return;
	for (size_t i = 0; search->result == 0 && i < listing->n_items; i++) {
		const struct listing_item *item = &listing->items[i];
		struct passage *passage;

		if (item->is_known || item->left_us == UINT64_MAX)
			continue;
		search->result = stray_passage_new(listing, item->key, &passage);
		if (search->result == 0)
			search->result = search->fn(search->userdata, search->current->door,
						    passage, item->left_us);
	}
}

/* The places from `first` on that are the same set. Returns how many. */
static size_t search_set(struct search *search, size_t first, uint64_t now_us)
{
	const struct set_place *place = &search->places[first];
	bool is_shared = false;
	size_t n = 0;

	for (; first + n < search->n && set_place_compare(place, place + n) == 0; n++)
		is_shared = is_shared || place[n].door->opening.set_shared;
	search->current = place;
	if (!is_shared &&
	    firewall_list(search->firewall, place->passage, now_us, on_listed, search) < 0)
		search->n_unlisted++;
	return n;
}

int firewall_each_stray(struct firewall *firewall, const struct door *doors, size_t n_doors,
			struct passage *const *known, size_t n_known, uint64_t now_us, stray_fn fn,
			void *userdata)
{
	struct search search = {
		.firewall = firewall,
		.known = known,
		.n_known = n_known,
		.fn = fn,
		.userdata = userdata,
	};

	search.result = search_begin(&search, doors, n_doors);
	for (size_t i = 0; search.result == 0 && i < search.n;)
		i += search_set(&search, i, now_us);
	search_end(&search);
	return search.result < 0 ? search.result : search.n_unlisted;
}
