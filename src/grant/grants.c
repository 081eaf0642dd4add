#include "grant/grant.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/door.h"
#include "firewall/firewall.h"
#include "grant/queue.h"
#include "grant/store.h"
#include "util/cleanup.h"

#define US_PER_S UINT64_C(1000000)

/* When all places for commands are taken, how soon to try again. */
#define BUSY_US UINT64_C(20000)

/* Doors that cannot be closed are opened so often again, and no more. */
enum { OPENED_MAX = 100 };

enum { N_BUCKETS = 4096, BACKOFF_MAX_S = 60 };

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
	struct grant *buckets[N_BUCKETS];
};

DEFINE_CLEANUP(struct grants *, grants_free)

static void on_done(void *owner, int error, const char *problem, uint64_t now_us);

int grants_new(const struct grants_options *options, struct grants **ret)
{
	CLEANUP(cleanup_grants_free) struct grants *grants = calloc(1, sizeof *grants);
	int r;

	if (!grants)
		return -ENOMEM;
	grants->news = options->news;
	grants->userdata = options->userdata;
	grants->max_open = UINT32_MAX;
	r = store_new(options->directory, options->boot_id, &grants->store);
	if (r < 0)
		return r;
	r = firewall_new(on_done, &grants->firewall);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(grants);
	return 0;
}

static void grant_free(struct grant *grant)
{
	rule_free(grant->rule);
	rule_free(grant->wanted);
	free(grant);
}

struct grants *grants_free(struct grants *grants)
{
	if (!grants)
		return NULL;
	firewall_free(grants->firewall);
	store_free(grants->store);
	while (queue_first(&grants->queue)) {
		struct due *due = queue_first(&grants->queue);

		queue_remove(&grants->queue, due);
		grant_free((struct grant *)due);
	}
	queue_done(&grants->queue);
	free(grants);
	return NULL;
}

void grants_limit(struct grants *grants, uint32_t max_open)
{
	grants->max_open = max_open;
}

size_t grants_count(const struct grants *grants)
{
	return grants->n_grants;
}

struct firewall *grants_firewall(struct grants *grants)
{
	return grants->firewall;
}

/* All grants of a source are in one bucket. FNV-1a will do: whoever gets this far has knocked
 * right. */
static struct grant **bucket_of(struct grants *grants, const struct address *source)
{
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < sizeof source->bytes; i++)
		hash = (hash ^ source->bytes[i]) * 16777619u;
	return &grants->buckets[hash % N_BUCKETS];
}

static struct grant *find(struct grants *grants, const char *door, const struct address *source)
{
	struct grant *grant = *bucket_of(grants, source);

	while (grant && !(address_equal(&grant->source, source) && strcmp(grant->door, door) == 0))
		grant = grant->next;
	return grant;
}

static size_t count_of(const struct grants *grants, const char *door)
{
	size_t n = 0;

	for (size_t i = 0; i < grants->queue.n_items; i++)
		n += strcmp(((struct grant *)grants->queue.items[i])->door, door) == 0;
	return n;
}

static int grant_new(struct grants *grants, const char *door, const struct address *source,
		     struct rule *rule, uint64_t deadline_us, struct grant **ret)
{
	struct grant **bucket = bucket_of(grants, source);
	struct grant *grant = calloc(1, sizeof *grant);

	if (!grant)
		return -ENOMEM;
	grant->grants = grants;
	grant->state = OPENING;
	memcpy(grant->door, door, strlen(door) + 1);
	grant->source = *source;
	grant->deadline_us = grant->due.at_us = deadline_us;
	if (queue_add(&grants->queue, &grant->due) < 0) {
		free(grant);
		return -ENOMEM;
	}
	grant->rule = rule;
	grant->next = *bucket;
	*bucket = grant;
	grants->n_grants++;
	*ret = grant;
	return 0;
}

/* Takes the grant, its record included, out of the world. */
static void forget(struct grant *grant)
{
	struct grants *grants = grant->grants;
	struct grant **link = bucket_of(grants, &grant->source);

	while (*link != grant)
		link = &(*link)->next;
	*link = grant->next;
	queue_remove(&grants->queue, &grant->due);
	grants->n_grants--;
	store_remove(grants->store, grant->door, &grant->source);
	grant_free(grant);
}

