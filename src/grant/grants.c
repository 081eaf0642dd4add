#include "grant/grants.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/door.h"
#include "firewall/firewall.h"
#include "firewall/passage.h"
#include "grant/grant.h"
#include "grant/inherit.h"
#include "grant/reconcile.h"
#include "grant/store.h"
#include "grant/strays.h"
#include "grant/table.h"
#include "util/cleanup.h"

/* How many are closed in one go: when thousands are due in one second, records are read in between.
 * Restoring one to a firewall that was flushed costs more: nft looks up the name of a service each
 * time. */
enum { AT_ONCE = 256, RENEW_COST = 2 };

DEFINE_CLEANUP(struct grants *, grants_free)

int grants_new(const struct grants_options *options, struct grants **ret)
{
	CLEANUP(cleanup_grants_free) struct grants *grants = calloc(1, sizeof *grants);
	int r;

	if (!grants)
		return -ENOMEM;
	grants->on_event = options->on_event;
	grants->userdata = options->userdata;
	grants->max_open = grants->max_open_user = UINT32_MAX;
	grants->reconcile_us = grants->reread_us = UINT64_MAX;
	r = store_new(options->directory, options->boot_id, &grants->store);
	if (r < 0)
		return r;
	r = firewall_new(grant_on_command_end, &grants->firewall);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(grants);
	return 0;
}

struct grants *grants_free(struct grants *grants)
{
	if (!grants)
		return NULL;
	firewall_free(grants->firewall);
	store_free(grants->store);
	while (due_queue_first(&grants->queue)) {
		struct due *due = due_queue_first(&grants->queue);

		due_queue_remove(&grants->queue, due);
		grant_free((struct grant *)due);
	}
	due_queue_done(&grants->queue);
	door_counts_done(&grants->door_counts);
	strays_done(&grants->strays);
	free(grants);
	return NULL;
}

void grants_limit(struct grants *grants, uint32_t max_open, uint32_t max_open_user)
{
	grants->max_open = max_open;
	grants->max_open_user = max_open_user;
}

size_t grants_count(const struct grants *grants)
{
	return grants->n_grants + grants->n_unread;
}

struct firewall *grants_firewall(struct grants *grants)
{
	return grants->firewall;
}

/* False. */
static bool grants_refuse(struct grants *grants, const struct door *door,
			  const struct visitor *visitor, const char *reason, enum refusal refusal)
{
	grants->on_event(grants->userdata, &(struct event){
						   .kind = EVENT_REFUSED,
						   .door = door->name,
						   .source = visitor->source,
						   .user = visitor->user ? visitor->user : "",
						   .knock = visitor->knock,
						   .reason = reason,
						   .refusal = refusal,
						   .hand = visitor->hand,
					   });
	return false;
}

/* Those who knock here find room whatever other hosts have open: a quarter; of two or three, one */
static uint32_t limit_for(uint32_t limit, const char *user)
{
	uint32_t kept = limit < 4 ? limit / 2 : limit / 4;

	return visitor_host(user) ? limit - kept : limit;
}

static bool grants_open_new(struct grants *grants, const struct door *door,
			    const struct visitor *visitor, uint64_t now_us)
{
	uint64_t deadline_us = now_us + door_timeout_us(door, visitor->seconds);
	struct passage *passage = NULL;
	struct grant *grant;
	int r;

	if (grants->n_grants >= limit_for(grants->max_open, visitor->user))
		return grants_refuse(grants, door, visitor, "max_open doors are open",
				     REFUSAL_FULL);
	if (door_count_size(&grants->door_counts, door->name) >=
	    limit_for(door->max_open, visitor->user))
		return grants_refuse(grants, door, visitor, "the door is open for max_open sources",
				     REFUSAL_FULL);
	r = door_passage_new(door, visitor, &passage);
	if (r == 0)
		r = grant_new(grants, door->name, visitor, passage, deadline_us, &grant);
	if (r == -EAFNOSUPPORT)
		return grants_refuse(grants, door, visitor,
				     address_family(&visitor->source) == FAMILY_IPV6
					     ? "the door has no set_6 or start_command_6"
					     : "the door has no set or start_command",
				     REFUSAL_FIREWALL);
	if (r < 0) {
		passage_free(passage);
		return grants_refuse(grants, door, visitor, strerror(-r), REFUSAL_OTHER);
	}
	grant_start(grant, now_us);
	return true;
}

/* Wherever they have knocked: alice@one is alice. Not if others alone still do. */
static bool grant_is_held_by(const struct grant *grant, const char *user, uint64_t now_us)
{
	const struct holder *holder = holders_find_person(&grant->holders, user);

	return holder && (holder->deadline_us > now_us || grant->deadline_us <= now_us);
}

/* Whether a user holds as many as one may. Moving the deadline of what they hold is not one more.
 */
static bool grants_is_full_for(const struct grants *grants, const struct grant *asked,
			       const char *user, uint64_t now_us)
{
	size_t n = 0;

	if (!user || !*user || *user == '@' || (asked && grant_is_held_by(asked, user, now_us)))
		return false;
	FOR_EACH_GRANT (grants, grant)
		n += grant_is_held_by(grant, user, now_us);
	return n >= limit_for(grants->max_open_user, user);
}

bool grants_open(struct grants *grants, const struct door *door, const struct visitor *visitor,
		 uint64_t now_us)
{
	struct grant *grant = grants_find(grants, door->name, &visitor->source);

	if (!address_is_host(&visitor->source))
		return grants_refuse(grants, door, visitor, "no other host has this address",
				     REFUSAL_SOURCE);
	if (grants_is_full_for(grants, grant, visitor->user, now_us))
		return grants_refuse(grants, door, visitor, "the user has max_open_user doors open",
				     REFUSAL_FULL);
	if (!grant)
		return grants_open_new(grants, door, visitor, now_us);
	grant_knock(grant, door, visitor, now_us);
	return true;
}

