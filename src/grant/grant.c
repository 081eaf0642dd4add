#include "grant/grant.h"

#include <errno.h>
#include <string.h>

#include "core/placeholder.h"
#include "firewall/backends.h"
#include "firewall/firewall.h"
#include "firewall/passage.h"
#include "grant/reconcile.h"
#include "grant/store.h"
#include "util/cleanup.h"

#define US_PER_S UINT64_C(1000000)

/* How far the kernel's deadline may be off: it counts in whole seconds. */
#define TOLERANCE_US (2 * US_PER_S)

/* When all places for commands are taken, how soon to try again. */
#define BUSY_US UINT64_C(20000)

enum { BACKOFF_MAX_S = 60 };

int grant_passage_new(const struct door *door, const struct visitor *visitor, struct passage **ret)
{
	const struct placeholder_values values = placeholder_values(door, visitor);

	return passage_new(&door->opening, &values, ret);
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
			     .user = grant->user,
			     .way = grant->way,
			     .left_us = event != GRANT_REFUSED && grant->deadline_us > now_us
						? grant->deadline_us - now_us
						: 0,
			     .reason = reason,
		     });
}

struct visitor grant_visitor(const struct grant *grant)
{
	return (struct visitor){
		.source = grant->source,
		.user = grant->user,
		.way = grant->way,
		.seconds = grant->seconds,
	};
}

void grant_take_visitor(struct grant *grant, const struct visitor *visitor)
{
	const char *user = visitor->user ? visitor->user : "";

	memmove(grant->user, user, strlen(user) + 1);
	grant->way = visitor->way;
	grant->seconds = visitor->seconds;
}

static void set_due(struct grant *grant, uint64_t at_us)
{
	due_queue_move(&grant->grants->queue, &grant->due, at_us);
}

static uint64_t time_left(const struct grant *grant, uint64_t now_us)
{
	return grant->deadline_us > now_us ? grant->deadline_us - now_us : 0;
}

bool grant_is_open(const struct grant *grant)
{
	return grant->state == OPEN || grant->state == RENEWING || grant->state == UNTOLD;
}

/* Another open grant whose rule is the same element of the same set: the one that lasts longest.
 * Two doors may share a set, and one must not close what the other has opened. */
