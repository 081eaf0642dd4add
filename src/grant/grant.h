/* One grant's life: opened, kept, renewed, closed. Within the layer only. */
#pragma once

#include "core/address.h"
#include "core/door.h"
#include "core/user.h"
#include "core/visitor.h"
#include "firewall/firewall.h"
#include "grant/door-count.h"
#include "grant/due-queue.h"
#include "grant/grants.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct passage;
struct store;

/* Doors that cannot be closed are opened so often again, and no more. */
enum { GRANT_OPENED_MAX = 100 };

enum { GRANTS_BUCKETS = 4096 };

/* How many commands may run for one door, so that one whose commands hang leaves places to others.
 */
enum { GRANT_COMMANDS_MAX = 32 };

enum grant_state {
	WAITING, /* there was no place for the command that opens it; it is due for that */
	OPENING, /* the command that opens it runs */
	OPEN,
	RENEWING, /* the command that tells the kernel of its deadline runs */
	UNTOLD,	  /* the kernel has to be told of its deadline; it is due for that */
	CLOSING,  /* the command that closes it runs */
	UNCLOSED, /* closing has failed; it is due again */
};

/* Why the kernel is told of the deadline of an open grant, and so what becomes of it as news. */
enum retelling {
	RETOLD_RENEWED,	 /* somebody has knocked again */
	RETOLD_ADOPTED,	 /* a predecessor has opened it */
	RETOLD_RESTORED, /* the firewall has lost it */
	RETOLD_ANYHOW,	 /* no news, if all is well: the kernel may have another deadline */
};

struct grant {
	struct due due; /* first, so that the queue's items are grants */
	struct grants *grants;
	struct grant *next; /* in its bucket */
	enum grant_state state;
	char door[DOOR_NAME_MAX + 1];
	struct address source;
	const char *way;	      /* the last caller's, as in struct visitor */
	char user[USER_NAME_MAX + 1]; /* the last caller's; "": nobody's */
	uint32_t seconds;	      /* that it was asked to stay open */
	struct passage *passage;
	uint64_t deadline_us;
	uint64_t asked_us;	/* the deadline that the kernel was asked to keep last */
	uint64_t kept_us;	/* the deadline that the kernel is known to keep */
	unsigned failures;	/* to close it */
	uint64_t n_opened;	/* how often it was opened since it was last known to be closed */
	struct passage *wanted; /* what a knock while it was being closed wants open; or NULL */
	bool runs;		/* a command of its door */
	bool unannounced;	/* nobody was told that it opened */
	bool undone;		/* what a failed command may have left is taken back, once */
	enum retelling retelling;
	bool adopted;	      /* from a predecessor, and nobody was told yet */
	bool missing;	      /* the firewall does not have it, and that was told */
	uint64_t told_us;     /* when the kernel was told of it last */
	uint64_t surveyed_us; /* when the firewall was asked for it last */
	bool surveying;	      /* and has not answered yet */
	uint64_t resumed_us;  /* closed by grants_suspend(): the deadline to go on record; 0: it is
			       * not
			       */
};

struct grants {
	struct firewall *firewall;
	struct store *store;
	grant_news_fn news;
	void *userdata;
	uint32_t max_open;
	grants_find_fn find; /* the doors, for inherited grants; NULL: a sweep */
	void *find_userdata;
	uint64_t reread_us; /* when records are read that could not be before; UINT64_MAX: none */
	uint64_t survey_us; /* when the firewall is asked next; UINT64_MAX: there is nothing to ask
			     */
	uint64_t survey_rest_us; /* not before this */
	uint64_t survey_cost;	 /* of the last survey, and of late answers to it */
	size_t n_grants;
	size_t n_unread; /* records that could not be read */
	struct due_queue queue;
	struct door_counts door_counts;
	struct grant *buckets[GRANTS_BUCKETS];
};

/* Goes through all of them, none of which may come or go meanwhile. */
#define FOR_EACH_GRANT(grants, grant)                                                              \
	for (size_t bucket_ = 0; bucket_ < GRANTS_BUCKETS; bucket_++)                              \
		for (struct grant *grant = (grants)->buckets[bucket_]; grant; grant = grant->next)

/* The grants of a source, and perhaps others. */
struct grant **grants_bucket(struct grants *grants, const struct address *source);

/* Who opened it. Good as long as the grant. */
struct visitor grant_visitor(const struct grant *grant);

/* It is this caller's from now on. */
void grant_take_visitor(struct grant *grant, const struct visitor *visitor);

/* What the door opens for the visitor. As passage_new(). */
int grant_passage_new(const struct door *door, const struct visitor *visitor, struct passage **ret);

/* Takes the grant out of the world, its record included or not. */
void grant_forget(struct grant *grant);
void grant_forget_but_record(struct grant *grant);

/* Begins: on record first, then in the firewall. The grant may be gone when this returns, as with
 * all of these. */
void grant_start(struct grant *grant, uint64_t now_us);

/* A predecessor has opened it. Unless it is overdue, the survey tells whether it still is. */
void grant_adopt(struct grant *grant, uint64_t now_us);

/* Whether the firewall should have it now, and for more than a moment. */
bool grant_should_show(const struct grant *grant, uint64_t now_us);

/* The firewall has been asked at `asked_us`, and this is its answer. */
void grant_found(struct grant *grant, enum firewall_answer answer, uint64_t left_us,
		 uint64_t asked_us, uint64_t now_us);

/* Another knock: of an open one, which moves the deadline, or of one that is being closed, after
 * which it is opened again as the door is now. */
void grant_knock(struct grant *grant, const struct door *door, const struct visitor *visitor,
		 uint64_t now_us);

/* Its deadline is now; grants_run() closes it. */
void grant_end(struct grant *grant, uint64_t now_us);

/* The same for a clean stop: what is still due is left on record. */
void grant_suspend(struct grant *grant, uint64_t now_us);

/* Opens again what grant_suspend() had closed. */
void grant_resume(struct grant *grant, uint64_t now_us);

/* Whether it is open by all that is known. */
bool grant_is_open(const struct grant *grant);

/* What is due is done. */
void grant_run(struct grant *grant, uint64_t now_us);

/* A command has ended: firewall_done_fn, the owner being the grant. */
void grant_done(void *owner, int error, const char *problem, uint64_t now_us);
