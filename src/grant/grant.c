/* The state machine of a grant. "Due" is that its time in the queue has come (grant_run), "done"
 * and "failed" how a command or a change of the firewall ended (at once, or by
 * grant_on_command_end).
 *
 *   state          due                   done           failed                  knock
 *   -------------  --------------------  -------------  ----------------------  ---------------
 *   (new)          -                     -              -                       save, OPENING
 *   PENDING_OPEN   open: OPENING;        -              -                       move deadline
 *                  too late: give up
 *   OPENING        kill the command      OPEN           undo it: CLOSING, or    move deadline
 *                                                       give up
 *   OPEN           close: CLOSING        -              -                       save, RENEWING
 *   RENEWING       kill the command      OPEN, or       OPEN, with the old      move deadline
 *                                        RENEWING if    deadline
 *                                        it has moved
 *   PENDING_RENEW  renew: RENEWING;      -              -                       save, RENEWING
 *                  too late: CLOSING
 *   CLOSING        -                     gone; OPENING  PENDING_CLOSE, with a   open it after
 *                                        if wanted, or  growing wait; gone if   that (wanted)
 *                                        PENDING_CLOSE  the kernel has ended
 *                                        if opened      it; OPENING if the
 *                                        more than once same is wanted
 *   PENDING_CLOSE  close: CLOSING        -              -                       the same, at once
 *
 * No room for a command (-EAGAIN): OPENING, RENEWING and CLOSING become PENDING_OPEN, PENDING_RENEW
 * and PENDING_CLOSE for a moment. "Give up": gone, or PENDING_CLOSE if it may be open from before.
 * An end (grant_end) makes the deadline now: it is due at once, or when its command has ended. A
 * listing that shows an OPEN grant missing, or with another deadline, makes it PENDING_RENEW. What
 * the kernel does not keep (a command's door) is never RENEWING: its deadline just moves. A knock
 * after the deadline counts as one while it is being closed. */
#include "grant/grant.h"

#include <errno.h>
#include <string.h>

#include "core/door.h"
#include "firewall/firewall.h"
#include "firewall/passage.h"
#include "grant/store.h"
#include "grant/table.h"
#include "util/cleanup.h"
#include "util/clock.h"

/* How far the kernel's deadline may be off: it counts in whole seconds. */
#define TOLERANCE_US (2 * US_PER_S)

/* How soon to try again when there is no room for another command. */
#define BUSY_US UINT64_C(20000)

enum { BACKOFF_MAX_S = 60 };

static const char unsaved[] = "cannot write its state file";

/* How long this host itself has it open for somebody: never longer than it is. */
static uint64_t grant_own_left(const struct grant *grant, const struct holder *own, uint64_t now_us)
{
	uint64_t until_us = own ? own->deadline_us : 0;

	if (until_us > grant->deadline_us)
		until_us = grant->deadline_us;
	return until_us > now_us ? until_us - now_us : 0;
}

static void grant_report(const struct grant *grant, enum event_kind kind, const char *reason,
			 uint64_t now_us)
{
	struct grants *grants = grant->grants;
	struct network network = {.prefix = 0};
	const struct holder *own = holders_latest_own(&grant->holders);

	passage_find_network(grant->passage, &network);
	grants->on_event(grants->userdata,
			 &(struct event){
				 .kind = kind,
				 .door = grant->door,
				 .source = grant->source,
				 .network = network,
				 .user = grant->user,
				 .knock = grant->knock,
				 .left_us = kind != EVENT_REFUSED && grant->deadline_us > now_us
						    ? grant->deadline_us - now_us
						    : 0,
				 .reason = reason,
				 .refusal = reason == unsaved ? REFUSAL_DISK : REFUSAL_FIREWALL,
				 .hand = kind == EVENT_CLOSED ? grant->closed_by : grant->hand,
				 .own_user = own ? own->user : NULL,
				 .own_left_us = grant_own_left(grant, own, now_us),
				 .own_stamp_us = own ? own->stamp_us : 0,
			 });
}

static void grant_set_due(struct grant *grant, uint64_t at_us)
{
	due_queue_move(&grant->grants->queue, &grant->due, at_us);
}

