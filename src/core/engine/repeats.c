#include "core/engine/repeats.h"

#include <stddef.h>

const struct repeater *repeats_find(const struct repeats *repeats, uint32_t owner)
{
	const struct repeater *row = repeats->rows[owner % REPEATS_ROWS];

	for (size_t i = 0; i < REPEATS_PER_ROW; i++)
		if (row[i].n > 0 && row[i].owner == owner)
			return &row[i];
	return NULL;
}

bool repeats_have(const struct repeats *repeats, uint32_t owner, uint32_t tag)
{
	const struct repeater *repeater = repeats_find(repeats, owner);
	bool have = false;

	for (uint32_t i = 0; repeater && i < repeater->n && i < REPEATS_PER_SOURCE; i++)
		have = have || repeater->tags[i] == tag;
	return have;
}

/* The tracker's place, first in its row from now on, with what it had. */
static struct repeater *repeats_take(struct repeats *repeats, uint32_t owner)
{
	struct repeater *row = repeats->rows[owner % REPEATS_ROWS], taken;
	const struct repeater *found = repeats_find(repeats, owner);
	size_t i = found ? (size_t)(found - row) : REPEATS_PER_ROW - 1;

	taken = found ? *found : (struct repeater){.owner = owner};
	for (; i > 0; i--)
		row[i] = row[i - 1];
	row[0] = taken;
	return &row[0];
}

void repeats_add(struct repeats *repeats, uint32_t owner, bool is_first, uint32_t tag)
{
	struct repeater *repeater = repeats_take(repeats, owner);

	if (is_first)
		repeater->n = 0;
	repeater->tags[repeater->n % REPEATS_PER_SOURCE] = tag;
	/* Beyond the ring it only counts round. */
	if (++repeater->n == 2 * REPEATS_PER_SOURCE)
		repeater->n = REPEATS_PER_SOURCE;
}

void repeats_copy(struct repeats *repeats, uint32_t owner, const struct repeater *from)
{
	struct repeater *repeater = repeats_take(repeats, owner);

	*repeater = *from;
	repeater->owner = owner;
}
