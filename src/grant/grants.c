#include "grant/grants.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/door.h"
#include "firewall/firewall.h"
#include "firewall/passage.h"
#include "grant/grant.h"
#include "grant/reconcile.h"
#include "grant/store.h"
#include "util/cleanup.h"

/* How many are closed in one go: when thousands are due in one second, records are judged in
 * between. Putting one back into a firewall that was flushed counts for more: nft looks the name of
 * a service up each time. */
enum { AT_ONCE = 256, UNTOLD_COST = 2 };

/* How soon records are read again that could not be read. */
#define REREAD_US UINT64_C(1000000)

DEFINE_CLEANUP(struct grants *, grants_free)

int grants_new(const struct grants_options *options, struct grants **ret)
{
	CLEANUP(cleanup_grants_free) struct grants *grants = calloc(1, sizeof *grants);
	int r;

	if (!grants)
		return -ENOMEM;
	grants->news = options->news;
	grants->userdata = options->userdata;
	grants->max_open = UINT32_MAX;
	grants->survey_us = grants->reread_us = UINT64_MAX;
	r = store_new(options->directory, options->boot_id, &grants->store);
	if (r < 0)
		return r;
	r = firewall_new(grant_done, &grants->firewall);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(grants);
	return 0;
}

static void grant_free(struct grant *grant)
{
	passage_free(grant->passage);
	passage_free(grant->wanted);
	free(grant);
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
	free(grants);
	return NULL;
}

void grants_limit(struct grants *grants, uint32_t max_open)
{
	grants->max_open = max_open;
}

size_t grants_count(const struct grants *grants)
{
	return grants->n_grants + grants->n_unread;
}

struct firewall *grants_firewall(struct grants *grants)
{
	return grants->firewall;
}

/* All grants of a source are in one bucket. FNV-1a will do: whoever gets this far has knocked
 * right. */
struct grant **grants_bucket(struct grants *grants, const struct address *source)
{
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < sizeof source->bytes; i++)
		hash = (hash ^ source->bytes[i]) * 16777619u;
	return &grants->buckets[hash % GRANTS_BUCKETS];
}

static struct grant *find(struct grants *grants, const char *door, const struct address *source)
{
	struct grant *grant = *grants_bucket(grants, source);

	while (grant && !(address_equal(&grant->source, source) && strcmp(grant->door, door) == 0))
		grant = grant->next;
	return grant;
}

static int grant_new(struct grants *grants, const char *door, const struct visitor *visitor,
		     struct passage *passage, uint64_t deadline_us, struct grant **ret)
{
	struct grant **bucket = grants_bucket(grants, &visitor->source);
	struct grant *grant = calloc(1, sizeof *grant);

	if (!grant)
		return -ENOMEM;
	grant->grants = grants;
	grant->state = OPENING;
	memcpy(grant->door, door, strlen(door) + 1);
	grant->source = visitor->source;
	grant_take_visitor(grant, visitor);
	grant->deadline_us = grant->due.at_us = deadline_us;
	if (door_count_join(&grants->door_counts, door) < 0) {
		free(grant);
		return -ENOMEM;
	}
	if (due_queue_add(&grants->queue, &grant->due) < 0) {
		door_count_leave(&grants->door_counts, door);
		free(grant);
		return -ENOMEM;
	}
	grant->passage = passage;
	grant->next = *bucket;
	*bucket = grant;
	grants->n_grants++;
	*ret = grant;
	return 0;
}

void grant_forget_but_record(struct grant *grant)
{
	struct grants *grants = grant->grants;
	struct grant **link = grants_bucket(grants, &grant->source);

	while (*link != grant)
		link = &(*link)->next;
	*link = grant->next;
	due_queue_remove(&grants->queue, &grant->due);
	door_count_leave(&grants->door_counts, grant->door);
	grants->n_grants--;
	grant_free(grant);
}

void grant_forget(struct grant *grant)
{
	const struct grants *grants = grant->grants;
	int r = store_remove(grants->store, grant->door, &grant->source);

	if (r < 0)
		grants->news(grants->userdata, &(struct grant_news){
						       .event = GRANT_STALE,
						       .door = grant->door,
						       .source = grant->source,
						       .reason = strerror(-r),
					       });
	grant_forget_but_record(grant);
}

static void refuse(struct grants *grants, const struct door *door, const struct visitor *visitor,
		   const char *reason)
{
	grants->news(grants->userdata, &(struct grant_news){
					       .event = GRANT_REFUSED,
					       .door = door->name,
					       .source = visitor->source,
					       .user = visitor->user ? visitor->user : "",
					       .way = visitor->way,
					       .reason = reason,
				       });
}