static uint64_t grant_time_left(const struct grant *grant, uint64_t now_us)
{
	return grant->deadline_us > now_us ? grant->deadline_us - now_us : 0;
}

bool grant_is_open(const struct grant *grant)
{
	return grant->state == GRANT_OPEN || grant->state == GRANT_RENEWING ||
	       grant->state == GRANT_PENDING_RENEW;
}

static bool grant_is_better_twin(const struct grant *grant, const struct grant *other,
				 const struct grant *twin)
{
	return other != grant && (grant_is_open(other) || other->state == GRANT_OPENING) &&
	       passage_equal(other->passage, grant->passage) &&
	       (!twin || other->deadline_us > twin->deadline_us);
}

/* Of a network, which other sources may have opened, too. */
static const struct grant *find_twin_of_network(const struct grant *asked)
{
	const struct grant *twin = NULL;

	FOR_EACH_GRANT (asked->grants, grant)
		if (grant_is_better_twin(asked, grant, twin))
			twin = grant;
	return twin;
}

/* Another open grant whose passage is the same element of the same set: the one that lasts longest.
 * Two doors may share a set, or two sources a network, and one must not close what the other has
 * opened, or opens at this moment. */
static const struct grant *grant_find_twin(const struct grant *grant)
{
	const struct grant *other = grants_first_of(grant->grants, &grant->source), *twin = NULL;
	struct network network;

	if (!grant->kernel_keeps)
		return NULL;
	if (passage_find_network(grant->passage, &network))
		return find_twin_of_network(grant);
	for (; other; other = other->next)
		if (address_equal(&other->source, &grant->source) &&
		    grant_is_better_twin(grant, other, twin))
			twin = other;
	return twin;
}

/* How long the kernel shall keep it: a twin's time must not be cut short. */
static uint64_t grant_time_wanted(const struct grant *grant, uint64_t now_us)
{
	const struct grant *twin = grant_find_twin(grant);

	return grant_time_left(twin && twin->deadline_us > grant->deadline_us ? twin : grant,
			       now_us);
}

static int grant_save(const struct grant *grant)
{
	bool is_opening = grant->state == GRANT_OPENING || grant->state == GRANT_PENDING_OPEN;
	struct stored_grant stored = {
		.source = grant->source,
		.deadline_us = grant->deadline_us,
		.state = is_opening ? STORED_OPENING : STORED_OPEN,
		.n_opened = grant->n_opened + is_opening,
		.holders = grant->holders,
		.passage = grant->passage,
		.seconds = grant->seconds,
	};

	memcpy(stored.door, grant->door, sizeof stored.door);
	memcpy(stored.user, grant->user, sizeof stored.user);
	return store_write(grant->grants->store, &stored);
}

static int grant_note_command(struct grant *grant, int r)
{
	grant->runs = r == FIREWALL_PENDING && !grant->kernel_keeps;
	if (grant->runs)
		door_count_add_command(&grant->grants->door_counts, grant->door);
	return r;
}

static bool grant_is_crowded(const struct grant *grant)
{
	return !grant->kernel_keeps &&
	       door_count_running(&grant->grants->door_counts, grant->door) >= GRANT_COMMANDS_MAX;
}

/* As firewall_open() and firewall_close(). */
static int grant_run_open(struct grant *grant, uint64_t left_us, uint64_t now_us)
{
	struct firewall *firewall = grant->grants->firewall;

	if (grant_is_crowded(grant))
		return -EAGAIN;
	return grant_note_command(grant,
				  firewall_open(firewall, grant->passage, left_us, now_us, grant));
}

static int grant_run_close(struct grant *grant, uint64_t now_us)
{
	struct firewall *firewall = grant->grants->firewall;

	if (grant_is_crowded(grant))
		return -EAGAIN;
	return grant_note_command(grant, firewall_close(firewall, grant->passage, now_us, grant));
}

/* It is of whoever of those that hold it has knocked last: the last visitor may be one no more.
 * What it opens, and so how long that was asked for, stays. */
