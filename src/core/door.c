#include "core/door.h"

#include <stdlib.h>

#include "core/command.h"

void door_done(struct door *door)
{
	free(door->allow);
	free(door->one_time_sequences);
	free(door->source);
	free(door->entry);
	free(door->chain);
	for (enum family family = 0; family < N_FAMILIES; family++) {
		free(door->set[family]);
		command_free(door->start_command[family]);
		command_free(door->stop_command[family]);
	}
	*door = (struct door){0};
}

bool door_allows(const struct door *door, const struct address *source)
{
	if (door->n_allow == 0)
		return true;
	for (size_t i = 0; i < door->n_allow; i++)
		if (network_contains(&door->allow[i], source))
			return true;
	return false;
}
