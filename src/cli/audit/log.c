#include "cli/audit/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-journal.h>

#include "cli/common/memory.h"
#include "cli/common/progress.h"
#include "core/hash.h"
#include "input/open-files.h"
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
	free(visit->closed_by);
}

void audit_log_done(struct audit_log *log)
{
	for (size_t i = 0; i < log->n_visits; i++)
		visit_done(&log->visits[i]);
	free(log->visits);
	free(log->buckets);
	*log = (struct audit_log){0};
}

/* A text of its own. */
static char *copy(const char *text, size_t length)
{
	char *copied = strndup(text, length);

	if (!copied)
		memory_out();
	return copied;
}

/* A field as a text of its own; "" if the entry has no such field. */
static char *log_read_field(struct audit_log *log, sd_journal *journal, const char *name)
{
	size_t skip = strlen(name) + 1, length = 0;
	const void *data;
	int r = sd_journal_get_data(journal, name, &data, &length);

	if (r < 0 && r != -ENOENT)
		log->incomplete = true;
	if (r < 0 || length < skip)
		return copy("", 0);
	return copy((const char *)data + skip, length - skip);
}

static uint64_t log_read_number(struct audit_log *log, sd_journal *journal, const char *name)
{
	CLEANUP(cleanup_free) char *text = log_read_field(log, journal, name);
	uint64_t number;

	return number_parse(text, strlen(text), &number) == 0 ? number : 0;
}

/* "#UID", or "". */
static char *log_read_hand(struct audit_log *log, sd_journal *journal)
{
	CLEANUP(cleanup_free) char *uid = log_read_field(log, journal, "KNOCKTAIL_UID");
	char *text = NULL;

	if (!*uid)
		return TAKE_PTR(uid);
	if (asprintf(&text, "#%s", uid) < 0)
		memory_out();
	return text;
}

/* "198.51.100.7", or with how many of its bits the door was opened for: "198.51.100.7/24" */
static char *log_read_source(struct audit_log *log, sd_journal *journal)
{
	CLEANUP(cleanup_free) char *source = log_read_field(log, journal, "KNOCKTAIL_SOURCE");
	CLEANUP(cleanup_free) char *network = log_read_field(log, journal, "KNOCKTAIL_NETWORK");
	const char *slash = strchr(network, '/');
	char *text = NULL;

	if (!slash)
		return TAKE_PTR(source);
	if (asprintf(&text, "%s%s", source, slash) < 0)
		memory_out();
	return text;
}

static void read_texts(struct audit_log *log, sd_journal *journal, enum event_kind event,
		       struct visit *ret)
{
	char **hand = event == EVENT_CLOSED ? &ret->closed_by : &ret->user;

	ret->host = log_read_field(log, journal, "_HOSTNAME");
	ret->door = log_read_field(log, journal, "KNOCKTAIL_DOOR");
	ret->source = log_read_source(log, journal);
	ret->user = log_read_field(log, journal, "KNOCKTAIL_USER");
	ret->closed_by = copy("", 0);
	ret->knock = log_read_field(log, journal, "KNOCKTAIL_KNOCK");
	ret->reason = log_read_field(log, journal, "KNOCKTAIL_REASON");
	if (!**hand) {
		free(*hand);
		*hand = log_read_hand(log, journal);
	}
}

static size_t *log_bucket_of(const struct audit_log *log, const struct visit *visit)
{
	uint64_t hash = hash_text(HASH_START, visit->source);

	hash = hash_text(hash_text(hash, visit->door), visit->host);
	return &log->buckets[(hash ^ hash >> 32) % log->n_buckets];
}

/* What leads to the open visit that an entry goes on with, or to 0. */
static size_t *find_open(const struct audit_log *log, const struct visit *entry)
{
	size_t *link = log_bucket_of(log, entry);

	for (; *link > 0; link = &log->visits[*link - 1].next) {
		const struct visit *visit = &log->visits[*link - 1];

		if (strcmp(visit->door, entry->door) == 0 &&
		    strcmp(visit->source, entry->source) == 0 &&
		    strcmp(visit->host, entry->host) == 0)
			break;
	}
	return link;
}

static void log_put_open(struct audit_log *log, size_t i)
{
	size_t *bucket = log_bucket_of(log, &log->visits[i]);

	log->visits[i].next = *bucket;
	*bucket = i + 1;
}

/* As many chains as there are open visits, so that each is short however many there are. */
static void reserve_open(struct audit_log *log)
{
	size_t n = log->n_buckets ? 2 * log->n_buckets : 64;
	size_t *buckets;

	if (log->n_open < log->n_buckets)
		return;
	buckets = calloc(n, sizeof *buckets);
	if (!buckets)
		memory_out();
	free(log->buckets);
	log->buckets = buckets;
	log->n_buckets = n;
	for (size_t i = 0; i < log->n_visits; i++)
		if (log->visits[i].state == VISIT_OPEN)
			log_put_open(log, i);
}

/* Takes the visit over. */
static void log_append(struct audit_log *log, struct visit *visit)
{
	if (log->n_visits == log->n_room) {
		size_t n_room = log->n_room ? 2 * log->n_room : 64;
		struct visit *visits = reallocarray(log->visits, n_room, sizeof *visits);

		if (!visits)
			memory_out();
		log->visits = visits;
		log->n_room = n_room;
	}
	log->visits[log->n_visits++] = *visit;
	if (visit->state == VISIT_OPEN) {
		log_put_open(log, log->n_visits - 1);
		log->n_open++;
	}
	*visit = (struct visit){0};
}

/* Ends the visit that the link leads to, and takes it out of its chain. */
static void end_visit(struct audit_log *log, size_t *link, enum visit_state state, uint64_t end_us)
{
	struct visit *visit = &log->visits[*link - 1];

	visit->state = state;
	visit->closed_us = end_us;
	*link = visit->next;
	log->n_open--;
}