static void tell(const struct grant *grant, enum grant_event event, const char *reason,
		 uint64_t now_us)
{
	struct grants *grants = grant->grants;

	grants->news(grants->userdata,
		     &(struct grant_news){
			     .event = event,
			     .door = grant->door,
			     .source = grant->source,
			     .left_us = event != GRANT_REFUSED && grant->deadline_us > now_us
						? grant->deadline_us - now_us
						: 0,
			     .reason = reason,
		     });
}

static void refuse(struct grants *grants, const struct door *door, const struct address *source,
		   const char *reason)
{
	grants->news(grants->userdata, &(struct grant_news){
					       .event = GRANT_REFUSED,
					       .door = door->name,
					       .source = *source,
					       .reason = reason,
				       });
}

static void set_due(struct grant *grant, uint64_t at_us)
{
	queue_move(&grant->grants->queue, &grant->due, at_us);
}

static uint64_t time_left(const struct grant *grant, uint64_t now_us)
{
	return grant->deadline_us > now_us ? grant->deadline_us - now_us : 0;
}

static bool is_open(const struct grant *grant)
{
	return grant->state == OPEN || grant->state == RENEWING || grant->state == UNTOLD;
}

/* Another open grant whose rule is the same element of the same set: the one that lasts longest.
 * Two doors may share a set, and one must not close what the other has opened. */
static const struct grant *find_twin(const struct grant *grant)
{
	const struct grant *other = *bucket_of(grant->grants, &grant->source), *twin = NULL;

	if (!rule_expires(grant->rule))
		return NULL;
	for (; other; other = other->next)
		if (other != grant && is_open(other) &&
		    address_equal(&other->source, &grant->source) &&
		    rule_equal(other->rule, grant->rule) &&
		    (!twin || other->deadline_us > twin->deadline_us))
			twin = other;
	return twin;
}

/* How long the kernel shall keep it: a twin must not be cut short. */
static uint64_t time_wanted(const struct grant *grant, uint64_t now_us)
{
	const struct grant *twin = find_twin(grant);

	return time_left(twin && twin->deadline_us > grant->deadline_us ? twin : grant, now_us);
}

static int record(const struct grant *grant)
{
	struct stored_grant stored = {
		.source = grant->source,
		.deadline_us = grant->deadline_us,
		.open = grant->state != OPENING,
		.n_opened = grant->n_opened + (grant->state == OPENING),
		.rule = grant->rule,
	};

	memcpy(stored.door, grant->door, sizeof stored.door);
	return store_write(grant->grants->store, &stored);
}

/* What could not be renewed keeps its old deadline, on record, too. */
static void not_kept(struct grant *grant, int error, const char *problem, uint64_t now_us)
{
	if (grant->kept_us < grant->deadline_us) {
		grant->deadline_us = grant->kept_us;
		record(grant);
	}
	grant->state = OPEN;
	set_due(grant, grant->wanted ? now_us : grant->deadline_us);
	tell(grant, GRANT_REFUSED, problem, now_us);
	if (grant->adopting && error != -ETIMEDOUT)
		forget(grant);
	else
		grant->adopting = false;
}

static void keep(struct grant *grant, uint64_t now_us);

static void kept(struct grant *grant, uint64_t now_us)
{
	grant->kept_us = grant->asked_us;
	if (!grant->wanted && grant->deadline_us != grant->asked_us &&
	    grant->deadline_us > now_us) {
		keep(grant, now_us); /* it has moved meanwhile */
		return;
	}
	grant->state = OPEN;
	set_due(grant, grant->wanted ? now_us : grant->deadline_us);
	if (grant->deadline_us > now_us)
		tell(grant, grant->adopting ? GRANT_ADOPTED : GRANT_RENEWED, NULL, now_us);
	grant->adopting = false;
}

/* Has the kernel keep the deadline of an open grant. */
static void keep(struct grant *grant, uint64_t now_us)
{
	struct firewall *firewall = grant->grants->firewall;
	int r;

	grant->asked_us = grant->deadline_us;
	r = firewall_open(firewall, grant->rule, time_wanted(grant, now_us), now_us, grant);
	if (r == FIREWALL_DONE) {
		kept(grant, now_us);
	} else if (r == FIREWALL_PENDING) {
		grant->state = RENEWING;
		set_due(grant, grant->deadline_us);
	} else if (r == -EAGAIN) {
		grant->state = UNTOLD;
		set_due(grant, now_us + BUSY_US);
	} else {
		not_kept(grant, r, firewall_problem(firewall), now_us);
	}
}

