#include "cli/audit-log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-journal.h>

#include "util/cleanup.h"
#include "util/number.h"

DEFINE_CLEANUP(sd_journal *, sd_journal_close)

/* No field of ours is longer. */
enum { FIELD_MAX = 4096 };

static void visit_done(struct visit *visit)
{
	free(visit->host);
	free(visit->door);
	free(visit->source);
	free(visit->user);
	free(visit->knock);
	free(visit->reason);
}

void audit_log_done(struct audit_log *log)
{
	for (size_t i = 0; i < log->n_visits; i++)
		visit_done(&log->visits[i]);
	free(log->visits);
	free(log->open);
	*log = (struct audit_log){0};
}

/* A field as a text of its own; "" if the entry has no such field. NULL: no memory. */
static char *read_field(sd_journal *journal, const char *name)
{
	size_t skip = strlen(name) + 1, length;
	const void *data;

	if (sd_journal_get_data(journal, name, &data, &length) < 0 || length < skip)
		return strdup("");
	return strndup((const char *)data + skip, length - skip);
}

static uint64_t read_number(sd_journal *journal, const char *name)
{
	CLEANUP(cleanup_free) char *text = read_field(journal, name);
	uint64_t number;

	return text && number_parse(text, strlen(text), &number) == 0 ? number : 0;
}

static int read_texts(sd_journal *journal, struct visit *ret)
{
	ret->host = read_field(journal, "_HOSTNAME");
	ret->door = read_field(journal, "KNOCKTAIL_DOOR");
	ret->source = read_field(journal, "KNOCKTAIL_SOURCE");
	ret->user = read_field(journal, "KNOCKTAIL_USER");
	ret->knock = read_field(journal, "KNOCKTAIL_KNOCK");
	ret->reason = read_field(journal, "KNOCKTAIL_REASON");
	if (ret->host && ret->door && ret->source && ret->user && ret->knock && ret->reason)
		return 0;
	visit_done(ret);
	*ret = (struct visit){0};
	return -ENOMEM;
}

/* The position, among those that are open, of the visit that an entry goes on with; n_open: none.
 */
static size_t find_open(const struct audit_log *log, const struct visit *entry)
{
	size_t i;

	for (i = 0; i < log->n_open; i++) {
		const struct visit *visit = &log->visits[log->open[i]];

		if (strcmp(visit->door, entry->door) == 0 &&
		    strcmp(visit->source, entry->source) == 0 &&
		    strcmp(visit->host, entry->host) == 0)
			break;
	}
	return i;
}

/* Makes room for one more. */
static int reserve(void **items, size_t size, size_t n, size_t *n_room)
{
	size_t n_more = *n_room ? 2 * *n_room : 64;
	void *more;

	if (n < *n_room)
		return 0;
	more = reallocarray(*items, n_more, size);
	if (!more)
		return -ENOMEM;
	*items = more;
	*n_room = n_more;
	return 0;
}

/* Takes the visit over. */
static int append(struct audit_log *log, struct visit *visit)
{
	if (reserve((void **)&log->visits, sizeof *log->visits, log->n_visits, &log->n_room) < 0 ||
	    reserve((void **)&log->open, sizeof *log->open, log->n_open, &log->n_open_room) < 0)
		return -ENOMEM;
	if (visit->state == VISIT_OPEN)
		log->open[log->n_open++] = log->n_visits;
	log->visits[log->n_visits++] = *visit;
	*visit = (struct visit){0};
	return 0;
}

static void end_visit(struct audit_log *log, size_t position, enum visit_state state,
		      uint64_t end_us)
{
	struct visit *visit = &log->visits[log->open[position]];

	visit->state = state;
	visit->closed_us = end_us;
	log->open[position] = log->open[--log->n_open];
}

static void expire(struct audit_log *log, size_t position)
{
	end_visit(log, position, VISIT_EXPIRED, log->visits[log->open[position]].deadline_us);
}

/* An opening begins a visit, and so does whatever else is said of one that nothing was known of. */
static int add_entry(struct audit_log *log, enum audit_event event, struct visit *entry,
		     uint64_t time_us)
{
	size_t position = find_open(log, entry);
	struct visit *visit = position < log->n_open ? &log->visits[log->open[position]] : NULL;

	if (event == AUDIT_OPENED && visit) {
		if (visit->deadline_us > 0 && visit->deadline_us < time_us)
			expire(log, position);
		else
			end_visit(log, position, VISIT_EXPIRED, time_us);
		visit = NULL;
	}
	if (event == AUDIT_REFUSED || !visit) {
		entry->state = event == AUDIT_REFUSED ? VISIT_REFUSED : VISIT_OPEN;
		entry->first_us = time_us;
		entry->opened_us = event == AUDIT_OPENED || event == AUDIT_RESTORED ? time_us : 0;
		entry->closed_us = event == AUDIT_REFUSED ? time_us : 0;
		if (append(log, entry) < 0)
			return -ENOMEM;
		visit = &log->visits[log->n_visits - 1];
		position = log->n_open - 1;
	} else if (entry->deadline_us > 0) {
		visit->deadline_us = entry->deadline_us;
	}
	if (event == AUDIT_RENEWED)
		visit->n_renewals++;
	if (event == AUDIT_CLOSE_FAILED) {
		visit->unclosed = true;
		if (entry->reason && !*visit->reason) {
			free(visit->reason);
			visit->reason = TAKE_PTR(entry->reason);
		}
	}
	if (event == AUDIT_CLOSED)
		end_visit(log, position, VISIT_CLOSED, time_us);
	return 0;
}