/* An opening begins a visit, and so does whatever else is said of one that nothing was known of:
 * its texts are the visit's then, and the entry has none any more. */
static void log_add_entry(struct audit_log *log, enum event_kind event, struct visit *entry,
			  uint64_t time_us)
{
	struct visit *visit;
	size_t *link;

	reserve_open(log);
	link = find_open(log, entry);
	if (event == EVENT_OPENED && *link > 0) {
		uint64_t deadline_us = log->visits[*link - 1].deadline_us;

		end_visit(log, link, VISIT_EXPIRED,
			  deadline_us > 0 && deadline_us < time_us ? deadline_us : time_us);
		link = find_open(log, entry);
	}
	if (event == EVENT_REFUSED || *link == 0) {
		entry->state = event == EVENT_REFUSED ? VISIT_REFUSED : VISIT_OPEN;
		entry->first_us = time_us;
		entry->opened_us = event == EVENT_OPENED || event == EVENT_RESTORED ? time_us : 0;
		entry->closed_us = event == EVENT_REFUSED ? time_us : 0;
		log_append(log, entry);
		visit = &log->visits[log->n_visits - 1];
		link = log_bucket_of(log, visit); /* it is the first there, if it is open */
	} else {
		visit = &log->visits[*link - 1];
		if (entry->deadline_us > 0)
			visit->deadline_us = entry->deadline_us;
	}
	if (event == EVENT_RENEWED)
		visit->n_renewals++;
	if (event == EVENT_CLOSE_FAILED) {
		visit->unclosed = true;
		if (entry->reason && !*visit->reason) {
			free(visit->reason);
			visit->reason = TAKE_PTR(entry->reason);
		}
	}
	if (event == EVENT_CLOSED) {
		if (entry->closed_by) {
			free(visit->closed_by);
			visit->closed_by = TAKE_PTR(entry->closed_by);
		}
		end_visit(log, link, VISIT_CLOSED, time_us);
	}
}

static void read_entry(struct audit_log *log, sd_journal *journal, uint64_t time_us)
{
	CLEANUP(cleanup_free) char *id = log_read_field(log, journal, "MESSAGE_ID");
	struct visit entry = {0};
	enum event_kind event;

	event = audit_kind_of(id, strlen(id));
	if (event == N_AUDIT_EVENTS)
		return;
	read_texts(log, journal, event, &entry);
	entry.deadline_us = log_read_number(log, journal, "KNOCKTAIL_DEADLINE");
	log_add_entry(log, event, &entry, time_us);
	visit_done(&entry);
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

static int log_open_journal(const struct audit_query *query, sd_journal **ret)
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
	for (size_t i = 0; i < N_AUDIT_EVENTS && r >= 0; i++)
		r = add_match(journal, "MESSAGE_ID", audit_message_id((enum event_kind)i));
	if (r >= 0)
		r = add_match(journal, "KNOCKTAIL_DOOR", query->door);
	if (r >= 0)
		r = add_match(journal, "KNOCKTAIL_SOURCE", query->source);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(journal);
	return 0;
}

/* Closes what nobody has closed, now that all is read. */
static void log_expire_visits(struct audit_log *log, uint64_t now_us)
{
	for (size_t i = 0; i < log->n_visits; i++) {
		struct visit *visit = &log->visits[i];

		if (visit->state == VISIT_OPEN && visit->deadline_us > 0 &&
		    visit->deadline_us <= now_us) {
			visit->state = VISIT_EXPIRED;
			visit->closed_us = visit->deadline_us;
		}
	}
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
}

static int log_read_all(struct audit_log *log, sd_journal *journal, const struct audit_query *query)
{
	const struct open_files_check check = {
		.since_us = query->since_us,
		.until_us = query->until_us,
	};
	size_t n_files = open_files_count();
	struct progress progress;
	uint64_t time_us;
	int r = query->since_us > 0 ? sd_journal_seek_realtime_usec(journal, query->since_us)
				    : sd_journal_seek_head(journal);

	progress_begin(&progress);
	while (r >= 0 && (r = sd_journal_next(journal)) > 0) {
		progress_step(&progress);
		if (sd_journal_get_realtime_usec(journal, &time_us) < 0 ||
		    time_us < query->since_us || time_us >= query->until_us)
			continue;
		read_entry(log, journal, time_us);
	}
	progress_hide(&progress);
	if (open_files_count() < n_files || !open_files_are_whole(check))
		log->incomplete = true;
	return r;
}

int audit_log_read(const struct audit_query *query, struct audit_log *ret)
{
	CLEANUP(cleanup_sd_journal_close) sd_journal *journal = NULL;
	int r = log_open_journal(query, &journal);

	*ret = (struct audit_log){0};
	if (r < 0)
		return r;
	ret->sees_files = query->directory || sd_journal_has_runtime_files(journal) > 0 ||
			  sd_journal_has_persistent_files(journal) > 0;
	r = log_read_all(ret, journal, query);
	if (r >= 0)
		r = coverage_read(journal, query->since_us, query->until_us, &ret->coverage);
	log_expire_visits(ret, query->now_us);
	if (query->user)
		keep_user(ret, query->user);
	return r < 0 ? r : 0;
}

uint64_t visit_end_us(const struct visit *visit, const struct audit_query *query)
{
	uint64_t end_us = visit->closed_us;

	if (visit->state == VISIT_OPEN)
		end_us = query->now_us < query->until_us ? query->now_us : query->until_us;
	return end_us > visit->first_us ? end_us : visit->first_us;
}

uint64_t visit_length_us(const struct visit *visit, const struct audit_query *query)
{
	return visit_end_us(visit, query) - visit->first_us;
}
