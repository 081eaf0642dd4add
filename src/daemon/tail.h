/* The tail: the live journal in the event loop, record after record. */
#pragma once

#include <stdint.h>
#include <systemd/sd-event.h>

struct other_log;
struct record;
struct input_counts;
struct tail;

typedef void (*tail_record_fn)(void *userdata, const struct record *record);

struct tail_options {
	const char *directory; /* where the position is kept for a successor, without a disk */
	uint64_t reach_us;     /* how long ago a knock may have begun that can still open a door */
	tail_record_fn fn;
	void *userdata;
};

/* Follows the journal from where a predecessor has left it in this boot, or else from now on. What
 * lies within reach is handed on once more, marked as past. 0, or a negative errno after a line in
 * the log. */
int tail_new(sd_event *event, const struct tail_options *options, struct tail **ret);
struct tail *tail_free(struct tail *tail);

/* Also hands on the entries of these logs (copied), and of no others. 0 or -ENOMEM. */
int tail_listen(struct tail *tail, const struct other_log *logs, size_t n);

/* A probe has come, whether or not it belongs to a knock: without a doorbell, looks for more of
 * them more often for a while. */
void tail_hurry(struct tail *tail);

/* All records handed on so far are dealt with, for a successor too: to be called before a match is
 * acted on. What goes wrong is logged. */
void tail_settle(struct tail *tail);

/* How long ago the record was logged, by the clock that makes it oldest. Neither a wall clock that
 * was set back, nor a suspended machine, nor a journal that stores the past as if it was new makes
 * an old record young. */
uint64_t tail_age_us(const struct tail *tail, const struct record *record);

const struct input_counts *tail_counts(const struct tail *tail);
