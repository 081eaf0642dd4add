/* The keyring: the users' keys, read from the files USER.key of one directory.
 *
 * MUST: refuse a key that others than its owner and the directory's group may read, that others
 * than its owner may write, and a file with anything in it but a user's key, perhaps the one
 * before, and their times. No complaint shows a byte of it. */
#pragma once

#include "core/key-file.h"
#include "core/keyed/access.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { KEYRING_MAX = 1 << 16 };

struct stat;

struct keyring {
	struct key_holder *holders; /* ordered by user; of two keys, the one before is the second */
	struct key_id *ids;	    /* by the same position, as the next */
	struct key_term *terms;
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

/* The position of the user's key, which the one before may follow; or SIZE_MAX. */
size_t keyring_find(const struct keyring *keyring, const char *user);

/* Whether this is the one before of its user. */
bool keyring_is_before(const struct keyring *keyring, size_t i);

/* How long before a key expires that is worth a warning, and what is to be said of its time now;
 * NULL: nothing, as of any that is the one before. */
enum { KEY_WARNING_S = 14 * 24 * 3600, KEY_WARNING_SIZE = 160 };
const char *keyring_warning(const struct keyring *keyring, size_t i, uint64_t now_s,
			    char text[static KEY_WARNING_SIZE]);

/* Whether others than those of the directory may have read or written a key file: NULL, or what is
 * wrong with it. */
const char *keyring_file_fault(const struct stat *file, const struct stat *directory);

/* Reads what is in a key file, as key_file_parse() does. Another negative errno: it cannot be read,
 * and there is no fault.
 */
int keyring_read_file(int fd, struct key_file *ret, const char **ret_fault);
