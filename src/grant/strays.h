/* Strays (firewall/strays.h) that wait for their turn to be closed. Within the layer only. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct grants;
struct passage;

struct stray {
	char *door; /* one of those that have the set */
	struct passage *passage;
};

/* All zero at first. */
struct strays {
	struct stray *list;
	size_t n;
};

void strays_done(struct strays *strays);

/* Closes as many as the budget allows, each of which takes one from it. */
void strays_run(struct grants *grants, int *budget, uint64_t now_us);
