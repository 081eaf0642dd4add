/* One grant's life: opened, kept, renewed, closed. Within the layer only. */
#pragma once

#include "core/address.h"
#include "core/door.h"
#include "grant/grant.h"
#include "grant/queue.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rule;
struct store;

/* Doors that cannot be closed are opened so often again, and no more. */
enum { GRANT_OPENED_MAX = 100 };

enum { GRANTS_BUCKETS = 4096 };

enum grant_state {
	OPENING, /* the command that opens it runs */
	OPEN,
	RENEWING, /* the command that tells the kernel of its deadline runs */
	UNTOLD,	  /* the kernel has to be told of its deadline; it is due for that */
	CLOSING,  /* the command that closes it runs */
	UNCLOSED, /* closing has failed; it is due again */
};

struct grant {
	struct due due; /* first, so that the queue's items are grants */
	struct grants *grants;
	struct grant *next; /* in its bucket */
	enum grant_state state;
	char door[DOOR_NAME_MAX + 1];
	struct address source;
	struct rule *rule;
	uint64_t deadline_us;
	uint64_t asked_us;   /* the deadline that the kernel was asked to keep last */
	uint64_t kept_us;    /* the deadline that the kernel is known to keep */
	unsigned failures;   /* to close it */
	uint64_t n_opened;   /* how often it was opened since it was last known to be closed */
	struct rule *wanted; /* what a knock while it was being closed wants open; or NULL */
	bool unannounced;    /* nobody was told that it opened */
	bool undone;	     /* what a failed command may have left is taken back, once */
	bool adopting;	     /* a predecessor has opened it, and the kernel is told once more */
};

struct grants {
	struct firewall *firewall;
	struct store *store;
	grant_news_fn news;
	void *userdata;
	uint32_t max_open;
	size_t n_grants;
	struct queue queue;
	struct grant *buckets[GRANTS_BUCKETS];
};

/* The grants of a source, and perhaps others. */
struct grant **grants_bucket(struct grants *grants, const struct address *source);

/* Takes the grant, its record included, out of the world. */
void grant_forget(struct grant *grant);

/* Begins: on record first, then in the firewall. The grant may be gone when this returns, as with
 * all of these. */
void grant_start(struct grant *grant, uint64_t now_us);

/* A predecessor has opened it. */
void grant_adopt(struct grant *grant, uint64_t now_us);

/* Another knock: of an open one, which moves the deadline, or of one that is being closed, after
 * which it is opened again as the door is now. */
void grant_knock(struct grant *grant, const struct door *door, uint64_t now_us);

/* Its deadline is now; grants_run() closes it. */
void grant_end(struct grant *grant, uint64_t now_us);

/* What is due is done. */
void grant_run(struct grant *grant, uint64_t now_us);

/* A command has ended: firewall_done_fn, the owner being the grant. */
void grant_done(void *owner, int error, const char *problem, uint64_t now_us);
