/* Crowds: how many grants each door has, and how many commands run for them, in one look-up. Within
 * the layer only. */
#pragma once

#include <stddef.h>

struct crowd;

enum { CROWD_BUCKETS = 1024 };

struct crowds {
	struct crowd *buckets[CROWD_BUCKETS];
};

void crowds_done(struct crowds *crowds);

size_t crowd_size(const struct crowds *crowds, const char *door);

/* One more; 0 or -ENOMEM. */
int crowd_join(struct crowds *crowds, const char *door);

/* One less, of a door that has one. */
void crowd_leave(struct crowds *crowds, const char *door);

/* How many commands run for the door, and one more or less, of a door that has a grant. */
size_t crowd_running(const struct crowds *crowds, const char *door);
void crowd_begin(struct crowds *crowds, const char *door);
void crowd_end(struct crowds *crowds, const char *door);