static const struct grant *find_twin(const struct grant *grant)
{
	const struct grant *other = *grants_bucket(grant->grants, &grant->source), *twin = NULL;

	if (!passage_expires(grant->passage))
		return NULL;
	for (; other; other = other->next)
		if (other != grant && grant_is_open(other) &&
		    address_equal(&other->source, &grant->source) &&
		    passage_equal(other->passage, grant->passage) &&
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
	bool is_opening = grant->state == OPENING || grant->state == WAITING;
	struct stored_grant stored = {
		.source = grant->source,
		.deadline_us = grant->deadline_us,
		.state = is_opening ? STORED_OPENING : STORED_OPEN,
		.n_opened = grant->n_opened + is_opening,
		.passage = grant->passage,
		.seconds = grant->seconds,
	};

	memcpy(stored.door, grant->door, sizeof stored.door);
	memcpy(stored.user, grant->user, sizeof stored.user);
	return store_write(grant->grants->store, &stored);
}

static int began(struct grant *grant, int r)
{
	grant->runs = r == FIREWALL_PENDING && !passage_expires(grant->passage);
	if (grant->runs)
		door_count_begin(&grant->grants->door_counts, grant->door);
	return r;
}

static bool is_crowded(const struct grant *grant)
{
	return !passage_expires(grant->passage) &&
	       door_count_running(&grant->grants->door_counts, grant->door) >= GRANT_COMMANDS_MAX;
}

/* As firewall_open() and firewall_close(). */
static int begin_open(struct grant *grant, uint64_t left_us, uint64_t now_us)
{
	struct firewall *firewall = grant->grants->firewall;

	if (is_crowded(grant))
		return -EAGAIN;
	return began(grant, firewall_open(firewall, grant->passage, left_us, now_us, grant));
}

static int begin_close(struct grant *grant, uint64_t now_us)
{
	struct firewall *firewall = grant->grants->firewall;

	if (is_crowded(grant))
		return -EAGAIN;
	return began(grant, firewall_close(firewall, grant->passage, now_us, grant));
}

/* What could not be renewed keeps its old deadline, on record, too. What the firewall has lost and
 * does not take back is told once; the survey goes on trying. */
static void not_kept(struct grant *grant, const char *problem, uint64_t now_us)
{
	bool is_renewal = grant->retelling == RETOLD_RENEWED;

	if (is_renewal && grant->kept_us < grant->deadline_us) {
		grant->deadline_us = grant->kept_us;
		record(grant);
	}
	grant->state = OPEN;
	set_due(grant, grant->wanted ? now_us : grant->deadline_us);
	if (is_renewal) {
		tell(grant, GRANT_REFUSED, problem, now_us);
	} else if (!grant->missing && grant->deadline_us > now_us) {
		grant->missing = true;
		tell(grant, GRANT_MISSING, problem, now_us);
	}
}

/* The kernel has it until the deadline, by its own account or by its answer. */
static void settle(struct grant *grant, enum retelling retelling, uint64_t now_us)
{
	bool was_missing = grant->missing;

	grant->missing = false;
	if (grant->deadline_us <= now_us)
		return;
	if (retelling == RETOLD_RENEWED)
		tell(grant, GRANT_RENEWED, NULL, now_us);
	else if (retelling == RETOLD_RESTORED || was_missing)
		tell(grant, GRANT_RESTORED, "the firewall had lost it", now_us);
	else if (retelling == RETOLD_ADOPTED)
		tell(grant, GRANT_ADOPTED, NULL, now_us);
}

static void keep(struct grant *grant, enum retelling retelling, uint64_t now_us);

static void kept(struct grant *grant, uint64_t now_us)
{
	grant->kept_us = grant->asked_us;
	grant->told_us = now_us;
	grant->adopted = false;
	if (!grant->wanted && grant->deadline_us != grant->asked_us &&
	    grant->deadline_us > now_us) {
		keep(grant, RETOLD_RENEWED, now_us); /* it has moved meanwhile */
		return;
	}
	grant->state = OPEN;
	set_due(grant, grant->wanted ? now_us : grant->deadline_us);
	settle(grant, grant->retelling, now_us);
}

/* Has the kernel keep the deadline of an open grant. */
static void keep(struct grant *grant, enum retelling retelling, uint64_t now_us)
{
	struct firewall *firewall = grant->grants->firewall;
	int r;

	grant->retelling = retelling;
	grant->asked_us = grant->deadline_us;
	r = begin_open(grant, time_wanted(grant, now_us), now_us);
	if (r == FIREWALL_DONE) {
		kept(grant, now_us);
	} else if (r == FIREWALL_PENDING) {
		grant->state = RENEWING;
		set_due(grant, grant->deadline_us);
	} else if (r == -EAGAIN) {
		grant->state = UNTOLD;
		set_due(grant, now_us + BUSY_US);
	} else {
		not_kept(grant, firewall_problem(firewall), now_us);
	}
}

static void opened(struct grant *grant, uint64_t now_us)
{
	grant->state = OPEN;
	grant->n_opened = passage_expires(grant->passage) ? 1 : grant->n_opened + 1;
	/* Where a command has opened it, a successor has to know that it did. */
	if (!passage_expires(grant->passage))
		record(grant);
	grant->kept_us = grant->asked_us;
	grant->told_us = now_us;
	set_due(grant, grant->wanted ? now_us : grant->deadline_us);
	if (grant->adopted)
		tell(grant, GRANT_RESTORED, "a clean stop had closed it", now_us);
	else
		tell(grant, GRANT_OPENED, NULL, now_us);
	grant->adopted = false;
	if (passage_expires(grant->passage))
		survey_by(grant->grants, now_us + SURVEY_US);
	if (passage_expires(grant->passage) && !grant->wanted &&
	    grant->deadline_us != grant->asked_us && grant->deadline_us > now_us)
		keep(grant, RETOLD_RENEWED, now_us);
}

/* It could not be opened. If it may still be open from before, it has to be closed all the same. */
static void give_up(struct grant *grant, const char *problem, uint64_t now_us)
{
	tell(grant, GRANT_REFUSED, problem, now_us);
	if (grant->n_opened == 0) {
		grant_forget(grant);
		return;
	}
	grant->state = UNCLOSED;
	grant->deadline_us = now_us;
	set_due(grant, now_us + US_PER_S);
}

static void opening_failed(struct grant *grant, int error, const char *problem, uint64_t now_us);

static void try_to_open(struct grant *grant, uint64_t now_us)
{
	struct firewall *firewall = grant->grants->firewall;
	int r;

	grant->state = OPENING;
	grant->asked_us = grant->deadline_us;
	set_due(grant, grant->deadline_us);
	r = begin_open(grant, time_wanted(grant, now_us), now_us);
	if (r == FIREWALL_DONE) {
		opened(grant, now_us);
	} else if (r == -EAGAIN) {
		grant->state = WAITING;
		set_due(grant, now_us + BUSY_US);
	} else if (r == -ENOENT)
		give_up(grant, firewall_problem(firewall), now_us);
	else if (r < 0)
		opening_failed(grant, r, firewall_problem(firewall), now_us);
}

/* On record first, then in the firewall. */
void grant_start(struct grant *grant, uint64_t now_us)
{
	grant->state = OPENING;
	if (record(grant) < 0)
		give_up(grant, "its record cannot be written", now_us);
	else
		try_to_open(grant, now_us);
}

/* Opens what was knocked for meanwhile. */
static void reopen(struct grant *grant, uint64_t now_us)
{
	passage_free(grant->passage);
	grant->passage = TAKE_PTR(grant->wanted);
	grant->undone = false;
	grant->failures = 0;
	if (grant->deadline_us > now_us)
		grant_start(grant, now_us);
	else
		give_up(grant, "closing the door took longer than it would have been open", now_us);
}

/* It is closed. What a clean stop has closed early goes on record for the successor. */
static void leave(struct grant *grant, uint64_t now_us)
{
	struct stored_grant stored = {
		.source = grant->source,
		.deadline_us = grant->resumed_us,
		.state = STORED_CLOSED,
		.passage = grant->passage,
		.seconds = grant->seconds,
	};

	memcpy(stored.door, grant->door, sizeof stored.door);
	memcpy(stored.user, grant->user, sizeof stored.user);
	if (grant->resumed_us > now_us && store_write(grant->grants->store, &stored) == 0)
		grant_forget_but_record(grant);
	else
		grant_forget(grant);
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
		leave(grant, now_us);
}

/* What the kernel ends by itself is over at the deadline that it keeps, whatever we could not do
 * about it, and at once if there is no such place in the firewall any more. Who has knocked
 * meanwhile is let in: the firewall may well have been closed behind our back. */
static void close_failed(struct grant *grant, int error, const char *problem, uint64_t now_us)
{
	unsigned wait_s = 1u << (grant->failures < 6 ? grant->failures : 6);

	if (grant->undone || (passage_expires(grant->passage) && error == -ENOENT)) {
		grant->n_opened = 0;
		closed(grant, now_us);
		return;
	}
	tell(grant, GRANT_CLOSE_FAILED, problem, now_us);
	if (passage_expires(grant->passage) && grant->kept_us + US_PER_S <= now_us) {
		grant->n_opened = 0;
		closed(grant, now_us);
		return;
	}
	if (grant->wanted && passage_equal(grant->wanted, grant->passage) &&
	    grant->n_opened < GRANT_OPENED_MAX) {
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
	const struct grant *twin = find_twin(grant);

	if (twin && twin->deadline_us > now_us)
		return begin_open(grant, time_left(twin, now_us), now_us);
	return begin_close(grant, now_us);
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
		close_failed(grant, r, firewall_problem(firewall), now_us);
	}
}

/* It may have come half the way, even where it says that it has not: an answer of the kernel's can
 * get lost. If it failed by itself, taking that back is tried once, since there may be nothing to
 * take back; if it was killed, until that succeeds. */
static void opening_failed(struct grant *grant, int error, const char *problem, uint64_t now_us)
{
	if (error != -ETIMEDOUT && grant->n_opened > 0) {
		give_up(grant, problem, now_us);
		return;
	}
	tell(grant, GRANT_REFUSED, problem, now_us);
	grant->unannounced = grant->n_opened++ == 0;
	grant->undone = error != -ETIMEDOUT;
	start_closing(grant, now_us);
}

/* A command has ended. */
void grant_done(void *owner, int error, const char *problem, uint64_t now_us)
{
	struct grant *grant = owner;

	if (grant->runs)
		door_count_end(&grant->grants->door_counts, grant->door);
	grant->runs = false;
	if (grant->state == OPENING && error == 0)
		opened(grant, now_us);
	else if (grant->state == OPENING)
		opening_failed(grant, error, problem, now_us);
	else if (grant->state == RENEWING && error == 0)
		kept(grant, now_us);
	else if (grant->state == RENEWING)
		not_kept(grant, problem, now_us);
	else if (error == 0)
		closed(grant, now_us);
	else
		close_failed(grant, error, problem, now_us);
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
	} else if (passage_expires(grant->passage) && is_idle) {
		keep(grant, RETOLD_RENEWED, now_us);
	} else if (grant->state != WAITING) {
		set_due(grant, deadline_us);
		if (grant->state == OPEN)
			tell(grant, GRANT_RENEWED, NULL, now_us);
	}
}

