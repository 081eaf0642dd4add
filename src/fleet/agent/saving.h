/* When what was closed is saved: at once, and what comes within 100 ms of that after them, however
 * much more comes. */
#pragma once

#include <systemd/sd-event.h>

struct ledger;
struct saving;

/* The directory's name and the ledger must outlive it. 0 or a negative errno. */
int saving_new(sd_event *event, const char *directory, const struct ledger *ledger,
	       struct saving **ret);

/* Saves at once. */
struct saving *saving_free(struct saving *saving);

void saving_soon(struct saving *saving);