size_t grants_close(struct grants *grants, const char *door, const struct address *source,
		    const struct hand *hand, uint64_t now_us)
{
	size_t n = 0;

	FOR_EACH_GRANT (grants, grant) {
		if (strcmp(grant->door, door) == 0 &&
		    (!source || address_equal(&grant->source, source))) {
			n += grant_is_open(grant);
			grant->closed_by = *hand;
			grant_end(grant, now_us);
		}
	}
	grants_run(grants, now_us);
	return n;
}

struct release {
	const char *host;
	uint64_t until_us;
};

static bool release_keeps(void *userdata, const struct holder *holder)
{
	const struct release *release = userdata;
	const char *host = visitor_host(holder->user);

	return holder->stamp_us > release->until_us ||
	       (release->host && (!host || strcmp(host, release->host) != 0));
}

void grants_release(struct grants *grants, const char *door, const struct address *source,
		    const char *host, uint64_t until_us, uint64_t now_us)
{
	struct release release = {host, until_us};

	if (source) {
		struct grant *grant = grants_find(grants, door, source);

		if (grant)
			grant_keep_holders(grant, release_keeps, &release, now_us);
	} else {
		FOR_EACH_GRANT (grants, grant)
			if (strcmp(grant->door, door) == 0)
				grant_keep_holders(grant, release_keeps, &release, now_us);
	}
	grants_run(grants, now_us);
}

void grants_suspend(struct grants *grants, uint64_t now_us)
{
	/* Now or never: read later, what is suspended would be opened again. */
	if (grants->reread_us != UINT64_MAX)
		inherit_read(grants, false, now_us);
	grants->reread_us = UINT64_MAX;
	FOR_EACH_GRANT (grants, grant)
		grant_suspend(grant, now_us);
	grants_run(grants, now_us);
}

void grants_each(const struct grants *grants, uint64_t now_us, grants_view_fn fn, void *userdata)
{
	FOR_EACH_GRANT (grants, grant) {
		struct grant_view view;

		if (!grant_is_open(grant) || grant->deadline_us <= now_us)
			continue;
		grant_view(grant, now_us, &view);
		fn(userdata, &view);
	}
}

struct review {
	const struct grant *grant;
	grants_find_fn find;
	void *userdata;
};

static bool review_keeps(void *userdata, const struct holder *holder)
{
	const struct review *review = userdata;

	return door_is_for(review->find(review->userdata, review->grant->door, holder->user, NULL),
			   holder->user);
}

void grants_review(struct grants *grants, grants_find_fn find, void *userdata, uint64_t now_us)
{
	FOR_EACH_GRANT (grants, grant) {
		struct review review = {grant, find, userdata};
		struct visitor visitor;

		grant_keep_holders(grant, review_keeps, &review, now_us);
		visitor = grant_visitor(grant);
		if (!door_still_opens(find(userdata, grant->door, grant->user, NULL), &visitor,
				      grant->passage))
			grant_end(grant, now_us);
	}
	grants_run(grants, now_us);
}

struct expulsion {
	grants_may_fn may;
	void *userdata;
};

static bool expulsion_keeps(void *userdata, const struct holder *holder)
{
	const struct expulsion *expulsion = userdata;

	return !holder->user[0] || visitor_host(holder->user) ||
	       expulsion->may(expulsion->userdata, holder->user, &holder->key);
}

void grants_expel(struct grants *grants, grants_may_fn may, void *userdata, uint64_t now_us)
{
	struct expulsion expulsion = {may, userdata};

	FOR_EACH_GRANT (grants, grant)
		grant_keep_holders(grant, expulsion_keeps, &expulsion, now_us);
	grants_run(grants, now_us);
}

int grants_inherit(struct grants *grants, grants_find_fn find, void *userdata, uint64_t now_us)
{
	int r;

	grants->find = find;
	grants->find_userdata = userdata;
	r = inherit_read(grants, true, now_us);
	grants_run(grants, now_us);
	return r;
}

int grants_sweep(struct grants *grants, uint64_t now_us)
{
	return grants_inherit(grants, NULL, NULL, now_us);
}

int grants_fd(const struct grants *grants)
{
	return firewall_fd(grants->firewall);
}

uint64_t grants_next_us(const struct grants *grants)
{
	const struct due *first = due_queue_first(&grants->queue);
	uint64_t next_us = firewall_next_us(grants->firewall);

	if (grants->strays.n > 0)
		return 0;
	if (grants->reconcile_us < next_us)
		next_us = grants->reconcile_us;
	if (grants->reread_us < next_us)
		next_us = grants->reread_us;
	return first && first->at_us < next_us ? first->at_us : next_us;
}

/* Runs those that are due, until the budget is spent. */
static void grants_run_due(struct grants *grants, int *budget, uint64_t now_us)
{
	while (*budget > 0) {
		struct due *due = due_queue_first(&grants->queue);
		struct grant *grant = (struct grant *)due;

		if (!due || due->at_us > now_us)
			return;
		*budget -= grant->state == GRANT_PENDING_RENEW ? RENEW_COST : 1;
		grant_run(grant, now_us);
	}
}

void grants_run(struct grants *grants, uint64_t now_us)
{
	int budget = AT_ONCE;

	firewall_process(grants->firewall, now_us);
	grants_run_due(grants, &budget, now_us);
	reconcile_run(grants, now_us);
	grants_run_due(grants, &budget, now_us); /* what the reconciliation has found */
	strays_run(grants, &budget, now_us);
	if (grants->reread_us <= now_us)
		inherit_read(grants, false, now_us);
}