static void grant_pass_on(struct grant *grant)
{
	const struct holder *last = &grant->holders.list[grant->holders.n - 1];

	if (strcmp(grant->user, last->user) != 0)
		grant_set_visitor(grant,
				  &(struct visitor){.user = last->user, .seconds = grant->seconds});
}

/* Nobody holds it by what was refused. If those whose it was have gone meanwhile, it ends. */
static void grant_revert(struct grant *grant, uint64_t deadline_us, uint64_t now_us)
{
	holders_revert(&grant->holders);
	if (grant->holders.n == 0)
		deadline_us = now_us;
	else
		grant_pass_on(grant);
	if (deadline_us < grant->deadline_us)
		grant->deadline_us = deadline_us;
	grant_save(grant);
}

/* What could not be renewed keeps its old deadline, in its state file as well. What the firewall
 * has lost and does not take back is reported once; reconciling goes on trying. */
static void on_renewal_failed(struct grant *grant, const char *problem, uint64_t now_us)
{
	bool is_renewal = grant->why == GRANT_WHY_RENEWED;

	if (is_renewal) {
		grant_report(grant, EVENT_REFUSED, problem, now_us);
		holders_refuse(&grant->holders);
		if (!grant->wanted)
			grant_revert(grant, grant->kept_us, now_us);
	}
	grant->state = GRANT_OPEN;
	grant_set_due(grant, grant->wanted ? now_us : grant->deadline_us);
	if (!is_renewal && !grant->missing && grant->deadline_us > now_us) {
		grant->missing = true;
		grant_report(grant, EVENT_MISSING, problem, now_us);
	}
}

/* The kernel has it until the deadline: it has taken it, or a listing shows it. */
static void grant_report_kept(struct grant *grant, enum grant_why why, uint64_t now_us)
{
	bool was_missing = grant->missing;

	grant->missing = false;
	if (grant->deadline_us <= now_us)
		return;
	if (why == GRANT_WHY_RENEWED)
		grant_report(grant, EVENT_RENEWED, NULL, now_us);
	else if (why == GRANT_WHY_RESTORED || was_missing)
		grant_report(grant, EVENT_RESTORED, "the firewall had lost it", now_us);
	else if (why == GRANT_WHY_ADOPTED)
		grant_report(grant, EVENT_ADOPTED, NULL, now_us);
}

static void grant_renew(struct grant *grant, enum grant_why why, uint64_t now_us);

static void on_renewed(struct grant *grant, uint64_t now_us)
{
	grant->kept_us = grant->asked_us;
	grant->kept_at_us = now_us;
	grant->adopted = false;
	holders_keep(&grant->holders);
	if (!grant->wanted && grant->deadline_us != grant->asked_us &&
	    grant->deadline_us > now_us) {
		grant_renew(grant, GRANT_WHY_RENEWED, now_us); /* it has moved meanwhile */
		return;
	}
	grant->state = GRANT_OPEN;
	grant_set_due(grant, grant->wanted ? now_us : grant->deadline_us);
	grant_report_kept(grant, grant->why, now_us);
}

/* Has the kernel keep the deadline of an open grant. */
static void grant_renew(struct grant *grant, enum grant_why why, uint64_t now_us)
{
	struct firewall *firewall = grant->grants->firewall;
	int r;

	grant->why = why;
	grant->asked_us = grant->deadline_us;
	holders_ask(&grant->holders);
	r = grant_run_open(grant, grant_time_wanted(grant, now_us), now_us);
	if (r == FIREWALL_DONE) {
		on_renewed(grant, now_us);
	} else if (r == FIREWALL_PENDING) {
		grant->state = GRANT_RENEWING;
		grant_set_due(grant, grant->deadline_us);
	} else if (r == -EAGAIN) {
		grant->state = GRANT_PENDING_RENEW;
		grant_set_due(grant, now_us + BUSY_US);
	} else {
		on_renewal_failed(grant, firewall_problem(firewall), now_us);
	}
}