static void opened(struct grant *grant, uint64_t now_us)
{
	grant->state = OPEN;
	grant->n_opened = rule_expires(grant->rule) ? 1 : grant->n_opened + 1;
	/* Where a command has opened it, a successor has to know that it did. */
	if (!rule_expires(grant->rule))
		record(grant);
	grant->kept_us = grant->asked_us;
	set_due(grant, grant->wanted ? now_us : grant->deadline_us);
	tell(grant, GRANT_OPENED, NULL, now_us);
	if (rule_expires(grant->rule) && !grant->wanted && grant->deadline_us != grant->asked_us &&
	    grant->deadline_us > now_us)
		keep(grant, now_us);
}

/* It could not be opened. If it may still be open from before, it has to be closed all the same. */
static void give_up(struct grant *grant, const char *problem, uint64_t now_us)
{
	tell(grant, GRANT_REFUSED, problem, now_us);
	if (grant->n_opened == 0) {
		forget(grant);
		return;
	}
	grant->state = UNCLOSED;
	grant->deadline_us = now_us;
	set_due(grant, now_us + US_PER_S);
}

/* On record first, then in the firewall. */
static void start_opening(struct grant *grant, uint64_t now_us)
{
	struct firewall *firewall = grant->grants->firewall;
	int r;

	grant->state = OPENING;
	r = record(grant);
	if (r < 0) {
		give_up(grant, "its record cannot be written", now_us);
		return;
	}
	grant->asked_us = grant->deadline_us;
	set_due(grant, grant->deadline_us);
	r = firewall_open(firewall, grant->rule, time_wanted(grant, now_us), now_us, grant);
	if (r == FIREWALL_DONE) {
		opened(grant, now_us);
	} else if (r < 0) {
		give_up(grant, firewall_problem(firewall), now_us);
	}
}

/* Opens what was knocked for meanwhile. */
static void reopen(struct grant *grant, uint64_t now_us)
{
	rule_free(grant->rule);
	grant->rule = TAKE_PTR(grant->wanted);
	grant->undone = false;
	grant->failures = 0;
	if (grant->deadline_us > now_us)
		start_opening(grant, now_us);
	else
		give_up(grant, "closing the door took longer than it would have been open", now_us);
}

/* What was opened once more because it could not be closed is closed once more. */
static void closed(struct grant *grant, uint64_t now_us)
{
	if (grant->n_opened > 1) {
		grant->n_opened--;
		grant->state = UNCLOSED;
		set_due(grant, now_us);
		return;
	}
	grant->n_opened = 0;
	if (!grant->unannounced)
		tell(grant, GRANT_CLOSED, NULL, now_us);
	grant->unannounced = false;
	if (grant->wanted)
		reopen(grant, now_us);
	else
		forget(grant);
}

/* What the kernel ends by itself is over at the deadline, whatever we could not do about it. Who
 * has knocked meanwhile is let in: the firewall may well have been closed behind our back. */
static void close_failed(struct grant *grant, const char *problem, uint64_t now_us)
{
	unsigned wait_s = 1u << (grant->failures < 6 ? grant->failures : 6);

	if (grant->undone) {
		grant->n_opened = 0;
		closed(grant, now_us);
		return;
	}
	tell(grant, GRANT_CLOSE_FAILED, problem, now_us);
	if (rule_expires(grant->rule) && grant->deadline_us <= now_us) {
		grant->n_opened = 0;
		closed(grant, now_us);
		return;
	}
	if (grant->wanted && rule_equal(grant->wanted, grant->rule) &&
	    grant->n_opened < OPENED_MAX) {
		reopen(grant, now_us);
		return;
	}
	grant->failures++;
	grant->state = UNCLOSED;
	set_due(grant, now_us + (wait_s < BACKOFF_MAX_S ? wait_s : BACKOFF_MAX_S) * US_PER_S);
}

/* What another grant holds open as well stays open, as long as that one lasts. */
static int leave_or_close(struct grant *grant, uint64_t now_us)
{
	struct firewall *firewall = grant->grants->firewall;
	const struct grant *twin = find_twin(grant);

	if (twin && twin->deadline_us > now_us)
		return firewall_open(firewall, grant->rule, time_left(twin, now_us), now_us, grant);
	return firewall_close(firewall, grant->rule, now_us, grant);
}

