/* Admission: decides what becomes of each record. A completed knock opens its door, or is refused
 * with a reason.
 *
 * MUST: a knock is acted on once: before its door is opened, the position in the journal is behind
 * it; what a predecessor has acted on (a record of the past) opens nothing. */
#pragma once

struct admission;
struct grant_loop;
struct record;
struct running_config;
struct stats;
struct tail;

/* All of them are borrowed. Counts in `stats`. NULL: out of memory. */
struct admission *admission_new(struct running_config *running, struct grant_loop *grants,
				struct stats *stats);
struct admission *admission_free(struct admission *admission);

/* Where the records come from that are not of the past; borrowed. */
void admission_set_tail(struct admission *admission, struct tail *tail);

/* Takes one record. `userdata` is the admission (tail_record_fn). */
void admission_on_record(void *userdata, const struct record *record);
