/* Records from the systemd journal, live or from files.
 *
 * MUST: believe only entries with journald's own _TRANSPORT=kernel and with SYSLOG_FACILITY=0: no
 * process, root's writes to /dev/kmsg included, can make an entry that has both. MUST: survive
 * rotation and vacuum, which take away the file that is being read. */
#include "source/source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-id128.h>
#include <systemd/sd-journal.h>

#include "core/record.h"
#include "source/ops.h"
#include "util/cleanup.h"
#include "util/number.h"

/* A kernel line is at most about 1 KiB; more of a field than this is of no use. */
enum { FIELD_MAX = 4096 };

struct journal_source {
	struct source base;
	sd_journal *journal;
	uint64_t since_us, until_us;
	sd_id128_t this_boot;
	sd_id128_t last_boot;
	uint32_t boot;
	char *cursor;	/* of the last entry of the last batch (live only) */
	bool moved;	/* beyond `cursor` */
	bool returning; /* went back to `cursor`: the next entry may be that one again */
};

static const struct source_ops live_ops, file_ops;

static struct journal_source *journal_source_free(struct journal_source *self)
{
	if (self) {
		sd_journal_close(self->journal);
		free(self->cursor);
		free(self);
	}
	return NULL;
}

DEFINE_CLEANUP(struct journal_source *, journal_source_free)

static void journal_free(struct source *source)
{
	journal_source_free((struct journal_source *)source);
}

/* A field's value; it stays valid until the journal moves on. -ENOENT: the entry has no such field.
 */
static int get_field(sd_journal *journal, const char *name, const char **ret, size_t *ret_length)
{
	size_t skip = strlen(name) + 1, length;
	const void *data;
	int r;

	r = sd_journal_get_data(journal, name, &data, &length);
	if (r < 0)
		return r;
	*ret = (const char *)data + skip;
	*ret_length = length - skip;
	return 0;
}

/* The kernel's own time of the entry, on the clock that counts from its boot. */
static int get_kernel_time(sd_journal *journal, uint64_t *ret_us)
{
	const char *text;
	size_t length;
	int r = get_field(journal, "_SOURCE_MONOTONIC_TIMESTAMP", &text, &length);

	return r < 0 ? r : number_parse(text, length, ret_us);
}

static int read_entry(struct journal_source *self, struct record *ret)
{
	struct record record = {0};
	uint64_t stored_us;
	sd_id128_t boot;
	int r;

	r = sd_journal_get_realtime_usec(self->journal, &record.realtime_us);
	if (r < 0)
		return r;
	r = sd_journal_get_monotonic_usec(self->journal, &stored_us, &boot);
	if (r < 0)
		return r;
	if (!sd_id128_equal(boot, self->last_boot)) {
		self->last_boot = boot;
		self->boot++;
	}
	record.boot = self->boot;
	if (sd_id128_equal(boot, self->this_boot))
		record.monotonic_us = stored_us;

	if (get_kernel_time(self->journal, &record.kernel_us) < 0)
		record.kernel_us = stored_us;
	r = get_field(self->journal, "MESSAGE", &record.text, &record.length);
	if (r < 0)
		return r;
	*ret = record;
	return 0;
}

/* Errors of one entry, as opposed to the journal's: it is damaged, or packed in a way that this
 * library does not know. */
static bool entry_is_lost(int r)
{
	return r == -ENOENT || r == -EBADMSG || r == -E2BIG || r == -ENOBUFS ||
	       r == -EADDRNOTAVAIL || r == -EPROTONOSUPPORT;
}

/* Notes where the tail stands, while the entry is still there to be asked. */
static void remember_position(struct journal_source *self)
{
	char *cursor;

	if (sd_journal_get_cursor(self->journal, &cursor) < 0)
		return;
	free(self->cursor);
	self->cursor = cursor;
	self->moved = false;
}

static int journal_next(struct source *source, struct record *ret_record)
{
	struct journal_source *self = (struct journal_source *)source;

	for (;;) {
		int r = sd_journal_next(self->journal);

		if (r < 0)
			return r;
		if (r == 0) {
			if (self->moved && source->ops == &live_ops)
				remember_position(self);
			return SOURCE_DRAINED;
		}
		self->moved = true;
		if (self->returning) {
			self->returning = false;
			if (sd_journal_test_cursor(self->journal, self->cursor) > 0)
				continue;
		}
		r = read_entry(self, ret_record);
		if (r < 0 && !entry_is_lost(r))
			return r;
		if (r < 0 || ret_record->realtime_us < self->since_us)
			continue;
		return ret_record->realtime_us < self->until_us ? SOURCE_RECORD : SOURCE_DRAINED;
	}
}

