/* The audit log: who was let in when, put together from the events in the journal.
 *
 * MUST: believe only entries with a field that journald itself has set, since every local user can
 * write an entry with any MESSAGE_ID. */
#pragma once

#include "audit/audit.h"
#include "cli/audit/coverage.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct audit_query {
	const char *directory;	     /* NULL: this machine's journal */
	const char *trust;	     /* "_FIELD=VALUE" */
	uint64_t since_us, until_us; /* wall clock: [since, until) */
	uint64_t now_us;
	const char *door, *source, *user; /* NULL: all */
};

enum visit_state {
	VISIT_OPEN,
	VISIT_CLOSED,
	VISIT_EXPIRED, /* no entry says so, but the deadline has passed */
	VISIT_REFUSED,
};

/* From a door's opening for a source to its closing; or a refusal. No text is NULL. */
struct visit {
	enum visit_state state;
	uint64_t first_us;    /* when it is first mentioned */
	uint64_t opened_us;   /* 0: before that */
	uint64_t closed_us;   /* or refused; 0: open */
	uint64_t deadline_us; /* the last that was said; 0: none was */
	unsigned n_renewals;
	bool unclosed; /* closing it has failed at least once */
	char *host, *door, *source, *knock, *reason;
	char *user;	 /* whose key it was; "#UID": who opened it by hand; or "" */
	char *closed_by; /* "#UID": who closed it by hand; or "" */
	size_t next;	 /* while the log is read */
};

struct audit_log {
	struct visit *visits; /* in the order of their first entry */
	size_t n_visits, n_room;
	/* Those that are open, while it is read: a hash table of chains through visit.next, in
	 * which n stands for the n-1st visit and 0 for the end. */
	size_t *buckets;
	size_t n_buckets, n_open;
	bool sees_files; /* whether there was any journal file that this user may read */
	struct coverage coverage;
	bool incomplete; /* files are damaged: there are entries that could not be read */
};

/* 0 or a negative errno; the log is the caller's to destroy in every case. */
int audit_log_read(const struct audit_query *query, struct audit_log *ret);
void audit_log_done(struct audit_log *log);

/* How long it was open, or is by now; 0 if the clock was set back meanwhile. */
uint64_t visit_length_us(const struct visit *visit, const struct audit_query *query);

/* Until when it lasts, as far as that is known; never before it began. */
uint64_t visit_end_us(const struct visit *visit, const struct audit_query *query);