static void start_closing(struct grant *grant, uint64_t now_us)
{
	struct firewall *firewall = grant->grants->firewall;
	int r = leave_or_close(grant, now_us);

	if (r == FIREWALL_PENDING) {
		grant->state = CLOSING;
		set_due(grant, UINT64_MAX);
	} else if (r == FIREWALL_DONE) {
		closed(grant, now_us);
	} else if (r == -EAGAIN) {
		grant->state = UNCLOSED;
		set_due(grant, now_us + BUSY_US);
	} else {
		close_failed(grant, firewall_problem(firewall), now_us);
	}
}

static void opening_ended(struct grant *grant, int error, const char *problem, uint64_t now_us)
{
	if (error == 0) {
		opened(grant, now_us);
		return;
	}
	if (error != -ETIMEDOUT && grant->n_opened > 0) {
		give_up(grant, problem, now_us);
		return;
	}
	/* It may have come half the way. If it failed by itself, taking that back is tried once,
	 * since there may be nothing to take back; if it was killed, until that succeeds. */
	tell(grant, GRANT_REFUSED, problem, now_us);
	grant->unannounced = grant->n_opened++ == 0;
	grant->undone = error != -ETIMEDOUT;
	start_closing(grant, now_us);
}

/* A command has ended. */
static void on_done(void *owner, int error, const char *problem, uint64_t now_us)
{
	struct grant *grant = owner;

	if (grant->state == OPENING)
		opening_ended(grant, error, problem, now_us);
	else if (grant->state == RENEWING && error == 0)
		kept(grant, now_us);
	else if (grant->state == RENEWING)
		not_kept(grant, error, problem, now_us);
	else if (error == 0)
		closed(grant, now_us);
	else
		close_failed(grant, problem, now_us);
}

/* Moves the deadline, again on record first. What fails leaves the old deadline. */
static void renew(struct grant *grant, uint64_t deadline_us, uint64_t now_us)
{
	uint64_t old_deadline_us = grant->deadline_us;
	bool is_idle = grant->state == OPEN || grant->state == UNTOLD;

	grant->deadline_us = deadline_us;
	if (record(grant) < 0) {
		grant->deadline_us = old_deadline_us;
		record(grant);
		tell(grant, GRANT_REFUSED, "its record cannot be written", now_us);
	} else if (rule_expires(grant->rule) && is_idle) {
		keep(grant, now_us);
	} else {
		set_due(grant, deadline_us);
		if (grant->state == OPEN)
			tell(grant, GRANT_RENEWED, NULL, now_us);
	}
}

static void open_new(struct grants *grants, const struct door *door, const struct address *source,
		     uint64_t now_us)
{
	struct rule *rule = NULL;
	struct grant *grant;
	int r;

	if (grants->n_grants >= grants->max_open) {
		refuse(grants, door, source, "max_open doors are open");
		return;
	}
	if (count_of(grants, door->name) >= door->max_open) {
		refuse(grants, door, source, "the door is open for max_open sources");
		return;
	}
	r = rule_new(door, source, &rule);
	if (r == 0)
		r = grant_new(grants, door->name, source, rule, now_us + door->timeout_us, &grant);
	if (r == -EAFNOSUPPORT) {
		refuse(grants, door, source,
		       address_family(source) == FAMILY_IPV6
			       ? "the door has no set_6 or start_command_6"
			       : "the door has no set or start_command");
	} else if (r < 0) {
		rule_free(rule);
		refuse(grants, door, source, strerror(-r));
	} else {
		start_opening(grant, now_us);
	}
}

/* A knock while it is being closed: it is opened again after that, as the door is now. */
static void knock_again(struct grant *grant, const struct door *door, uint64_t now_us)
{
	struct rule *wanted;
	int r = rule_new(door, &grant->source, &wanted);

	if (r < 0) {
		refuse(grant->grants, door, &grant->source, strerror(-r));
		return;
	}
	rule_free(grant->wanted);
	grant->wanted = wanted;
	grant->deadline_us = now_us + door->timeout_us;
	if (grant->state == UNCLOSED)
		set_due(grant, now_us);
}

void grants_open(struct grants *grants, const struct door *door, const struct address *source,
		 uint64_t now_us)
{
	struct grant *grant = find(grants, door->name, source);

	if (!grant) {
		open_new(grants, door, source, now_us);
	} else if (grant->state != CLOSING && grant->state != UNCLOSED &&
		   grant->deadline_us > now_us) {
		renew(grant, now_us + door->timeout_us, now_us);
	} else {
		knock_again(grant, door, now_us);
	}
}

