/* What `watch` knows: the last probes, who is how far, which doors are open. All of it is bounded;
 * the oldest gives way. */
#pragma once

#include "core/address.h"
#include "core/door.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WATCH_PROBES = 256, WATCH_KNOCKS = 32, WATCH_DOORS = 256, WATCH_USER_MAX = 33 };

struct watch_probe {
	uint64_t realtime_us;
	struct address source;
	uint16_t port;
	uint8_t protocol;
	char door[DOOR_NAME_MAX + 1]; /* that it is a step to; "": none */
	unsigned n_steps, n_needed;
};

/* How far a source is with a door. */
struct watch_knock {
	uint64_t at_us; /* wall clock: its last step; 0: the place is free */
	struct address source;
	char door[DOOR_NAME_MAX + 1];
	unsigned n_steps, n_needed;
};

struct watch_door {
	char door[DOOR_NAME_MAX + 1];
	char source[ADDRESS_TEXT_MAX];
	char user[WATCH_USER_MAX];
	uint64_t opened_us; /* when we heard of it, or of its last renewal */
	uint64_t deadline_us;
};

struct watch_model {
	struct watch_probe probes[WATCH_PROBES]; /* a ring */
	uint64_t n_probes;			 /* ever */
	struct watch_knock knocks[WATCH_KNOCKS];
	struct watch_door doors[WATCH_DOORS];
	size_t n_doors, n_doors_left_out;
	bool daemon; /* it answers */
};

void watch_add_probe(struct watch_model *model, const struct watch_probe *probe);

/* The i-th probe back from the newest (0); NULL: there is none. */
const struct watch_probe *watch_probe_at(const struct watch_model *model, size_t i);

/* Forgets knocks whose last step is older than that. */
void watch_expire(struct watch_model *model, uint64_t before_us);

/* Adds an open door or gives it another deadline; takes one out; takes all out. */
void watch_open(struct watch_model *model, const struct watch_door *door);
void watch_close(struct watch_model *model, const char *door, const char *source);
void watch_close_all(struct watch_model *model);
