/* Admission: decides what becomes of each record. A completed knock opens its door, or is refused
 * with a reason.
 *
 * MUST: a knock is acted on once: before its door is opened, the position in the journal is behind
 * it; what a predecessor has acted on (a record of the past) opens nothing. MUST: what is good once
 * opens its door only after it was burnt, and if neither the daemon nor its configuration has
 * ended meanwhile. MUST: a sequence opens nothing while any user may have had the kernel log it. */
#pragma once

#include <systemd/sd-event.h>

struct address;
struct admission;
struct burn;
struct expected_set;
struct grant_loop;
struct record;
struct running_config;
struct stats;
struct tail;

struct admission_options {
	sd_event *event;
	const char *state_directory; /* for used tokens and SPA knocks: the next daemon refuses them
					as well */
	struct running_config *running;
	struct grant_loop *grants;
	struct expected_set *expected;
	struct stats *stats; /* what is counted */
	/* Told of what was burnt, for other hosts. */
	void (*on_burnt)(void *userdata, const struct burn *burn);
	void *userdata;
};

/* All of them are borrowed. 0 or a negative errno. */
int admission_new(const struct admission_options *options, struct admission **ret);

/* What waits to be burnt is, if that does not take too long, but opens nothing. */
struct admission *admission_free(struct admission *admission);

/* Where the records come from that are not of the past; borrowed. NULL: nothing opens any more. */
void admission_set_tail(struct admission *admission, struct tail *tail);

/* Takes one record. `userdata` is the admission (tail_record_fn). */
void admission_on_record(void *userdata, const struct record *record);

/* Says in the log if the kernel believes others' lines (daemon/kernel/nf-log.h). */
void admission_look_at_kernel(struct admission *admission);

/* Another configuration is running. */
void admission_reloaded(struct admission *admission);

/* A knock was used at another host, and opens nothing here. 0; -ENOENT: nobody here has its key;
 * -EAGAIN: too many wait for the disk; another negative errno. */
int admission_burn(struct admission *admission, const struct burn *burn);

/* Somebody has closed the door for this source (NULL: all of them): knocks that came before open it
 * no more. */
void admission_closed(struct admission *admission, const char *door, const struct address *source);