static void on_opened(struct grant *grant, uint64_t now_us)
{
	grant->state = GRANT_OPEN;
	grant->n_opened = grant->kernel_keeps ? 1 : grant->n_opened + 1;
	/* Where a command has opened it, a successor has to know that it did. */
	if (!grant->kernel_keeps)
		grant_save(grant);
	grant->kept_us = grant->asked_us;
	grant->kept_at_us = now_us;
	if (!grant->kernel_keeps)
		holders_ask(&grant->holders);
	holders_keep(&grant->holders);
	grant_set_due(grant, grant->wanted ? now_us : grant->deadline_us);
	if (grant->adopted)
		grant_report(grant, EVENT_RESTORED, "a clean stop had closed it", now_us);
	else
		grant_report(grant, EVENT_OPENED, NULL, now_us);
	grant->adopted = false;
	if (grant->kernel_keeps)
		grants_reconcile_by(grant->grants, now_us + RECONCILE_US);
	if (grant->kernel_keeps && !grant->wanted && grant->deadline_us != grant->asked_us &&
	    grant->deadline_us > now_us)
		grant_renew(grant, GRANT_WHY_RENEWED, now_us);
}

/* It could not be opened. If it may still be open from before, it must be closed. */
static void grant_give_up(struct grant *grant, const char *problem, uint64_t now_us)
{
	grant_report(grant, EVENT_REFUSED, problem, now_us);
	if (grant->n_opened == 0) {
		grant_forget(grant);
		return;
	}
	grant->state = GRANT_PENDING_CLOSE;
	grant->deadline_us = now_us;
	grant_set_due(grant, now_us + US_PER_S);
}

static void on_opening_failed(struct grant *grant, int error, const char *problem, uint64_t now_us);

static void grant_begin_opening(struct grant *grant, uint64_t now_us)
{
	struct firewall *firewall = grant->grants->firewall;
	int r;

	grant->state = GRANT_OPENING;
	grant->asked_us = grant->deadline_us;
	holders_ask(&grant->holders);
	grant_set_due(grant, grant->deadline_us);
	r = grant_run_open(grant, grant_time_wanted(grant, now_us), now_us);
	if (r == FIREWALL_DONE) {
		on_opened(grant, now_us);
	} else if (r == -EAGAIN) {
		grant->state = GRANT_PENDING_OPEN;
		grant_set_due(grant, now_us + BUSY_US);
	} else if (r == -ENOENT)
		grant_give_up(grant, firewall_problem(firewall), now_us);
	else if (r < 0)
		on_opening_failed(grant, r, firewall_problem(firewall), now_us);
}

/* Saved first, then in the firewall. */
void grant_start(struct grant *grant, uint64_t now_us)
{
	grant->state = GRANT_OPENING;
	if (grant_save(grant) < 0)
		grant_give_up(grant, unsaved, now_us);
	else
		grant_begin_opening(grant, now_us);
}

/* Opens what was knocked for meanwhile. */
static void grant_reopen(struct grant *grant, uint64_t now_us)
{
	grant_set_passage(grant, TAKE_PTR(grant->wanted));
	grant->undone = false;
	grant->failures = 0;
	grant->closed_by = (struct hand){0};
	if (grant->deadline_us > now_us)
		grant_start(grant, now_us);
	else
		grant_give_up(grant, "closing the door took longer than it would have been open",
			      now_us);
}

/* It is closed. What a clean stop has closed early is saved for the successor. */
static void grant_finish(struct grant *grant, uint64_t now_us)
{
	struct stored_grant stored = {
		.source = grant->source,
		.deadline_us = grant->resumed_us,
		.state = STORED_CLOSED,
		.holders = grant->holders,
		.passage = grant->passage,
		.seconds = grant->seconds,
	};

	memcpy(stored.door, grant->door, sizeof stored.door);
	memcpy(stored.user, grant->user, sizeof stored.user);
	if (grant->resumed_us > now_us && store_write(grant->grants->store, &stored) == 0)
		grant_forget_but_file(grant);
	else
		grant_forget(grant);
}

/* What was opened once more because it could not be closed is closed once more. */
static void on_closed(struct grant *grant, uint64_t now_us)
{
	if (grant->n_opened > 1) {
		grant->n_opened--;
		grant->state = GRANT_PENDING_CLOSE;
		grant_set_due(grant, now_us);
		return;
	}
	grant->n_opened = 0;
	if (!grant->unannounced)
		grant_report(grant, EVENT_CLOSED, NULL, now_us);
	grant->unannounced = false;
	if (grant->wanted)
		grant_reopen(grant, now_us);
	else
		grant_finish(grant, now_us);
}

