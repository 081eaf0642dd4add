/* Clearance: which keys may open which doors, compiled from the doors' users. */
#pragma once

#include "core/door.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mac_key;
struct secret;

/* A user's key, by its base (core/key-file.h); a user may have several. Neither the name nor the
 * base is kept by those that take it. */
struct key_holder {
	const char *user;
	const struct secret *base;
};

/* A door that tokens or SPA knocks open. */
struct access_door {
	char name[DOOR_NAME_MAX + 1];
	size_t number; /* as numbered by keyed_new() */
	unsigned auth;
	enum bind_source bind_source;
	bool families[N_FAMILIES]; /* whether something opens it for them */
	uint16_t tag;		   /* spa_door() */
	struct filter filter;
};

struct access {
	struct access_door *doors;
	size_t n_doors;
	struct mac_key *bases; /* by the number of the key */
	size_t n_keys;
	uint8_t *bits; /* keys by doors */
};

/* Doors times keys. */
enum { ACCESS_PAIRS_MAX = 1 << 24 };

/* Takes what it needs of all doors that are not opened by sequences alone; numbers are the
 * positions in these arrays. `keys` is ordered by user (strcmp). 0; -ENOMEM; -E2BIG: more than
 * ACCESS_PAIRS_MAX. */
int access_init(const struct door *doors, size_t n_doors, const struct key_holder *keys,
		size_t n_keys, struct access *ret);
void access_done(struct access *access);

/* Whether knocks that name their source, or those that name none, may open the door. */
bool access_takes(const struct access_door *door, bool names_source);

/* Whether the key may open the door; both by their position here. */
bool access_holds(const struct access *access, size_t door, size_t key);