static int live_fd(struct source *source)
{
	return sd_journal_get_fd(((struct journal_source *)source)->journal);
}

static int live_events(struct source *source)
{
	return sd_journal_get_events(((struct journal_source *)source)->journal);
}

static int live_deadline(struct source *source, uint64_t *ret_us)
{
	int r = sd_journal_get_timeout(((struct journal_source *)source)->journal, ret_us);

	return r < 0 ? r : 0;
}

static int live_process(struct source *source)
{
	struct journal_source *self = (struct journal_source *)source;
	int r = sd_journal_process(self->journal);

	if (r == SD_JOURNAL_INVALIDATE && self->cursor) {
		r = sd_journal_seek_cursor(self->journal, self->cursor);
		self->returning = r >= 0;
	}
	return r < 0 ? r : 0;
}

static bool journal_sees_files(struct source *source)
{
	sd_journal *journal = ((struct journal_source *)source)->journal;

	return sd_journal_has_runtime_files(journal) > 0 ||
	       sd_journal_has_persistent_files(journal) > 0;
}

static const struct source_ops live_ops = {
	.next = journal_next,
	.free = journal_free,
	.fd = live_fd,
	.events = live_events,
	.deadline = live_deadline,
	.process = live_process,
	.sees_files = journal_sees_files,
};

static const struct source_ops file_ops = {
	.next = journal_next,
	.free = journal_free,
	.sees_files = journal_sees_files,
};

static int add_matches(sd_journal *journal)
{
	int r = sd_journal_add_match(journal, "_TRANSPORT=kernel", 0);

	return r < 0 ? r : sd_journal_add_match(journal, "SYSLOG_FACILITY=0", 0);
}

/* Stands behind the newest entry, or before the first if there is none: a seek to the tail of
 * nothing would never see anything. */
static int seek_now(struct journal_source *self)
{
	int r = sd_journal_seek_tail(self->journal);

	if (r >= 0)
		r = sd_journal_previous(self->journal);
	if (r == 0)
		return sd_journal_seek_head(self->journal);
	if (r > 0)
		remember_position(self);
	return r < 0 ? r : 0;
}

int source_new_live(struct source **ret)
{
	CLEANUP(cleanup_journal_source_free)
	struct journal_source *self = calloc(1, sizeof *self);
	int r;

	if (!self)
		return -ENOMEM;
	self->base.ops = &live_ops;
	self->until_us = UINT64_MAX;
	sd_id128_get_boot(&self->this_boot);
	r = sd_journal_open(&self->journal, SD_JOURNAL_LOCAL_ONLY | SD_JOURNAL_SYSTEM);
	if (r < 0)
		return r;
	/* The watch comes before the seek, so that nothing falls between them. */
	r = sd_journal_get_fd(self->journal);
	if (r < 0)
		return r;
	r = add_matches(self->journal);
	if (r >= 0)
		r = sd_journal_set_data_threshold(self->journal, FIELD_MAX);
	if (r >= 0)
		r = seek_now(self);
	if (r < 0)
		return r;
	*ret = &TAKE_PTR(self)->base;
	return 0;
}

static int open_files(const char *directory, const char *file, sd_journal **ret)
{
	if (file)
		return sd_journal_open_files(ret, (const char *[]){file, NULL}, 0);
	if (directory)
		return sd_journal_open_directory(ret, directory, 0);
	return sd_journal_open(ret, SD_JOURNAL_LOCAL_ONLY | SD_JOURNAL_SYSTEM);
}

int source_new_journal(const char *directory, const char *file, uint64_t since_us,
		       uint64_t until_us, struct source **ret)
{
	CLEANUP(cleanup_journal_source_free)
	struct journal_source *self = calloc(1, sizeof *self);
	int r;

	if (!self)
		return -ENOMEM;
	self->base.ops = &file_ops;
	self->since_us = since_us;
	self->until_us = until_us;
	r = open_files(directory, file, &self->journal);
	if (r >= 0)
		r = add_matches(self->journal);
	if (r >= 0)
		r = sd_journal_set_data_threshold(self->journal, FIELD_MAX);
	if (r >= 0)
		r = since_us > 0 ? sd_journal_seek_realtime_usec(self->journal, since_us)
				 : sd_journal_seek_head(self->journal);
	if (r < 0)
		return r;
	*ret = &TAKE_PTR(self)->base;
	return 0;
}