/* What the kernel ends by itself is over at the deadline that it keeps, whatever we could not do
 * about it, and at once if there is no such place in the firewall any more. A visitor who has
 * knocked meanwhile is let in: the firewall may have been changed behind our back. */
static void on_closing_failed(struct grant *grant, int error, const char *problem, uint64_t now_us)
{
	unsigned wait_s = 1u << (grant->failures < 6 ? grant->failures : 6);

	if (grant->undone || (grant->kernel_keeps && error == -ENOENT)) {
		grant->n_opened = 0;
		on_closed(grant, now_us);
		return;
	}
	grant_report(grant, EVENT_CLOSE_FAILED, problem, now_us);
	if (grant->kernel_keeps && grant->kept_us + US_PER_S <= now_us) {
		grant->n_opened = 0;
		on_closed(grant, now_us);
		return;
	}
	if (grant->wanted && passage_equal(grant->wanted, grant->passage) &&
	    grant->n_opened < GRANT_OPENED_MAX) {
		grant_reopen(grant, now_us);
		return;
	}
	grant->failures++;
	grant->state = GRANT_PENDING_CLOSE;
	grant_set_due(grant, now_us + (wait_s < BACKOFF_MAX_S ? wait_s : BACKOFF_MAX_S) * US_PER_S);
}

/* What another grant holds open as well stays open, as long as that one lasts. */
static int grant_release(struct grant *grant, uint64_t now_us)
{
	const struct grant *twin = grant_find_twin(grant);

	if (twin && twin->deadline_us > now_us)
		return grant_run_open(grant, grant_time_left(twin, now_us), now_us);
	return grant_run_close(grant, now_us);
}

static void grant_begin_closing(struct grant *grant, uint64_t now_us)
{
	struct firewall *firewall = grant->grants->firewall;
	int r = grant_release(grant, now_us);

	if (r == FIREWALL_PENDING) {
		grant->state = GRANT_CLOSING;
		grant_set_due(grant, UINT64_MAX);
	} else if (r == FIREWALL_DONE) {
		on_closed(grant, now_us);
	} else if (r == -EAGAIN) {
		grant->state = GRANT_PENDING_CLOSE;
		grant_set_due(grant, now_us + BUSY_US);
	} else {
		on_closing_failed(grant, r, firewall_problem(firewall), now_us);
	}
}

/* It may be half done, even where it says that it is not: the kernel's answer can get lost. If it
 * failed by itself, taking that back is tried once, since there may be nothing to take back; if it
 * was killed, until that succeeds. */
static void on_opening_failed(struct grant *grant, int error, const char *problem, uint64_t now_us)
{
	if (error != -ETIMEDOUT && grant->n_opened > 0) {
		grant_give_up(grant, problem, now_us);
		return;
	}
	grant_report(grant, EVENT_REFUSED, problem, now_us);
	grant->unannounced = grant->n_opened++ == 0;
	grant->undone = error != -ETIMEDOUT;
	grant_begin_closing(grant, now_us);
}

/* A command has ended. */
void grant_on_command_end(void *owner, int error, const char *problem, uint64_t now_us)
{
	struct grant *grant = owner;

	if (grant->runs)
		door_count_remove_command(&grant->grants->door_counts, grant->door);
	grant->runs = false;
	if (grant->state == GRANT_OPENING && error == 0)
		on_opened(grant, now_us);
	else if (grant->state == GRANT_OPENING)
		on_opening_failed(grant, error, problem, now_us);
	else if (grant->state == GRANT_RENEWING && error == 0)
		on_renewed(grant, now_us);
	else if (grant->state == GRANT_RENEWING)
		on_renewal_failed(grant, problem, now_us);
	else if (error == 0)
		on_closed(grant, now_us);
	else
		on_closing_failed(grant, error, problem, now_us);
}

/* What the kernel does not keep lasts as long as we say. */
static void on_moved(struct grant *grant, uint64_t now_us)
{
	holders_ask(&grant->holders);
	holders_keep(&grant->holders);
	grant_report(grant, EVENT_RENEWED, NULL, now_us);
}