/* A knock while it is being closed: it is opened again after that, as the door is now. */
static void knock_again(struct grant *grant, const struct door *door, const struct visitor *visitor,
			uint64_t now_us)
{
	struct passage *wanted;
	int r = grant_passage_new(door, visitor, &wanted);

	if (r < 0) {
		tell(grant, GRANT_REFUSED, strerror(-r), now_us);
		return;
	}
	passage_free(grant->wanted);
	grant->wanted = wanted;
	grant_take_visitor(grant, visitor);
	grant->deadline_us = now_us + door_timeout_us(door, visitor->seconds);
	if (grant->state == UNCLOSED)
		set_due(grant, now_us);
}

void grant_suspend(struct grant *grant, uint64_t now_us)
{
	if (grant->state != CLOSING && grant->state != UNCLOSED)
		grant->resumed_us = grant->deadline_us;
	grant_end(grant, now_us);
}

void grant_resume(struct grant *grant, uint64_t now_us)
{
	grant->adopted = true;
	grant_start(grant, now_us);
}

/* A command that is opening it may finish first: then the deadline has come. */
void grant_end(struct grant *grant, uint64_t now_us)
{
	grant->wanted = passage_free(grant->wanted);
	grant->deadline_us = now_us;
	if (grant->state != OPENING && grant->state != RENEWING && grant->state != CLOSING)
		set_due(grant, now_us);
}

