#include "fleet/agent/errands.h"

#include <errno.h>
#include <stdio.h>

#include "fleet/config.h"
#include "fleet/ledger.h"
#include "util/clock.h"
#include "util/log.h"

/* Calls under way: the system bus lets a peer have 128. A daemon writes what was used one by one.
 */
static const size_t asked_max[N_ERRANDS] = {
	[ERRAND_CLOSE] = 32, [ERRAND_BURN] = 4, [ERRAND_OPEN] = 32};

/* How often a refusal is logged at most. */
#define QUIET_US (60 * US_PER_S)

static enum errand entry_errand(const struct ledger_entry *entry)
{
	switch (entry->message.kind) {
	case FLEET_CLOSED:
	case FLEET_SHUT:
		return ERRAND_CLOSE;
	case FLEET_BURNT:
		return ERRAND_BURN;
	default:
		return ERRAND_OPEN;
	}
}

static void queue_unlink(struct errands *errands, struct ledger_entry *entry)
{
	struct errand_queue *queue = &errands->queues[entry->errand];

	if (entry->previous_due)
		entry->previous_due->next_due = entry->next_due;
	else
		queue->first = entry->next_due;
	if (entry->next_due)
		entry->next_due->previous_due = entry->previous_due;
	else
		queue->last = entry->previous_due;
	entry->is_queued = false;
}

void errands_add(struct errands *errands, struct ledger_entry *entry)
{
	struct errand_queue *queue;

	entry->is_due = true;
	/* In order: its last word is still on its way. */
	if (entry->is_asked)
		return;
	if (entry->is_queued && entry->errand == entry_errand(entry))
		return;
	if (entry->is_queued)
		queue_unlink(errands, entry);
	entry->errand = entry_errand(entry);
	queue = &errands->queues[entry->errand];
	entry->is_queued = true;
	entry->next_due = NULL;
	entry->previous_due = queue->last;
	if (queue->last)
		queue->last->next_due = entry;
	else
		queue->first = entry;
	queue->last = entry;
}

static int errand_open(const struct errands *errands, struct ledger_entry *entry, const char *door,
		       const char *source)
{
	const struct fleet_message *message = &entry->message;
	uint64_t now_us = clock_us(CLOCK_REALTIME), until_us = message->until_us;
	char visitor[VISITOR_NAME_MAX + 1];
	const char *knock = knock_kind_name(message->knock);

	if (entry->is_void || until_us <= now_us + US_PER_S)
		return -ESTALE;
	/* By a clock that is behind the host's it must not last longer than there. */
	if (until_us - now_us > message->until_us - message->stamp_us)
		until_us = now_us + (message->until_us - message->stamp_us);
	if (entry->is_shorter)
		local_close(errands->local, door, source, message->host, message->stamp_us, NULL);
	entry->is_shorter = false;
	snprintf(visitor, sizeof visitor, "%s@%s", message->user, message->host);
	return local_open(errands->local, door, source, visitor, knock ? knock : "", until_us,
			  message->stamp_us, entry);
}

/* 0: there will be an answer. */
static int errand_ask(const struct errands *errands, struct ledger_entry *entry)
{
	const struct fleet_message *message = &entry->message;
	const char *door = fleet_config_door(errands->config, message->door);
	char source[ADDRESS_TEXT_MAX];

	if (entry->errand == ERRAND_BURN)
		return local_burn(errands->local, message, entry);
	if (!door)
		return -ESTALE;
	address_format(&message->source, source);
	if (entry->errand == ERRAND_OPEN)
		return errand_open(errands, entry, door, source);
	return local_close(errands->local, door, source,
			   message->kind == FLEET_SHUT ? "" : message->host, message->stamp_us,
			   entry);
}

static void queue_run(struct errands *errands, enum errand errand)
{
	struct errand_queue *queue = &errands->queues[errand];

	while (queue->first && !queue->is_waiting && queue->n_asked < asked_max[errand] &&
	       local_is_there(errands->local)) {
		struct ledger_entry *entry = queue->first;
		int r;

		queue_unlink(errands, entry);
		entry->is_due = false;
		r = errand_ask(errands, entry);
		if (r == 0) {
			entry->is_asked = true;
			queue->n_asked++;
		} else if (r != -ESTALE) {
			errands->n_failed++;
		}
	}
}

void errands_run(struct errands *errands)
{
	for (unsigned errand = 0; errand < N_ERRANDS; errand++)
		queue_run(errands, (enum errand)errand);
}

void errands_retry(struct errands *errands)
{
	for (unsigned errand = 0; errand < N_ERRANDS; errand++)
		errands->queues[errand].is_waiting = false;
	errands_run(errands);
}

static void errands_note_refusal(struct errands *errands, const char *host, const char *why)
{
	uint64_t now_us = clock_us(CLOCK_MONOTONIC);

	errands->n_failed++;
	snprintf(errands->refusal, sizeof errands->refusal, "%s", why);
	if (errands->said_us > 0 && now_us < errands->said_us + QUIET_US)
		return;
	errands->said_us = now_us;
	log_line(LOG_WARNING, "knocktaild has refused what %s has said: %s", host, why);
}

void errands_answer(struct errands *errands, struct ledger_entry *entry, enum local_answer answer,
		    const char *why)
{
	struct errand_queue *queue = &errands->queues[entry->errand];

	entry->is_asked = false;
	queue->n_asked--;
	if (answer == LOCAL_AWAY || answer == LOCAL_BUSY) {
		queue->is_waiting = true;
		entry->is_due = true;
	}
	if (answer == LOCAL_REFUSED)
		errands_note_refusal(errands, entry->message.host, why);
	if (entry->is_due)
		errands_add(errands, entry);
	errands_run(errands);
}
