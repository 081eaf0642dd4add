/* Errands: what the daemon is asked to do because other hosts have said so.
 *
 * MUST: what closes a door is not held up by what opens one, and neither by what was used and has
 * to be written to a disk. */
#pragma once

#include "fleet/agent/local.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fleet_config;
struct ledger_entry;

enum errand { ERRAND_CLOSE, ERRAND_BURN, ERRAND_OPEN, N_ERRANDS };

struct errand_queue {
	struct ledger_entry *first, *last;
	size_t n_asked;
	bool is_waiting; /* for the next round: the daemon is busy, or away */
};

struct errands {
	const struct fleet_config *config;
	struct local *local;
	struct errand_queue queues[N_ERRANDS];
	uint64_t n_failed;
	char refusal[160]; /* the daemon's last; "": none */
	uint64_t said_us;  /* when one was last logged; CLOCK_MONOTONIC */
};

/* The entry's word is to be carried out; the next errands_run() does, or a later one. */
void errands_add(struct errands *errands, struct ledger_entry *entry);

/* As many as may be under way at once. Without a daemon they wait for it. */
void errands_run(struct errands *errands);

/* The same for those, too, that wait for the next round. */
void errands_retry(struct errands *errands);

/* local_ops.answer, but for what is queued then. */
void errands_answer(struct errands *errands, struct ledger_entry *entry, enum local_answer answer,
		    const char *why);