void grant_adopt(struct grant *grant, uint64_t now_us)
{
	grant->state = OPEN;
	grant->kept_us = grant->deadline_us;
	if (grant->deadline_us <= now_us)
		return;
	if (passage_expires(grant->passage)) {
		grant->adopted = true;
		survey_by(grant->grants, now_us);
	} else {
		tell(grant, GRANT_ADOPTED, NULL, now_us);
	}
}

bool grant_should_show(const struct grant *grant, uint64_t now_us)
{
	return grant->state == OPEN && !grant->wanted && passage_expires(grant->passage) &&
	       time_left(grant, now_us) > US_PER_S;
}

/* A kernel that has it for much longer or shorter is told anew: a predecessor may have died before
 * it told the kernel of a new deadline, or the wall clock that iptables goes by was set. */
void grant_found(struct grant *grant, enum firewall_answer answer, uint64_t left_us,
		 uint64_t asked_us, uint64_t now_us)
{
	enum retelling retelling = grant->adopted ? RETOLD_ADOPTED : RETOLD_ANYHOW;
	uint64_t wanted_us = time_wanted(grant, now_us);

	if (!grant_should_show(grant, now_us) || grant->told_us > asked_us)
		return;
	grant->adopted = false;
	if (answer == FIREWALL_ABSENT && !grant->missing)
		retelling = RETOLD_RESTORED;
	if (answer == FIREWALL_SPELLED && retelling != RETOLD_ADOPTED)
		left_us = wanted_us;
	if ((answer == FIREWALL_PRESENT || answer == FIREWALL_SPELLED) &&
	    left_us < wanted_us + TOLERANCE_US && wanted_us < left_us + TOLERANCE_US) {
		settle(grant, retelling, now_us);
		return;
	}
	/* In its turn: somebody may have flushed thousands. */
	grant->retelling = retelling;
	grant->state = UNTOLD;
	set_due(grant, now_us);
}

/* Whose grant it is matters to what closes it: then it stays who opened it. */
static void change_visitor(struct grant *grant, const struct door *door,
			   const struct visitor *visitor)
{
	struct passage *passage;

	if (grant_passage_new(door, visitor, &passage) < 0)
		return;
	if (passage_equal(passage, grant->passage))
		grant_take_visitor(grant, visitor);
	passage_free(passage);
}

void grant_knock(struct grant *grant, const struct door *door, const struct visitor *visitor,
		 uint64_t now_us)
{
	uint64_t deadline_us = now_us + door_timeout_us(door, visitor->seconds);

	if (grant->state == CLOSING || grant->state == UNCLOSED || grant->deadline_us <= now_us) {
		knock_again(grant, door, visitor, now_us);
		return;
	}
	change_visitor(grant, door, visitor);
	renew(grant, deadline_us > grant->deadline_us ? deadline_us : grant->deadline_us, now_us);
}

void grant_run(struct grant *grant, uint64_t now_us)
{
	if (grant->state == OPENING || grant->state == RENEWING) {
		/* Its time is up before that was done. */
		firewall_hurry(grant->grants->firewall, grant, now_us);
		set_due(grant, UINT64_MAX);
	} else if (grant->state == UNTOLD && !grant->wanted && grant->deadline_us > now_us) {
		keep(grant, grant->retelling, now_us);
	} else if (grant->state == WAITING && grant->deadline_us > now_us) {
		try_to_open(grant, now_us);
	} else if (grant->state == WAITING) {
		give_up(grant, "too many commands run", now_us);
	} else {
		start_closing(grant, now_us);
	}
}
