#include "grant/inherit.h"

#include <errno.h>
#include <string.h>

#include "firewall/passage.h"
#include "grant/grant.h"
#include "grant/store.h"
#include "grant/table.h"

/* How soon to retry state files that could not be read. */
#define REREAD_US UINT64_C(1000000)

struct inheritance {
	struct grants *grants;
	bool is_first;
	uint64_t now_us;
};

/* Valid as long as what is stored. */
static struct visitor stored_visitor(const struct stored_grant *stored)
{
	return (struct visitor){
		.source = stored->source,
		.user = stored->user,
		.seconds = stored->seconds,
	};
}

/* Takes the passage and the holders. */
static void inherit_take(struct grants *grants, struct stored_grant *stored, uint64_t now_us)
{
	const struct visitor visitor = stored_visitor(stored);
	struct grant *grant;

	if (grant_new(grants, stored->door, &visitor, stored->passage, stored->deadline_us,
		      &grant) < 0) {
		stored_grant_done(stored);
		return;
	}
	if (stored->holders.n > 0) {
		holders_done(&grant->holders);
		grant->holders = stored->holders;
	}
	if (stored->state == STORED_CLOSED) {
		grant_resume(grant, now_us);
	} else {
		grant->n_opened =
			stored->n_opened < GRANT_OPENED_MAX ? stored->n_opened : GRANT_OPENED_MAX;
		grant_adopt(grant, now_us);
	}
}

/* The file knows how to close; the door knows how to open. */
static bool inherit_renew_passage(const struct grants *grants, struct stored_grant *stored)
{
	const struct door *door =
		grants->find(grants->find_userdata, stored->door, stored->user, NULL);
	const struct visitor visitor = stored_visitor(stored);

	if (!door_still_opens(door, &visitor, stored->passage))
		return false;
	stored->passage = passage_free(stored->passage);
	return door_passage_new(door, &visitor, &stored->passage) == 0;
}

/* What is asked about each holder. */
struct inheritor {
	const struct grants *grants;
	const struct stored_grant *stored;
	uint64_t now_us;
};

static bool inheritor_keeps(void *userdata, const struct holder *holder)
{
	const struct inheritor *inheritor = userdata;
	const struct grants *grants = inheritor->grants;
	const struct stored_grant *stored = inheritor->stored;

	return holder->deadline_us > inheritor->now_us &&
	       door_is_for(grants->find(grants->find_userdata, stored->door, holder->user,
					&holder->key),
			   holder->user);
}

/* Those whose keys or doors have gone meanwhile, or whose time is over, open nothing for others. */
static void inherit_keep_holders(const struct grants *grants, struct stored_grant *stored,
				 uint64_t now_us)
{
	struct inheritor inheritor = {grants, stored, now_us};
	const struct holder *latest, *last;

	if (stored->holders.n == 0)
		return; /* the user alone */
	holders_drop(&stored->holders, inheritor_keeps, &inheritor);
	latest = holders_latest(&stored->holders);
	if (!latest || latest->deadline_us < stored->deadline_us)
		stored->deadline_us = latest ? latest->deadline_us : 0;
	if (!latest)
		return;
	last = &stored->holders.list[stored->holders.n - 1];
	memcpy(stored->user, last->user, sizeof stored->user);
}

static void inherit_closed(struct grants *grants, struct stored_grant *stored, uint64_t now_us)
{
	bool is_due;

	if (grants->find)
		inherit_keep_holders(grants, stored, now_us);
	is_due = stored->deadline_us > now_us;
	if (is_due && grants->find && inherit_renew_passage(grants, stored)) {
		inherit_take(grants, stored, now_us);
		return;
	}
	if (!is_due || grants->find)
		store_remove(grants->store, stored->door, &stored->source);
	stored_grant_done(stored);
}

static void inherit_open(struct grants *grants, struct stored_grant *stored, uint64_t now_us)
{
	/* A command that may or may not have run is undone; whoever knocks again gets in. */
	if (stored->state == STORED_OPENING && !passage_expires(stored->passage))
		stored->deadline_us = 0;
	inherit_take(grants, stored, now_us);
}

/* What the kernel ends by itself is left to it, and to a successor that knows of all that share an
 * element. What is still due is for the successor to open again. */
static void inherit_sweep(struct grants *grants, struct stored_grant *stored, uint64_t now_us)
{
	uint64_t resumed_us = stored->state == STORED_OPEN ? stored->deadline_us : 0;
	struct grant *grant;

	if (passage_expires(stored->passage)) {
		stored_grant_done(stored);
		return;
	}
	if (stored->deadline_us > now_us)
		stored->deadline_us = now_us;
	inherit_open(grants, stored, now_us);
	grant = grants_find(grants, stored->door, &stored->source);
	if (grant)
		grant->resumed_us = resumed_us;
}

/* The file is damaged, but its name says what may be open. */
static void inherit_damaged(struct grants *grants, const char *name, struct stored_grant *stored,
			    uint64_t now_us)
{
	const struct door *door =
		grants->find ? grants->find(grants->find_userdata, stored->door, "", NULL) : NULL;
	const struct visitor visitor = stored_visitor(stored);
	bool is_closed = door && door_passage_new(door, &visitor, &stored->passage) == 0;

	stored->n_opened = 1;
	grants->on_event(grants->userdata, &(struct event){
						   .kind = EVENT_LOST,
						   .door = is_closed ? stored->door : NULL,
						   .source = stored->source,
						   .reason = name,
					   });
	if (is_closed)
		inherit_take(grants, stored, now_us);
	else if (grants->find)
		store_remove(grants->store, stored->door, &stored->source);
}

static void inherit_report(const struct inheritance *inheritance, const char *name, int error)
{
	const struct grants *grants = inheritance->grants;

	if (error == -EINVAL || inheritance->is_first)
		grants->on_event(grants->userdata,
				 &(struct event){
					 .kind = error == -EINVAL ? EVENT_LOST : EVENT_UNREADABLE,
					 .reason = name,
				 });
}

static void on_stored(void *userdata, const char *name, struct stored_grant *stored, int error)
{
	struct inheritance *inheritance = userdata;
	struct grants *grants = inheritance->grants;

	if (!stored) {
		grants->n_unread += error != -EINVAL;
		inherit_report(inheritance, name, error);
	} else if (grants_find(grants, stored->door, &stored->source)) {
		stored_grant_done(stored); /* our own */
	} else if (stored->state == STORED_DAMAGED) {
		inherit_damaged(grants, name, stored, inheritance->now_us);
	} else if (stored->state == STORED_CLOSED) {
		inherit_closed(grants, stored, inheritance->now_us);
	} else if (!grants->find) {
		inherit_sweep(grants, stored, inheritance->now_us);
	} else {
		inherit_open(grants, stored, inheritance->now_us);
	}
}

int inherit_read(struct grants *grants, bool is_first, uint64_t now_us)
{
	struct inheritance inheritance = {grants, is_first, now_us};
	int r;

	grants->n_unread = 0;
	r = store_read(grants->store, on_stored, &inheritance);
	if (r < 0)
		grants->n_unread = 1;
	grants->reread_us = grants->n_unread > 0 ? now_us + REREAD_US : UINT64_MAX;
	return r;
}
