#include "grant/door-count.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/door.h"
#include "core/hash.h"

struct door_count {
	struct door_count *next;
	size_t n, n_running;
	char door[DOOR_NAME_MAX + 1];
};

void door_counts_done(struct door_counts *door_counts)
{
	for (size_t i = 0; i < DOOR_COUNT_BUCKETS; i++) {
		while (door_counts->buckets[i]) {
			struct door_count *count = door_counts->buckets[i];

			door_counts->buckets[i] = count->next;
			free(count);
		}
	}
}

/* The link to the door's count, or to NULL. The names are the configuration's: a hash
 * without a key will do. */
static struct door_count **door_count_find(const struct door_counts *door_counts, const char *door)
{
	uint64_t hash = hash_text(HASH_START, door);
	struct door_count **link;

	link = (struct door_count **)&door_counts->buckets[hash % DOOR_COUNT_BUCKETS];
	while (*link && strcmp((*link)->door, door) != 0)
		link = &(*link)->next;
	return link;
}

size_t door_count_size(const struct door_counts *door_counts, const char *door)
{
	const struct door_count *count = *door_count_find(door_counts, door);

	return count ? count->n : 0;
}

int door_count_join(struct door_counts *door_counts, const char *door)
{
	struct door_count **link = door_count_find(door_counts, door);

	if (!*link) {
		*link = calloc(1, sizeof **link);
		if (!*link)
			return -ENOMEM;
		memcpy((*link)->door, door, strlen(door) + 1);
	}
	(*link)->n++;
	return 0;
}

void door_count_leave(struct door_counts *door_counts, const char *door)
{
	struct door_count **link = door_count_find(door_counts, door), *count = *link;

	assert(count);
	if (--count->n == 0) {
		*link = count->next;
		free(count);
	}
}

size_t door_count_running(const struct door_counts *door_counts, const char *door)
{
	const struct door_count *count = *door_count_find(door_counts, door);

	return count ? count->n_running : 0;
}

void door_count_add_command(struct door_counts *door_counts, const char *door)
{
	(*door_count_find(door_counts, door))->n_running++;
}

void door_count_remove_command(struct door_counts *door_counts, const char *door)
{
	(*door_count_find(door_counts, door))->n_running--;
}