/* A command that is opening it may finish first: then the deadline has come. */
static void end_now(struct grant *grant, uint64_t now_us)
{
	grant->wanted = rule_free(grant->wanted);
	grant->deadline_us = now_us;
	if (grant->state == OPEN || grant->state == UNTOLD || grant->state == UNCLOSED)
		set_due(grant, now_us);
}

void grants_close_all(struct grants *grants, uint64_t now_us)
{
	for (size_t i = 0; i < N_BUCKETS; i++)
		for (struct grant *grant = grants->buckets[i]; grant; grant = grant->next)
			end_now(grant, now_us);
	grants_run(grants, now_us);
}

static bool still_stands(const struct grant *grant, const struct door *door)
{
	struct rule *rule;
	bool same;

	if (!door || !door_allows(door, &grant->source) ||
	    rule_new(door, &grant->source, &rule) < 0)
		return false;
	same = rule_equal(rule, grant->rule);
	rule_free(rule);
	return same;
}

void grants_review(struct grants *grants, grants_find_fn find_door, void *userdata, uint64_t now_us)
{
	for (size_t i = 0; i < N_BUCKETS; i++)
		for (struct grant *grant = grants->buckets[i]; grant; grant = grant->next)
			if (!still_stands(grant, find_door(userdata, grant->door)))
				end_now(grant, now_us);
	grants_run(grants, now_us);
}

struct inheritance {
	struct grants *grants;
	enum grants_heritage heritage;
	uint64_t now_us;
};

/* The kernel is told once more, in case the predecessor died before it did. */
static void adopt(struct grant *grant, uint64_t now_us)
{
	grant->state = OPEN;
	grant->kept_us = grant->deadline_us;
	if (grant->deadline_us <= now_us)
		return;
	if (rule_expires(grant->rule)) {
		grant->adopting = true;
		keep(grant, now_us);
	} else {
		tell(grant, GRANT_ADOPTED, NULL, now_us);
	}
}

static void inherit(void *userdata, const char *name, struct stored_grant *stored, int error)
{
	const struct inheritance *inheritance = userdata;
	struct grants *grants = inheritance->grants;
	uint64_t now_us = inheritance->now_us;
	struct grant *grant;

	if (!stored) {
		grants->news(grants->userdata,
			     &(struct grant_news){
				     .event = error == -EINVAL ? GRANT_LOST : GRANT_UNREADABLE,
				     .reason = name,
			     });
		return;
	}
	if (inheritance->heritage == GRANTS_SWEEP && stored->deadline_us > now_us) {
		if (rule_expires(stored->rule)) {
			rule_free(stored->rule);
			return;
		}
		stored->deadline_us = now_us;
	}
	/* A command that may or may not have run is undone; whoever knocks again gets in. */
	if (!stored->open && !rule_expires(stored->rule))
		stored->deadline_us = 0;
	if (find(grants, stored->door, &stored->source) ||
	    grant_new(grants, stored->door, &stored->source, stored->rule, stored->deadline_us,
		      &grant) < 0) {
		rule_free(stored->rule);
		return;
	}
	grant->n_opened = stored->n_opened < OPENED_MAX ? stored->n_opened : OPENED_MAX;
	adopt(grant, now_us);
}

int grants_inherit(struct grants *grants, enum grants_heritage heritage, uint64_t now_us)
{
	struct inheritance inheritance = {grants, heritage, now_us};
	int r = store_read(grants->store, inherit, &inheritance);

	grants_run(grants, now_us);
	return r;
}

int grants_fd(const struct grants *grants)
{
	return firewall_fd(grants->firewall);
}

uint64_t grants_next_us(const struct grants *grants)
{
	const struct due *first = queue_first(&grants->queue);
	uint64_t commands_us = firewall_next_us(grants->firewall);

	return first && first->at_us < commands_us ? first->at_us : commands_us;
}

void grants_run(struct grants *grants, uint64_t now_us)
{
	struct due *due;

	firewall_process(grants->firewall, now_us);
	while ((due = queue_first(&grants->queue)) && due->at_us <= now_us) {
		struct grant *grant = (struct grant *)due;

		if (grant->state == OPENING || grant->state == RENEWING) {
			/* Its time is up before that was done. */
			firewall_hurry(grants->firewall, grant, now_us);
			set_due(grant, UINT64_MAX);
		} else if (grant->state == UNTOLD && !grant->wanted &&
			   grant->deadline_us > now_us) {
			keep(grant, now_us);
		} else {
			start_closing(grant, now_us);
		}
	}
}