/* Moves the deadline, which is saved first, too. On failure the old deadline stays, but never a
 * later one: what nobody holds any more closes, whether that can be saved or not. */
static void grant_move_deadline(struct grant *grant, uint64_t deadline_us, uint64_t now_us)
{
	uint64_t old_deadline_us = grant->deadline_us;
	bool is_idle = grant->state == GRANT_OPEN || grant->state == GRANT_PENDING_RENEW;

	grant->deadline_us = deadline_us;
	if (grant_save(grant) < 0 && deadline_us >= old_deadline_us) {
		grant_report(grant, EVENT_REFUSED, unsaved, now_us);
		grant_revert(grant, old_deadline_us, now_us);
	} else if (grant->kernel_keeps && is_idle) {
		grant_renew(grant, GRANT_WHY_RENEWED, now_us);
	} else if (grant->state != GRANT_PENDING_OPEN) {
		grant_set_due(grant, deadline_us);
		if (grant->state == GRANT_OPEN)
			on_moved(grant, now_us);
	}
}

/* A knock while it is being closed: it is opened again after that, as the door is now. */
static void grant_knock_again(struct grant *grant, const struct door *door,
			      const struct visitor *visitor, uint64_t now_us)
{
	struct passage *wanted;
	uint64_t deadline_us = now_us + door_timeout_us(door, visitor->seconds);
	int r = door_passage_new(door, visitor, &wanted);

	if (r == 0) {
		holders_done(&grant->holders);
		r = holders_put(&grant->holders, visitor, deadline_us);
		if (r < 0)
			passage_free(wanted);
	}
	if (r < 0) {
		grant_report(grant, EVENT_REFUSED, strerror(-r), now_us);
		return;
	}
	passage_free(grant->wanted);
	grant->wanted = wanted;
	grant_set_visitor(grant, visitor);
	grant->deadline_us = deadline_us;
	if (grant->state == GRANT_PENDING_CLOSE)
		grant_set_due(grant, now_us);
}

void grant_suspend(struct grant *grant, uint64_t now_us)
{
	if (grant->state != GRANT_CLOSING && grant->state != GRANT_PENDING_CLOSE)
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
	if (grant->state != GRANT_OPENING && grant->state != GRANT_RENEWING &&
	    grant->state != GRANT_CLOSING)
		grant_set_due(grant, now_us);
}

void grant_adopt(struct grant *grant, uint64_t now_us)
{
	grant->state = GRANT_OPEN;
	grant->kept_us = grant->deadline_us;
	holders_ask(&grant->holders);
	holders_keep(&grant->holders);
	if (grant->deadline_us <= now_us)
		return;
	if (grant->kernel_keeps) {
		grant->adopted = true;
		grants_reconcile_by(grant->grants, now_us);
	} else {
		grant_report(grant, EVENT_ADOPTED, NULL, now_us);
	}
}

bool grant_should_show(const struct grant *grant, uint64_t now_us)
{
	return grant->state == GRANT_OPEN && !grant->wanted && grant->kernel_keeps &&
	       grant_time_left(grant, now_us) > US_PER_S;
}

/* A kernel that has it for much longer or shorter is given the deadline again: a predecessor may
 * have died before it did so, or the wall clock that iptables goes by was set. */
void grant_found(struct grant *grant, enum firewall_answer answer, uint64_t left_us,
		 uint64_t asked_us, uint64_t now_us)
{
	enum grant_why why = grant->adopted ? GRANT_WHY_ADOPTED : GRANT_WHY_RESYNC;
	uint64_t wanted_us = grant_time_wanted(grant, now_us);

	if (!grant_should_show(grant, now_us) || grant->kept_at_us > asked_us)
		return;
	grant->adopted = false;
	if (answer == FIREWALL_ABSENT && !grant->missing)
		why = GRANT_WHY_RESTORED;
	if (answer == FIREWALL_SPELLED && why != GRANT_WHY_ADOPTED)
		left_us = wanted_us;
	if ((answer == FIREWALL_PRESENT || answer == FIREWALL_SPELLED) &&
	    left_us < wanted_us + TOLERANCE_US && wanted_us < left_us + TOLERANCE_US) {
		grant_report_kept(grant, why, now_us);
		return;
	}
	/* When it is its turn: somebody may have flushed thousands. */
	grant->why = why;
	grant->state = GRANT_PENDING_RENEW;
	grant_set_due(grant, now_us);
}