static int read_entry(struct audit_log *log, sd_journal *journal, const struct audit_query *query)
{
	CLEANUP(cleanup_free) char *id = read_field(journal, "MESSAGE_ID");
	struct visit entry = {0};
	enum audit_event event;
	uint64_t time_us;
	int r;

	if (!id)
		return -ENOMEM;
	event = audit_event_of(id, strlen(id));
	if (event == AUDIT_N_EVENTS || sd_journal_get_realtime_usec(journal, &time_us) < 0 ||
	    time_us < query->since_us || time_us >= query->until_us)
		return 0;
	r = read_texts(journal, &entry);
	if (r == 0) {
		entry.deadline_us = read_number(journal, "KNOCKTAIL_DEADLINE");
		r = add_entry(log, event, &entry, time_us);
	}
	visit_done(&entry);
	return r;
}

static int add_match(sd_journal *journal, const char *name, const char *value)
{
	CLEANUP(cleanup_free) char *match = NULL;

	if (!value)
		return 0;
	if (asprintf(&match, "%s=%s", name, value) < 0)
		return -ENOMEM;
	return sd_journal_add_match(journal, match, 0);
}

static int open_journal(const struct audit_query *query, sd_journal **ret)
{
	CLEANUP(cleanup_sd_journal_close) sd_journal *journal = NULL;
	int r;

	if (query->directory)
		r = sd_journal_open_directory(&journal, query->directory, 0);
	else
		r = sd_journal_open(&journal, SD_JOURNAL_LOCAL_ONLY | SD_JOURNAL_SYSTEM);
	if (r >= 0)
		r = sd_journal_set_data_threshold(journal, FIELD_MAX);
	if (r >= 0)
		r = sd_journal_add_match(journal, query->trust, 0);
	for (size_t i = 0; i < AUDIT_N_EVENTS && r >= 0; i++)
		r = add_match(journal, "MESSAGE_ID", audit_message_id((enum audit_event)i));
	if (r >= 0)
		r = add_match(journal, "KNOCKTAIL_DOOR", query->door);
	if (r >= 0)
		r = add_match(journal, "KNOCKTAIL_SOURCE", query->source);
	if (r >= 0)
		r = query->since_us > 0 ? sd_journal_seek_realtime_usec(journal, query->since_us)
					: sd_journal_seek_head(journal);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(journal);
	return 0;
}

/* A renewal does not say whose key it was; that is why users are sorted out only now. */
static void keep_user(struct audit_log *log, const char *user)
{
	size_t n = 0;

	for (size_t i = 0; i < log->n_visits; i++) {
		if (strcmp(log->visits[i].user, user) == 0)
			log->visits[n++] = log->visits[i];
		else
			visit_done(&log->visits[i]);
	}
	log->n_visits = n;
	log->n_open = 0;
}

int audit_log_read(const struct audit_query *query, struct audit_log *ret)
{
	CLEANUP(cleanup_sd_journal_close) sd_journal *journal = NULL;
	int r = open_journal(query, &journal);

	*ret = (struct audit_log){0};
	if (r < 0)
		return r;
	ret->sees_files = query->directory || sd_journal_has_runtime_files(journal) > 0 ||
			  sd_journal_has_persistent_files(journal) > 0;
	while ((r = sd_journal_next(journal)) > 0) {
		r = read_entry(ret, journal, query);
		if (r < 0)
			break;
	}
	for (size_t i = ret->n_open; i-- > 0;) {
		uint64_t deadline_us = ret->visits[ret->open[i]].deadline_us;

		if (deadline_us > 0 && deadline_us <= query->now_us)
			expire(ret, i);
	}
	if (query->user)
		keep_user(ret, query->user);
	return r < 0 ? r : 0;
}

uint64_t visit_end_us(const struct visit *visit, const struct audit_query *query)
{
	if (visit->state != VISIT_OPEN)
		return visit->closed_us;
	return query->now_us < query->until_us ? query->now_us : query->until_us;
}