static void open_new(struct grants *grants, const struct door *door, const struct visitor *visitor,
		     uint64_t now_us)
{
	uint64_t deadline_us = now_us + door_timeout_us(door, visitor->seconds);
	struct passage *passage = NULL;
	struct grant *grant;
	int r;

	if (grants->n_grants >= grants->max_open) {
		refuse(grants, door, visitor, "max_open doors are open");
		return;
	}
	if (door_count_size(&grants->door_counts, door->name) >= door->max_open) {
		refuse(grants, door, visitor, "the door is open for max_open sources");
		return;
	}
	r = grant_passage_new(door, visitor, &passage);
	if (r == 0)
		r = grant_new(grants, door->name, visitor, passage, deadline_us, &grant);
	if (r == -EAFNOSUPPORT) {
		refuse(grants, door, visitor,
		       address_family(&visitor->source) == FAMILY_IPV6
			       ? "the door has no set_6 or start_command_6"
			       : "the door has no set or start_command");
	} else if (r < 0) {
		passage_free(passage);
		refuse(grants, door, visitor, strerror(-r));
	} else {
		grant_start(grant, now_us);
	}
}

void grants_open(struct grants *grants, const struct door *door, const struct visitor *visitor,
		 uint64_t now_us)
{
	struct grant *grant = find(grants, door->name, &visitor->source);

	if (grant)
		grant_knock(grant, door, visitor, now_us);
	else
		open_new(grants, door, visitor, now_us);
}

size_t grants_close(struct grants *grants, const char *door, const struct address *source,
		    uint64_t now_us)
{
	size_t n = 0;

	FOR_EACH_GRANT (grants, grant) {
		if (strcmp(grant->door, door) == 0 &&
		    (!source || address_equal(&grant->source, source))) {
			n += grant_is_open(grant);
			grant_end(grant, now_us);
		}
	}
	grants_run(grants, now_us);
	return n;
}

void grants_suspend(struct grants *grants, uint64_t now_us)
{
	FOR_EACH_GRANT (grants, grant)
		grant_suspend(grant, now_us);
	grants_run(grants, now_us);
}

void grants_each(const struct grants *grants, uint64_t now_us, grants_view_fn fn, void *userdata)
{
	{
		FOR_EACH_GRANT (grants, grant) {
			if (!grant_is_open(grant) || grant->deadline_us <= now_us)
				continue;
			fn(userdata, &(struct grant_view){
					     .door = grant->door,
					     .source = grant->source,
					     .user = grant->user,
					     .left_us = grant->deadline_us - now_us,
					     .missing = grant->missing,
				     });
		}
	}
}

static bool stands(const struct door *door, const struct visitor *visitor,
		   const struct passage *passage)
{
	struct passage *now;
	bool same;

	if (!door || !door_allows(door, &visitor->source) ||
	    (visitor->user[0] && !door_has_user(door, visitor->user)) ||
	    grant_passage_new(door, visitor, &now) < 0)
		return false;
	same = passage_equal(now, passage);
	passage_free(now);
	return same;
}

void grants_review(struct grants *grants, grants_find_fn find_door, void *userdata, uint64_t now_us)
{
	FOR_EACH_GRANT (grants, grant) {
		struct visitor visitor = grant_visitor(grant);

		if (!stands(find_door(userdata, grant->door, grant->user), &visitor,
			    grant->passage))
			grant_end(grant, now_us);
	}
	grants_run(grants, now_us);
}

void grants_expel(struct grants *grants, grants_may_fn may, void *userdata, uint64_t now_us)
{
	FOR_EACH_GRANT (grants, grant)
		if (grant->user[0] && !may(userdata, grant->user))
			grant_end(grant, now_us);
	grants_run(grants, now_us);
}

struct inheritance {
	struct grants *grants;
	bool is_first;
	uint64_t now_us;
};

/* Good as long as what is stored. */
static struct visitor visitor_of(const struct stored_grant *stored)
{
	return (struct visitor){
		.source = stored->source,
		.user = stored->user,
		.seconds = stored->seconds,
	};
}

/* Takes the rule. */
static void take(struct grants *grants, struct stored_grant *stored, uint64_t now_us)
{
	const struct visitor visitor = visitor_of(stored);
	struct grant *grant;

	if (grant_new(grants, stored->door, &visitor, stored->passage, stored->deadline_us,
		      &grant) < 0) {
		passage_free(stored->passage);
	} else if (stored->state == STORED_CLOSED) {
		grant_resume(grant, now_us);
	} else {
		grant->n_opened =
			stored->n_opened < GRANT_OPENED_MAX ? stored->n_opened : GRANT_OPENED_MAX;
		grant_adopt(grant, now_us);
	}
}

/* The record knows how to close; the door knows how to open. */
static bool renew_rule(const struct grants *grants, struct stored_grant *stored)
{
	const struct door *door = grants->find(grants->find_userdata, stored->door, stored->user);
	const struct visitor visitor = visitor_of(stored);

	if (!stands(door, &visitor, stored->passage))
		return false;
	stored->passage = passage_free(stored->passage);
	return grant_passage_new(door, &visitor, &stored->passage) == 0;
}

