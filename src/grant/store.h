/* Saved grants: one small state file each, for the daemon's successor and for people.
 *
 * Files are replaced by rename, so that a reader sees an old one or a new one. They are not synced
 * to disk: they live as long as the firewall state that they speak of, which is until the next
 * boot. */
#pragma once

#include "core/address.h"
#include "core/door.h"
#include "grant/holders.h"

#include <stdint.h>

struct passage;
struct store;

enum stored_state {
	STORED_OPENING, /* nobody knows how far it has come */
	STORED_OPEN,
	STORED_CLOSED, /* by a clean stop, for the next daemon to open again */
	N_STORED_STATES,
	STORED_DAMAGED = N_STORED_STATES, /* only the door and the source are known */
};

struct stored_grant {
	char door[DOOR_NAME_MAX + 1];
	struct address source;
	char user[VISITOR_NAME_MAX + 1]; /* "": nobody's key has opened it */
	uint32_t seconds;     /* that it was asked to stay open; 0: as long as the door says */
	uint64_t deadline_us; /* CLOCK_BOOTTIME; 0: of an earlier boot */
	enum stored_state state;
	uint64_t n_opened;	 /* how often it was opened without having been closed */
	struct holders holders;	 /* none: the user alone, with any key, until the deadline; the
				    reader's to free */
	struct passage *passage; /* the reader's to free */
};

/* Uses the directory, which it makes if need be. 0; -EBUSY: somebody else uses it; another negative
 * errno. */
int store_new(const char *directory, const char *boot_id, struct store **ret);
struct store *store_free(struct store *store);

/* Frees what it owns. */
void stored_grant_done(struct stored_grant *stored);

/* Writes or replaces the state file of (door, source). 0 or a negative errno: the old one stays. */
int store_write(struct store *store, const struct stored_grant *stored);
int store_remove(struct store *store, const char *door, const struct address *source);

/* Reads all state files. `stored` is NULL for a file that is not one or cannot be read: with
 * -EINVAL, not even its name is that of a state file, and it has been removed; with another error
 * it is still there. A damaged file whose name is right is STORED_DAMAGED, and still there. 0, or a
 * negative errno: the directory cannot be read. */
typedef void (*store_found_fn)(void *userdata, const char *name, struct stored_grant *stored,
			       int error);
int store_read(struct store *store, store_found_fn found, void *userdata);
