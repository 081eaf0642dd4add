/* The keyring: the users' keys, read from the files USER.key of one directory.
 *
 * MUST: refuse a key that others than its owner and the directory's group may read, that others
 * than its owner may write, and a file with anything in it but one key. No complaint shows a byte
 * of it. */
#pragma once

#include "core/key-line.h"
#include "core/keyed/access.h"

#include <stddef.h>
#include <stdint.h>

enum { KEY_ID_SIZE = 16, KEYRING_MAX = 1 << 16 };

/* What a key is called where it must not be seen: two keys have one by accident only, and a key
 * does not follow from it. */
struct key_id {
	uint8_t bytes[KEY_ID_SIZE];
};

struct keyring {
	struct key_holder *holders; /* ordered by user */
	struct key_id *ids;	    /* by the same position */
	size_t n;
	struct secret *bases; /* where they are kept */
};

/* Told of what is wrong: with the file of this name, or (NULL) with the directory. */
typedef void (*keyring_complain_fn)(void *userdata, const char *file, const char *text);

/* Reads all keys of the realm (NULL: the machine's own). Those that are refused are left out, each
 * with a complaint (to NULL: none); so is a whole directory that cannot be read or that others may
 * write to. sodium_init() must have been called. 0 or -ENOMEM. */
int keyring_load(const char *directory, const char *realm, keyring_complain_fn complain,
		 void *userdata, struct keyring **ret);

/* An empty one. 0 or -ENOMEM. */
int keyring_new(struct keyring **ret);

/* Wipes them. Returns NULL. */
struct keyring *keyring_free(struct keyring *keyring);

/* The user's position, or SIZE_MAX. */
size_t keyring_find(const struct keyring *keyring, const char *user);

/* Reads what is in a key file, as key_line_parse() does. Another negative errno: it cannot be read.
 */
int keyring_read_file(int fd, char ret_realm[static REALM_MAX + 1], struct secret *ret_base);
