/* Grants: doors that stand open, each for one source, until a deadline.
 *
 * MUST: a grant is saved before the firewall changes and until it has changed back; it ends at its
 * deadline whatever else happens; there is one for a (door, source), and another knock moves
 * its deadline. Times are microseconds of CLOCK_BOOTTIME: neither a step of the wall clock nor a
 * suspend disturbs them. */
#pragma once

#include "core/address.h"
#include "core/event.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct visitor;
struct door;
struct firewall;
struct grants;
struct key_id;

struct grants_options {
	const char *directory; /* of the state files; created if need be */
	const char *boot_id;   /* a state file of another boot is overdue, whatever it says */
	event_fn on_event;
	void *userdata;
};

/* Copies what it needs. 0; -EBUSY: somebody else uses the directory; another negative errno. */
int grants_new(const struct grants_options *options, struct grants **ret);

/* Closes nothing: what is open stays open, and saved. */
struct grants *grants_free(struct grants *grants);

/* How many may be open at the same time, over all doors, and how many of one user's; those that are
 * stay. */
void grants_limit(struct grants *grants, uint32_t max_open, uint32_t max_open_user);

/* How many there are in any state, and state files that could not be read. */
size_t grants_count(const struct grants *grants);

/* The firewall that they change, to check doors with. */
struct firewall *grants_firewall(struct grants *grants);

/* Opens the door for the visitor's source, or moves the deadline, but never to an earlier time. The
 * outcome is reported by the callback, before or after this returns. False: it was refused at once.
 * Visitors of other hosts leave a quarter of what may be open (one of two or three) to those who
 * knock here. */
bool grants_open(struct grants *grants, const struct door *door, const struct visitor *visitor,
		 uint64_t now_us);

/* Closes the door for the source, or for all of them (`source` is NULL), as somebody has asked for
 * by hand. Returns for how many it was open. */
size_t grants_close(struct grants *grants, const char *door, const struct address *source,
		    const struct hand *hand, uint64_t now_us);

/* Those who have knocked by `until_us` of the wall clock, at this host of the fleet (NULL:
 * anywhere), do not hold the door open for the source (NULL: for all of them) any more. It closes
 * unless others do. */
void grants_release(struct grants *grants, const char *door, const struct address *source,
		    const char *host, uint64_t until_us, uint64_t now_us);

/* Closes them all; what is still due stays saved, for a successor to open it again. */
void grants_suspend(struct grants *grants, uint64_t now_us);

/* One grant, as the outside sees it. */
struct grant_view {
	const char *door;
	struct address source;
	unsigned prefix;  /* the bits of the source that it is for; 0: all */
	const char *user; /* whose knock came last; "": nobody's key */
	struct hand hand; /* who opened it last, if that was by hand */
	enum knock_kind knock;
	uint64_t left_us;     /* until the deadline */
	const char *own_user; /* as those of struct event */
	uint64_t own_left_us, own_stamp_us;
	bool missing; /* the firewall has lost it and it cannot be restored */
};
typedef void (*grants_view_fn)(void *userdata, const struct grant_view *view);

/* Shows the open ones, in no order. */
void grants_each(const struct grants *grants, uint64_t now_us, grants_view_fn fn, void *userdata);

/* The users' keys that `may` says no to hold nothing open any more: what others have knocked for as
 * well closes when the last of them would have had it closed. */
typedef bool (*grants_may_fn)(void *userdata, const char *user, const struct key_id *key);
void grants_expel(struct grants *grants, grants_may_fn may, void *userdata, uint64_t now_us);

/* The door of this name, if it is still there and the user ("": nobody) may open it, with this key
 * (NULL or none: any of theirs). */
typedef const struct door *(*grants_find_fn)(void *userdata, const char *name, const char *user,
					     const struct key_id *key);

/* Closes those whose door is gone, or would now open something else, or not for that source. Of
 * users, the same as grants_expel(). */
void grants_review(struct grants *grants, grants_find_fn find, void *userdata, uint64_t now_us);

/* Takes over what a predecessor has saved: closes what is overdue, adopts what still runs (the
 * firewall is asked, and given what it lacks), and opens again what grants_suspend() has closed, if
 * its door still does the same. Keeps `find`: a state file that cannot be read now is retried
 * later. 0, or a negative errno: the directory cannot be read. */
int grants_inherit(struct grants *grants, grants_find_fn find, void *userdata, uint64_t now_us);

/* Closes what stands in the doors' sets for a time and is on nobody's record (firewall/strays.h).
 * For once, after grants_inherit(). 0; how many sets could not be listed; -EAGAIN: nothing is
 * closed, for not all state files could be read; -ENOMEM. */
int grants_close_strays(struct grants *grants, const struct door *doors, size_t n_doors,
			uint64_t now_us);

/* Only closes what a predecessor left and the kernel will not end by itself; what is still due
 * stays saved, for a successor to open again. */
int grants_sweep(struct grants *grants, uint64_t now_us);

/* For the event loop: call grants_run() when the descriptor is readable or the time has come; a
 * time that has passed already means that there is more to do. */
int grants_fd(const struct grants *grants);
uint64_t grants_next_us(const struct grants *grants);
void grants_run(struct grants *grants, uint64_t now_us);
