/* The ledger: the last word of each host on each subject, and so which messages count.
 *
 * MUST: what is older than a host's last word counts for nothing, and no word to open counts that
 * somebody has shut the door after. MUST: what closes a door is remembered for as long as any older
 * word that was heard could open it. MUST: no host can take all the room, and what closes a door
 * and what this host itself says have room of their own. Times are microseconds of the wall clock.
 */
#pragma once

#include "fleet/message.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How far clocks may be off: what is later than that is not believed. */
#define LEDGER_SKEW_US UINT64_C(60000000)

/* How many subjects there is room for: of this host itself, and of others a door that was opened,
 * one that was shut, a knock that was used, and a door that a host shares. One of the others may
 * have a quarter of each. */
enum {
	LEDGER_OWN_MAX = 65536,
	LEDGER_OPEN_MAX = 65536,
	LEDGER_SHUT_MAX = 16384,
	LEDGER_BURNT_MAX = 16384,
	LEDGER_STATUS_MAX = 32768,
	LEDGER_MAX = LEDGER_OWN_MAX + LEDGER_OPEN_MAX + LEDGER_SHUT_MAX + LEDGER_BURNT_MAX +
		     LEDGER_STATUS_MAX,
	LEDGER_OF_ONE = 4,
};

/* What becomes of a message. */
enum fleet_verdict {
	FLEET_ACCEPTED,
	FLEET_REPEATED,	 /* we have it; the broker may send each again */
	FLEET_FORGED,	 /* its seal is not the fleet's, or not for this topic */
	FLEET_VERSION,	 /* it is of a version that we do not know */
	FLEET_MALFORMED, /* sealed, and not a message */
	FLEET_STALE,	 /* its time is over */
	FLEET_FUTURE,	 /* its host's clock is ahead of ours, or ours is wrong */
	FLEET_OLD,	 /* the host has said something else since */
	FLEET_VOID,	 /* the door was shut since */
	FLEET_UNSHARED,	 /* we do not share this door */
	FLEET_FULL,	 /* there is no room for it */
	N_FLEET_VERDICTS
};

/* In one word. */
const char *fleet_verdict_name(enum fleet_verdict verdict);

struct ledger_host;

struct ledger_entry {
	struct fleet_message message; /* the last word */
	uint64_t heard_us;	      /* when it was first heard */
	uint64_t forget_us; /* until when any word on it that was heard might be believed */
	bool is_void;	    /* to open, and the door was shut since */
	/* The agent's: it is to be carried out, and in the queue for that, or a call is under way.
	 */
	bool is_due, is_queued, is_asked;
	bool is_shorter;     /* it ends earlier than what the host had said before */
	bool was_kept;	     /* by the broker: it may have been said long before it was heard */
	uint64_t generation; /* of the holds that it was last among */
	struct ledger_entry *next, *next_due, *previous_due;
	unsigned errand; /* of which queue */
	struct ledger_host *host;
	unsigned room;
};

struct ledger;

/* Of the host of this name. 0 or -ENOMEM. */
int ledger_new(const char *host, struct ledger **ret);
struct ledger *ledger_free(struct ledger *ledger);

/* Judges a message whose seal was good, and notes it if it counts: then *ret_entry is the subject's
 * (with ACCEPTED and REPEATED), and *ret_old_until_us how long the one before it, if that was to
 * open, would have lasted; else 0. */
enum fleet_verdict ledger_take(struct ledger *ledger, const struct fleet_message *message,
			       uint64_t now_us, struct ledger_entry **ret_entry,
			       uint64_t *ret_old_until_us);

/* Notes a word of our own, and gives it its stamp: at least the one that it has (0: now), but later
 * than what it takes the place of, and if it is to shut, not earlier than what it shuts. The clock
 * may have been set since. Returns ACCEPTED; VOID: the door was shut since this was so; STALE or
 * FULL. */
enum fleet_verdict ledger_say(struct ledger *ledger, struct fleet_message *message, uint64_t now_us,
			      struct ledger_entry **ret_entry);

/* Notes what was saved of an entry, as it is, unless there is a later word. NULL: no room. */
struct ledger_entry *ledger_restore(struct ledger *ledger, const struct ledger_entry *saved);

/* The last word on the subject of this message, whoever shall look for it; NULL: there is none. */
struct ledger_entry *ledger_find(const struct ledger *ledger, const struct fleet_message *subject);

/* Until when any word that was heard might have the door open for the source; 0: none was. */
uint64_t ledger_latest_us(const struct ledger *ledger, const char *door,
			  const struct address *source);

/* Goes through all of them, none of which may come or go meanwhile. */
typedef void (*ledger_entry_fn)(void *userdata, struct ledger_entry *entry);
void ledger_each(const struct ledger *ledger, ledger_entry_fn fn, void *userdata);
size_t ledger_count(const struct ledger *ledger);

/* How many hosts they are of. */
size_t ledger_count_hosts(const struct ledger *ledger);

/* Forgets what is over and not due. */
void ledger_sweep(struct ledger *ledger, uint64_t now_us);
