#include "cli/replay/tally.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void tally_done(struct tally *tally)
{
	free(tally->items);
	*tally = (struct tally){0};
}

int tally_add(struct tally *tally, size_t door, const struct address *source)
{
	if (tally->n_items == tally->n_room) {
		size_t n_room = tally->n_room ? 2 * tally->n_room : 64;
		struct tally_item *items = realloc(tally->items, n_room * sizeof *items);

		if (!items)
			return -ENOMEM;
		tally->items = items;
		tally->n_room = n_room;
	}
	tally->items[tally->n_items++] = (struct tally_item){.door = door, .source = *source};
	return 0;
}

static int tally_compare(const void *a, const void *b)
{
	const struct tally_item *x = a, *y = b;

	if (x->door != y->door)
		return x->door < y->door ? -1 : 1;
	return memcmp(x->source.bytes, y->source.bytes, sizeof x->source.bytes);
}

void tally_each(struct tally *tally, tally_fn fn, void *userdata)
{
	size_t n;

	if (tally->n_items == 0)
		return;
	qsort(tally->items, tally->n_items, sizeof tally->items[0], tally_compare);
	for (size_t i = 0; i < tally->n_items; i += n) {
		for (n = 1; i + n < tally->n_items; n++)
			if (tally_compare(&tally->items[i], &tally->items[i + n]) != 0)
				break;
		fn(userdata, &tally->items[i], n);
	}
}
