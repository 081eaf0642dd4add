#include "grant/door-count.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/door.h"

struct crowd {
	struct crowd *next;
	size_t n, n_running;
	char door[DOOR_NAME_MAX + 1];
};

void crowds_done(struct crowds *crowds)
{
	for (size_t i = 0; i < CROWD_BUCKETS; i++) {
		while (crowds->buckets[i]) {
			struct crowd *crowd = crowds->buckets[i];

			crowds->buckets[i] = crowd->next;
			free(crowd);
		}
	}
}

/* The link to the door's crowd, or to nothing. The names are the configuration's: FNV-1a will do.
 */
static struct crowd **find(const struct crowds *crowds, const char *door)
{
	uint32_t hash = 2166136261u;
	struct crowd **link;

	for (const char *c = door; *c; c++)
		hash = (hash ^ (unsigned char)*c) * 16777619u;
	link = (struct crowd **)&crowds->buckets[hash % CROWD_BUCKETS];
	while (*link && strcmp((*link)->door, door) != 0)
		link = &(*link)->next;
	return link;
}

size_t crowd_size(const struct crowds *crowds, const char *door)
{
	const struct crowd *crowd = *find(crowds, door);

	return crowd ? crowd->n : 0;
}

int crowd_join(struct crowds *crowds, const char *door)
{
	struct crowd **link = find(crowds, door);

	if (!*link) {
		*link = calloc(1, sizeof **link);
		if (!*link)
			return -ENOMEM;
		memcpy((*link)->door, door, strlen(door) + 1);
	}
	(*link)->n++;
	return 0;
}

void crowd_leave(struct crowds *crowds, const char *door)
{
	struct crowd **link = find(crowds, door), *crowd = *link;

	assert(crowd);
	if (--crowd->n == 0) {
		*link = crowd->next;
		free(crowd);
	}
}

size_t crowd_running(const struct crowds *crowds, const char *door)
{
	const struct crowd *crowd = *find(crowds, door);

	return crowd ? crowd->n_running : 0;
}

void crowd_begin(struct crowds *crowds, const char *door)
{
	(*find(crowds, door))->n_running++;
}

void crowd_end(struct crowds *crowds, const char *door)
{
	(*find(crowds, door))->n_running--;
}
