/* How many grants each door has, and how many commands run for them. Within the layer only. */
#pragma once

#include <stddef.h>

struct door_count;

enum { DOOR_COUNT_BUCKETS = 1024 };

struct door_counts {
	struct door_count *buckets[DOOR_COUNT_BUCKETS];
};

void door_counts_done(struct door_counts *door_counts);

size_t door_count_size(const struct door_counts *door_counts, const char *door);

/* One more; 0 or -ENOMEM. */
int door_count_join(struct door_counts *door_counts, const char *door);

/* One less, of a door that has one. */
void door_count_leave(struct door_counts *door_counts, const char *door);

/* How many commands run for the door, and one more or less, of a door that has a grant. */
size_t door_count_running(const struct door_counts *door_counts, const char *door);
void door_count_add_command(struct door_counts *door_counts, const char *door);
void door_count_remove_command(struct door_counts *door_counts, const char *door);
