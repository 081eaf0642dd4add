/* The table of all grants: each found by its door and source, and by when it is due. Within the
 * layer only. */
#pragma once

#include "core/address.h"
#include "core/door.h"
#include "core/event.h"
#include "core/visitor.h"
#include "grant/door-count.h"
#include "grant/due-queue.h"
#include "grant/grants.h"
#include "grant/holders.h"
#include "grant/strays.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct passage;
struct store;

enum { GRANTS_BUCKETS = 4096 };

enum grant_state {
	GRANT_PENDING_OPEN, /* there was no room for the command that opens it; due for that */
	GRANT_OPENING,	    /* the command that opens it runs */
	GRANT_OPEN,
	GRANT_RENEWING,	     /* the command that gives the kernel its deadline runs */
	GRANT_PENDING_RENEW, /* the kernel must be given its deadline; due for that */
	GRANT_CLOSING,	     /* the command that closes it runs */
	GRANT_PENDING_CLOSE, /* closing has failed; due again */
};

/* Why the kernel is given the deadline of an open grant, and so which event follows. */
enum grant_why {
	GRANT_WHY_RENEWED,  /* somebody has knocked again */
	GRANT_WHY_ADOPTED,  /* a predecessor has opened it */
	GRANT_WHY_RESTORED, /* the firewall has lost it */
	GRANT_WHY_RESYNC,   /* the kernel may have another deadline; no event if all is well */
};

struct grant {
	struct due due; /* first, so that the queue's items are grants */
	struct grants *grants;
	struct grant *next; /* in its bucket */
	enum grant_state state;
	char door[DOOR_NAME_MAX + 1];
	struct address source;
	enum knock_kind knock;		 /* the last visitor's */
	char user[VISITOR_NAME_MAX + 1]; /* the last visitor's; "": nobody's */
	uint32_t seconds;		 /* that it was asked to stay open */
	struct hand hand;		 /* the last visitor's */
	struct hand closed_by;		 /* since somebody has closed it by hand */
	struct holders holders;
	struct passage *passage;
	bool kernel_keeps; /* the kernel itself ends the passage at the deadline it was given */
	uint64_t deadline_us;
	uint64_t asked_us;	/* the deadline that the kernel was asked to keep last */
	uint64_t kept_us;	/* the deadline that the kernel is known to keep */
	unsigned failures;	/* to close it */
	uint64_t n_opened;	/* how often it was opened since it was last known to be closed */
	struct passage *wanted; /* what a knock while it was being closed wants open; or NULL */
	bool runs;		/* a command of its door */
	bool unannounced;	/* that it opened was not reported */
	bool undone;		/* what a failed command may have left is taken back, once */
	enum grant_why why;
	bool adopted;	     /* from a predecessor, which was not reported yet */
	bool missing;	     /* the firewall does not have it, which was reported */
	uint64_t kept_at_us; /* when the kernel took a deadline last */
	uint64_t listed_us;  /* when the firewall was last asked to list it */
	bool being_listed;   /* and has not answered yet */
	uint64_t resumed_us; /* closed by grants_suspend(): the deadline to save; 0: it is not */
};

struct grants {
	struct firewall *firewall;
	struct store *store;
	event_fn on_event;
	void *userdata;
	uint32_t max_open, max_open_user;
	grants_find_fn find; /* the doors, for inherited grants; NULL: a sweep */
	void *find_userdata;
	uint64_t reread_us;	    /* when to retry state files; UINT64_MAX: never */
	uint64_t reconcile_us;	    /* when to reconcile next; UINT64_MAX: never */
	uint64_t reconcile_rest_us; /* not before this */
	uint64_t reconcile_cost;    /* of the last time, and of late answers to it */
	size_t n_grants;
	size_t n_unread; /* state files that could not be read */
	struct due_queue queue;
	struct door_counts door_counts;
	struct strays strays;
	struct grant *buckets[GRANTS_BUCKETS];
};

/* Goes through all of them, none of which may come or go meanwhile. */
#define FOR_EACH_GRANT(grants, grant)                                                              \
	for (size_t bucket_ = 0; bucket_ < GRANTS_BUCKETS; bucket_++)                              \
		for (struct grant *grant = (grants)->buckets[bucket_]; grant; grant = grant->next)

/* The first of the grants of a source, and perhaps others. */
struct grant *grants_first_of(const struct grants *grants, const struct address *source);

/* The one of this door for this source, or NULL. */
struct grant *grants_find(const struct grants *grants, const char *door,
			  const struct address *source);

/* Adds a grant in state GRANT_OPENING, held by the visitor alone, and takes the passage. 0;
 * -ENOMEM: nothing is taken. */
int grant_new(struct grants *grants, const char *door, const struct visitor *visitor,
	      struct passage *passage, uint64_t deadline_us, struct grant **ret);

/* Takes it out of the table, which need not be consistent any more. */
void grant_free(struct grant *grant);

/* Removes the grant, with or without its state file. */
void grant_forget(struct grant *grant);
void grant_forget_but_file(struct grant *grant);

/* Who has knocked for it last. Valid as long as the grant. */
struct visitor grant_visitor(const struct grant *grant);

/* The last visitor is this one. */
void grant_set_visitor(struct grant *grant, const struct visitor *visitor);

/* It opens and closes this from now on; frees what it did before. */
void grant_set_passage(struct grant *grant, struct passage *passage);

/* What the door opens for the visitor. As passage_new(). */
int door_passage_new(const struct door *door, const struct visitor *visitor, struct passage **ret);

/* Whether the door (NULL: it is gone) is for this user, or nobody's key (""). */
bool door_is_for(const struct door *door, const char *user);

/* Whether the door (NULL: it is gone) would still open this for the visitor. */
bool door_still_opens(const struct door *door, const struct visitor *visitor,
		      const struct passage *passage);

/* How soon after it was opened, and how often, the firewall is listed if there is little to list;
 * the more there is, the more seldom. */
#define RECONCILE_US UINT64_C(500000)

/* Makes sure that the next reconciliation is not later than this, unless the last one was too much
 * work for that. */
void grants_reconcile_by(struct grants *grants, uint64_t at_us);