/* Where the user matters to what closes it, the grant stays with whoever opened it. */
static void grant_change_visitor(struct grant *grant, const struct door *door,
				 const struct visitor *visitor)
{
	struct passage *passage;

	if (door_passage_new(door, visitor, &passage) < 0)
		return;
	if (passage_equal(passage, grant->passage))
		grant_set_visitor(grant, visitor);
	passage_free(passage);
}

void grant_knock(struct grant *grant, const struct door *door, const struct visitor *visitor,
		 uint64_t now_us)
{
	uint64_t deadline_us = now_us + door_timeout_us(door, visitor->seconds);
	int r;

	if (grant->state == GRANT_CLOSING || grant->state == GRANT_PENDING_CLOSE ||
	    grant->deadline_us <= now_us) {
		grant_knock_again(grant, door, visitor, now_us);
		return;
	}
	r = holders_put(&grant->holders, visitor, deadline_us);
	if (r < 0) {
		grant_report(grant, EVENT_REFUSED, strerror(-r), now_us);
		return;
	}
	grant_change_visitor(grant, door, visitor);
	grant_move_deadline(
		grant, deadline_us > grant->deadline_us ? deadline_us : grant->deadline_us, now_us);
}

void grant_keep_holders(struct grant *grant, holders_keep_fn keep, void *userdata, uint64_t now_us)
{
	bool is_closing = grant->state == GRANT_CLOSING || grant->state == GRANT_PENDING_CLOSE;
	const struct holder *latest;

	if (holders_drop(&grant->holders, keep, userdata) == 0)
		return;
	latest = holders_latest(&grant->holders);
	if (!latest || latest->deadline_us <= now_us) {
		grant_end(grant, now_us);
		return;
	}
	grant_pass_on(grant);
	if (is_closing && latest->deadline_us < grant->deadline_us)
		grant->deadline_us = latest->deadline_us;
	else if (latest->deadline_us < grant->deadline_us)
		grant_move_deadline(grant, latest->deadline_us, now_us);
	else if (!is_closing)
		grant_save(grant);
	/* It may be others who hold it now. */
	if (!is_closing)
		grant_report(grant, EVENT_HELD, NULL, now_us);
}

void grant_view(const struct grant *grant, uint64_t now_us, struct grant_view *ret)
{
	const struct holder *own = holders_latest_own(&grant->holders);
	struct network network;

	*ret = (struct grant_view){
		.door = grant->door,
		.source = grant->source,
		.prefix = passage_find_network(grant->passage, &network) ? network_length(&network)
									 : 0,
		.user = grant->user,
		.knock = grant->knock,
		.hand = grant->hand,
		.left_us = grant->deadline_us - now_us,
		.own_user = own ? own->user : NULL,
		.own_left_us = grant_own_left(grant, own, now_us),
		.own_stamp_us = own ? own->stamp_us : 0,
		.missing = grant->missing,
	};
}

void grant_run(struct grant *grant, uint64_t now_us)
{
	if (grant->state == GRANT_OPENING || grant->state == GRANT_RENEWING) {
		/* Its time is up before that was done. */
		firewall_hurry(grant->grants->firewall, grant, now_us);
		grant_set_due(grant, UINT64_MAX);
	} else if (grant->state == GRANT_PENDING_RENEW && !grant->wanted &&
		   grant->deadline_us > now_us) {
		grant_renew(grant, grant->why, now_us);
	} else if (grant->state == GRANT_PENDING_OPEN && grant->deadline_us > now_us) {
		grant_begin_opening(grant, now_us);
	} else if (grant->state == GRANT_PENDING_OPEN) {
		grant_give_up(grant, "too many commands are running", now_us);
	} else {
		grant_begin_closing(grant, now_us);
	}
}