static void inherit_closed(struct grants *grants, struct stored_grant *stored, uint64_t now_us)
{
	bool is_due = stored->deadline_us > now_us;

	if (is_due && grants->find && renew_rule(grants, stored)) {
		take(grants, stored, now_us);
		return;
	}
	if (!is_due || grants->find)
		store_remove(grants->store, stored->door, &stored->source);
	passage_free(stored->passage);
}

static void inherit_open(struct grants *grants, struct stored_grant *stored, uint64_t now_us)
{
	/* A command that may or may not have run is undone; whoever knocks again gets in. */
	if (stored->state == STORED_OPENING && !passage_expires(stored->passage))
		stored->deadline_us = 0;
	take(grants, stored, now_us);
}

/* What the kernel ends by itself is left to it, and to a successor that knows of all that share an
 * element. What is still due is for the successor to open again. */
static void sweep(struct grants *grants, struct stored_grant *stored, uint64_t now_us)
{
	uint64_t resumed_us = stored->state == STORED_OPEN ? stored->deadline_us : 0;
	struct grant *grant;

	if (passage_expires(stored->passage)) {
		passage_free(stored->passage);
		return;
	}
	if (stored->deadline_us > now_us)
		stored->deadline_us = now_us;
	inherit_open(grants, stored, now_us);
	grant = find(grants, stored->door, &stored->source);
	if (grant)
		grant->resumed_us = resumed_us;
}

/* The record is damaged, but its name says what may be open. */
static void inherit_damaged(struct grants *grants, const char *name, struct stored_grant *stored,
			    uint64_t now_us)
{
	const struct door *door =
		grants->find ? grants->find(grants->find_userdata, stored->door, "") : NULL;
	const struct visitor visitor = visitor_of(stored);
	bool is_closed = door && grant_passage_new(door, &visitor, &stored->passage) == 0;

	stored->n_opened = 1;
	grants->news(grants->userdata, &(struct grant_news){
					       .event = GRANT_LOST,
					       .door = is_closed ? stored->door : NULL,
					       .source = stored->source,
					       .reason = name,
				       });
	if (is_closed)
		take(grants, stored, now_us);
	else if (grants->find)
		store_remove(grants->store, stored->door, &stored->source);
}

static void report(const struct inheritance *inheritance, const char *name, int error)
{
	const struct grants *grants = inheritance->grants;

	if (error == -EINVAL || inheritance->is_first)
		grants->news(grants->userdata,
			     &(struct grant_news){
				     .event = error == -EINVAL ? GRANT_LOST : GRANT_UNREADABLE,
				     .reason = name,
			     });
}

static void inherit(void *userdata, const char *name, struct stored_grant *stored, int error)
{
	struct inheritance *inheritance = userdata;
	struct grants *grants = inheritance->grants;

	if (!stored) {
		grants->n_unread += error != -EINVAL;
		report(inheritance, name, error);
	} else if (find(grants, stored->door, &stored->source)) {
		passage_free(stored->passage); /* our own */
	} else if (stored->state == STORED_DAMAGED) {
		inherit_damaged(grants, name, stored, inheritance->now_us);
	} else if (stored->state == STORED_CLOSED) {
		inherit_closed(grants, stored, inheritance->now_us);
	} else if (!grants->find) {
		sweep(grants, stored, inheritance->now_us);
	} else {
		inherit_open(grants, stored, inheritance->now_us);
	}
}

static int read_records(struct grants *grants, bool is_first, uint64_t now_us)
{
	struct inheritance inheritance = {grants, is_first, now_us};
	int r;

	grants->n_unread = 0;
	r = store_read(grants->store, inherit, &inheritance);
	if (r < 0)
		grants->n_unread = 1;
	grants->reread_us = grants->n_unread > 0 ? now_us + REREAD_US : UINT64_MAX;
	return r;
}

int grants_inherit(struct grants *grants, grants_find_fn find_door, void *userdata, uint64_t now_us)
{
	int r;

	grants->find = find_door;
	grants->find_userdata = userdata;
	r = read_records(grants, true, now_us);
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

	if (grants->survey_us < next_us)
		next_us = grants->survey_us;
	if (grants->reread_us < next_us)
		next_us = grants->reread_us;
	return first && first->at_us < next_us ? first->at_us : next_us;
}

/* Runs those that are due, until the budget is spent. */
static void run_due(struct grants *grants, int *budget, uint64_t now_us)
{
	while (*budget > 0) {
		struct due *due = due_queue_first(&grants->queue);
		struct grant *grant = (struct grant *)due;

		if (!due || due->at_us > now_us)
			return;
		*budget -= grant->state == UNTOLD ? UNTOLD_COST : 1;
		grant_run(grant, now_us);
	}
}

void grants_run(struct grants *grants, uint64_t now_us)
{
	int budget = AT_ONCE;

	firewall_process(grants->firewall, now_us);
	run_due(grants, &budget, now_us);
	survey_run(grants, now_us);
	run_due(grants, &budget, now_us); /* what the survey has found */
	if (grants->reread_us <= now_us)
		read_records(grants, false, now_us);
}
