/* Packets that came again from another socket: by what each is known when it is sent again.
 *
 * Few sources try each port twice at a time, so that what is remembered of them costs the others
 * nothing. MUST: have a fixed size; what gives way is who repeated something longest ago. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* The last repeats of a source: two sockets at each of 8 steps. */
enum { REPEATS_PER_SOURCE = 8 };

/* Sources are looked up among few, by their number. */
enum { REPEATS_ROWS = 16, REPEATS_PER_ROW = 4 };

struct repeater {
	uint32_t owner; /* the number of its tracker */
	uint32_t n;	/* repeats ever; 0: the place is free */
	uint32_t tags[REPEATS_PER_SOURCE];
};

struct repeats {
	struct repeater rows[REPEATS_ROWS][REPEATS_PER_ROW]; /* in each the latest first */
};

/* Remembers a repeat of this tracker, over its oldest; `is_first`: the tracker has none yet. */
void repeats_add(struct repeats *repeats, uint32_t owner, bool is_first, uint32_t tag);

/* Whether it is one of them. */
bool repeats_have(const struct repeats *repeats, uint32_t owner, uint32_t tag);

/* What is remembered of the tracker; NULL: nothing. */
const struct repeater *repeats_find(const struct repeats *repeats, uint32_t owner);

/* Gives a tracker what another one, perhaps of another table, has. */
void repeats_copy(struct repeats *repeats, uint32_t owner, const struct repeater *from);
