/* What is burnt of one key, and its file. Within the layer only. */
#pragma once

#include "core/door.h"
#include "keys/burnt.h"

#include <stddef.h>
#include <stdint.h>

struct burnt_door {
	char name[BURNT_DOOR_MAX + 1];
	uint64_t step; /* of the last token; it and all before it are used */
	uint64_t ahead[BURNT_AHEAD_MAX];
	size_t n_ahead;
};

struct burnt_nonce {
	uint32_t time_s;
	uint8_t nonce[BURNT_NONCE_SIZE];
};

struct burnt_key {
	struct key_id id;
	uint64_t step_floor; /* tokens of this step and before it are used, whatever the door */
	uint64_t time_floor; /* SPA knocks of this time and before it are used */
	uint64_t damaged_s;  /* up to this time the file's damage is the reason */
	struct burnt_door *doors; /* up to BURNT_DOORS_MAX */
	size_t n_doors;
	struct burnt_nonce *nonces; /* NULL, or room for BURNT_NONCES_MAX */
	size_t n_nonces;
};

/* Frees what it owns. */
void burnt_key_done(struct burnt_key *key);

/* A new door (all zero but its name) or nonce, up to the maximum. NULL: no memory. */
struct burnt_door *burnt_key_add_door(struct burnt_key *key, const char *name);
struct burnt_nonce *burnt_key_add_nonce(struct burnt_key *key);

enum { BURNT_NAME_SIZE = 2 * KEY_ID_SIZE + 1, BURNT_TEXT_MAX = 1 << 20 };

/* The key's file name. */
void burnt_file_name(const struct key_id *id, char name[static BURNT_NAME_SIZE]);

/* The text of the file, which holds all but the id, to be freed. NULL: no memory. */
char *burnt_file_format(const struct burnt_key *key, size_t *ret_size);

/* Reads it into an empty `ret`, which keeps its id. 0; -ENOMEM; -EBADMSG: it is not what
 * burnt_file_format() writes. After an error `ret` can only be freed. */
int burnt_file_parse(const char *text, size_t size, struct burnt_key *ret);
