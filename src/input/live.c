/* Records from the journal as it grows.
 *
 * MUST: believe only what entry.h says. MUST: never stop delivering: journald renames, deletes and
 * copies its files, and so do others behind its back.
 *
 * journald appends to one file, system.journal. When that name belongs to another file, what was
 * read so far is read to its end, and then the journal is reopened. When the name is gone,
 * somebody has deleted the file; journald notices that within some seconds and goes on writing to
 * it until then. So the journal that is open, which still has it, is not told of it: it would let
 * go of the file. What becomes of the other files, such as old ones that are deleted, it is told
 * now and then: that journald's file goes between a look at its name and that moment is unlikely.
 *
 * The library is not asked to match entries: while journald adds one, it counts it before it links
 * it to its fields. A reader that looks for a field at that moment does not find the entry, and
 * hears of it again only when another one comes. Nor does the library see a field that is new at
 * that moment: an entry that is unfinished is read again, until it is not or there is a newer one.
 */
#include "input/input.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-id128.h>
#include <systemd/sd-journal.h>
#include <time.h>

#include "core/record.h"
#include "input/entry.h"
#include "input/ops.h"
#include "input/sigbus.h"
#include "util/cleanup.h"
#include "util/clock.h"

/* Where journald keeps its files, under the machine's id: with and without a disk. */
static const char *const homes[] = {"/run/log/journal", "/var/log/journal"};
enum { N_HOMES = sizeof homes / sizeof homes[0] };

/* After the journal was reopened for a torn file: for how long it is not again. */
#define BEAR_US UINT64_C(60000000)

/* How often the library is told what has become of the files. */
#define TELL_US UINT64_C(60000000)

struct written {
	char *path;    /* or NULL: not known */
	bool there;    /* if not, device and inode are 0 */
	bool readable; /* not before its beginning has been written: the library has left it out */
	dev_t device;
	ino_t inode;
};

struct live_input {
	struct input base;
	char *directory;
	sd_journal *journal; /* NULL: lost, to be opened again */
	struct entry_reader reader;
	struct written written[N_HOMES];
	char *cursor; /* of an entry that was read, if not the last then one shortly before; or NULL
		       */
	uint64_t start_us; /* without a cursor: from where on to read, on the wall clock */
	bool moved;	   /* beyond the cursor */
	bool unfinished;   /* the entry that the journal stands on: it has not been read yet */
	bool returning;	   /* entries may come that were read already */
	bool superseded;   /* journald writes elsewhere: reopen it when all is read */
	bool past;	   /* the place has not been passed yet */
	bool sigbus;	   /* some of what is mapped reads as zeros */
	uint64_t bear_us;  /* CLOCK_MONOTONIC: do not reopen before this time */
	uint64_t tell_us;  /* CLOCK_MONOTONIC: tell the library then */
	sd_id128_t place_boot;
	struct input_position place; /* where a predecessor stood */
	struct input_counts counts;
};

static void close_journal(struct live_input *self)
{
	sd_journal_close(self->journal);
	self->journal = NULL;
}

static struct live_input *live_input_free(struct live_input *self)
{
	if (self) {
		close_journal(self);
		entry_done(&self->reader);
		for (size_t i = 0; i < N_HOMES; i++)
			free(self->written[i].path);
		free(self->directory);
		free(self->cursor);
		free(self);
	}
	return NULL;
}

DEFINE_CLEANUP(struct live_input *, live_input_free)

static void live_free(struct input *input)
{
	live_input_free((struct live_input *)input);
}

/* The files that journald writes to. */

static int name_written(struct live_input *self)
{
	char machine[SD_ID128_STRING_MAX];
	sd_id128_t id;

	if (self->directory)
		return asprintf(&self->written[0].path, "%s/system.journal", self->directory) < 0
			       ? -ENOMEM
			       : 0;
	if (sd_id128_get_machine(&id) < 0)
		return 0;
	sd_id128_to_string(id, machine);
	for (size_t i = 0; i < N_HOMES; i++)
		if (asprintf(&self->written[i].path, "%s/%s/system.journal", homes[i], machine) < 0)
			return -ENOMEM;
	return 0;
}

static struct written look_at(const struct written *written)
{
	struct stat status;

	if (!written->path || stat(written->path, &status) < 0)
		return (struct written){.path = written->path};
	return (struct written){
		.path = written->path,
		.there = true,
		.device = status.st_dev,
		.inode = status.st_ino,
	};
}

/* Whether the library would open it. */
static bool is_readable(const char *path)
{
	const char *paths[] = {path, NULL};
	sd_journal *journal = NULL;
	int r = sd_journal_open_files(&journal, paths, 0);

	sd_journal_close(journal);
	return r >= 0;
}

static bool is_replaced(const struct written *was, const struct written *is)
{
	return is->device != was->device || is->inode != was->inode ||
	       (!was->readable && is_readable(is->path));
}

enum change { SAME, REPLACED, GONE };

static enum change find_change(const struct live_input *self)
{
	bool gone = false, any = false;

	for (size_t i = 0; i < N_HOMES; i++) {
		const struct written *was = &self->written[i];
		struct written is = look_at(was);

		if (is.there && is_replaced(was, &is))
			return REPLACED;
		any = any || is.there;
		gone = gone || (was->there && !is.there);
	}
	if (!gone)
		return SAME;
	return any ? REPLACED : GONE;
}

/* Opening, and standing somewhere. */

static int open_live_journal(struct live_input *self)
{
	int r;

	self->tell_us = clock_us(CLOCK_MONOTONIC) + TELL_US;
	for (size_t i = 0; i < N_HOMES; i++) {
		self->written[i] = look_at(&self->written[i]);
		self->written[i].readable =
			self->written[i].there && is_readable(self->written[i].path);
	}
	if (self->directory)
		r = sd_journal_open_directory(&self->journal, self->directory, 0);
	else
		r = sd_journal_open(&self->journal, SD_JOURNAL_LOCAL_ONLY | SD_JOURNAL_SYSTEM);
	if (r >= 0)
		r = sd_journal_set_data_threshold(self->journal, ENTRY_TEXT_MAX);
	/* From here on it hears what becomes of the files, for tell_library(). */
	if (r >= 0)
		r = sd_journal_get_fd(self->journal);
	return r < 0 ? r : 0;
}

/* Notes where the input stands, while the entry is still there to be asked. */
static void remember_position(struct live_input *self)
{
	char *cursor;

	if (sd_journal_get_cursor(self->journal, &cursor) < 0)
		return;
	free(self->cursor);
	self->cursor = cursor;
	self->moved = false;
}

/* Takes the entry that the journal stands on for one that was read. */
static void stand_here(struct live_input *self)
{
	uint64_t stored_us;
	sd_id128_t boot;

	if (sd_journal_get_monotonic_usec(self->journal, &stored_us, &boot) < 0)
		return;
	self->reader.last_boot = boot;
	self->reader.last_us = stored_us;
	remember_position(self);
}

/* Stands behind the newest entry, or before the first if there is none: a seek to the tail of
 * nothing would never see anything. A negative errno if it cannot. */
static int seek_now(struct live_input *self)
{
	int r = sd_journal_seek_tail(self->journal);

	if (r >= 0)
		r = sd_journal_previous(self->journal);
	if (r == 0)
		return sd_journal_seek_head(self->journal);
	if (r > 0)
		stand_here(self);
	return r;
}

/* Whether the entry is of the place's boot and was stored at that time or later. */
static bool is_since(const struct live_input *self, uint64_t since_us)
{
	uint64_t stored_us;
	sd_id128_t boot;

	return sd_journal_get_monotonic_usec(self->journal, &stored_us, &boot) >= 0 &&
	       sd_id128_equal(boot, self->place_boot) && stored_us >= since_us;
}

/* Stands before all that was stored since then, but not further back than so many entries. */
static int seek_back(struct live_input *self, uint64_t since_us, size_t n_max)
{
	int r = sd_journal_seek_tail(self->journal);

	if (r >= 0)
		r = sd_journal_previous(self->journal);
	if (r > 0 && !is_since(self, 0))
		return -ESTALE;
	for (size_t n = 0; r > 0 && n < n_max && is_since(self, since_us); n++)
		r = sd_journal_previous(self->journal);
	if (r == 0) {
		self->start_us = 0;
		return sd_journal_seek_head(self->journal);
	}
	if (r > 0)
		stand_here(self);
	return r;
}

static int open_again(struct live_input *self)
{
	int r = open_live_journal(self);

	if (r == 0)
		r = self->cursor ? sd_journal_seek_cursor(self->journal, self->cursor)
				 : sd_journal_seek_realtime_usec(self->journal, self->start_us);
	self->returning = true;
	self->unfinished = false;
	self->superseded = false;
	self->sigbus = false;
	if (r < 0)
		close_journal(self);
	return r;
}

static int lose_journal(struct live_input *self, int error)
{
	close_journal(self);
	self->counts.gaps++;
	return error;
}

/* Reading. */

/* After a return: everything up to the time of the last entry that was read is known. */
static bool was_read(struct live_input *self)
{
	uint64_t stored_us;
	sd_id128_t boot;

	if (sd_journal_get_monotonic_usec(self->journal, &stored_us, &boot) < 0)
		return false;
	self->returning =
		sd_id128_equal(boot, self->reader.last_boot) && stored_us <= self->reader.last_us;
	return self->returning;
}

/* The place itself is past, and so is whatever was stored before it. */
static bool is_past(struct live_input *self)
{
	if (!self->past)
		return false;
	if (!sd_id128_equal(self->reader.last_boot, self->place_boot) ||
	    self->reader.last_us > self->place.monotonic_us)
		return self->past = false;
	if (self->reader.last_us == self->place.monotonic_us &&
	    sd_journal_test_cursor(self->journal, self->place.cursor) > 0)
		self->past = false;
	return true;
}

/* INPUT_RECORD; INPUT_DRAINED: this entry is none, or not yet; a negative errno. */
static int read_here(struct live_input *self, bool is_final, struct record *ret_record)
{
	uint64_t missed;
	bool past;
	int r;

	self->unfinished = false;
	if (self->returning && was_read(self)) {
		self->moved = true;
		return INPUT_DRAINED;
	}
	r = entry_read(&self->reader, self->journal, is_final, ret_record, &missed);
	self->unfinished = r == ENTRY_UNFINISHED;
	if (self->unfinished)
		return INPUT_DRAINED;
	self->moved = true;
	if (r < 0)
		return entry_is_lost(r) ? INPUT_DRAINED : r;
	past = is_past(self);
	if (r == ENTRY_MISSED && !past)
		self->counts.missed += missed;
	if (r == ENTRY_WRITTEN || (r == ENTRY_RECORD && ret_record->log == 0))
		self->counts.kernel++;
	if (r != ENTRY_RECORD)
		return INPUT_DRAINED;
	ret_record->past = self->reader.record.past = past;
	return INPUT_RECORD;
}

/* Reads the next entry, after the last one once more if that was unfinished. To go back is the last
 * resort: the library looks for its place in each file again then. As read_here(); *ret_is_end:
 * there is no next one. */
static int read_next(struct live_input *self, struct record *ret_record, bool *ret_is_end)
{
	int r = self->unfinished ? read_here(self, self->superseded, ret_record) : INPUT_DRAINED;
	bool must_go_back = self->unfinished;

	*ret_is_end = false;
	if (r != INPUT_DRAINED)
		return r;
	r = sd_journal_next(self->journal);
	*ret_is_end = r == 0;
	if (r > 0 && must_go_back)
		r = sd_journal_previous(self->journal);
	return r > 0 ? read_here(self, must_go_back, ret_record) : r;
}

static int live_next(struct input *input, struct record *ret_record)
{
	struct live_input *self = (struct live_input *)input;

	if (entry_again(&self->reader, ret_record))
		return INPUT_RECORD;
	while (self->journal) {
		bool is_end;
		int r = read_next(self, ret_record, &is_end);

		if (r == INPUT_RECORD)
			return r;
		if (is_end) {
			if (self->moved && !self->unfinished)
				remember_position(self);
			if (!self->superseded)
				return INPUT_DRAINED;
			close_journal(self);
			r = open_again(self);
		}
		if (r < 0)
			return lose_journal(self, r);
	}
	return INPUT_DRAINED;
}

/* A file may be torn for good, by a disk that has lost a part of it: to reopen the journal
 * each time that it is met would leave time for nothing else. The library leaves out such a file.
 */
static bool must_bear(struct live_input *self)
{
	uint64_t now_us = clock_us(CLOCK_MONOTONIC);

	if (now_us < self->bear_us)
		return true;
	self->bear_us = now_us + BEAR_US;
	return false;
}

/* What has become of the files, so that it lets go of deleted ones. */
static int tell_library(struct live_input *self)
{
	uint64_t now_us = clock_us(CLOCK_MONOTONIC);

	if (now_us < self->tell_us)
		return 0;
	self->tell_us = now_us + TELL_US;
	return sd_journal_process(self->journal);
}

static int live_follow(struct input *input)
{
	struct live_input *self = (struct live_input *)input;
	enum change change;
	int r = 0;

	self->sigbus = sigbus_happened() || self->sigbus;
	if (!self->journal)
		return open_again(self);
	if (self->sigbus && !must_bear(self))
		return lose_journal(self, -EIO);
	change = find_change(self);
	if (change == REPLACED)
		self->superseded = true;
	else if (change == SAME)
		r = tell_library(self);
	return r < 0 ? lose_journal(self, r) : 0;
}

static bool live_place(struct input *input, struct input_position *ret)
{
	struct live_input *self = (struct live_input *)input;

	if (self->past) {
		*ret = self->place;
		return true;
	}
	if (self->journal && self->moved && !self->unfinished)
		remember_position(self);
	if (!self->cursor || strlen(self->cursor) >= sizeof ret->cursor)
		return false;
	memcpy(ret->cursor, self->cursor, strlen(self->cursor) + 1);
	sd_id128_to_string(self->reader.last_boot, ret->boot);
	ret->monotonic_us = self->reader.last_us;
	return true;
}

static int live_listen(struct input *input, const struct other_log *logs, size_t n)
{
	return entry_listen(&((struct live_input *)input)->reader, logs, n);
}

static const struct input_counts *live_counts(const struct input *input)
{
	return &((const struct live_input *)input)->counts;
}

static bool live_sees_files(struct input *input)
{
	sd_journal *journal = ((struct live_input *)input)->journal;

	return journal && (sd_journal_has_runtime_files(journal) > 0 ||
			   sd_journal_has_persistent_files(journal) > 0);
}

static const struct input_ops live_ops = {
	.next = live_next,
	.free = live_free,
	.sees_files = live_sees_files,
	.listen = live_listen,
	.follow = live_follow,
	.place = live_place,
	.counts = live_counts,
};

static int resume_at(struct live_input *self, const struct input_live *options)
{
	self->place = *options->place;
	if (sd_id128_from_string(self->place.boot, &self->place_boot) < 0)
		return -ESTALE;
	self->past = true;
	return seek_back(self, options->since_us, options->n_max);
}

int input_new_live(const struct input_live *options, struct input **ret)
{
	CLEANUP(cleanup_live_input_free) struct live_input *self = calloc(1, sizeof *self);
	int r;

	if (!self)
		return -ENOMEM;
	self->base.ops = &live_ops;
	self->start_us = clock_us(CLOCK_REALTIME);
	if (options->directory) {
		self->directory = strdup(options->directory);
		if (!self->directory)
			return -ENOMEM;
	}
	sd_id128_get_boot(&self->reader.this_boot);
	sigbus_watch();
	r = name_written(self);
	if (r == 0)
		r = open_live_journal(self);
	if (r == 0)
		r = options->place ? resume_at(self, options) : seek_now(self);
	if (r < 0)
		return r;
	*ret = &TAKE_PTR(self)->base;
	return 0;
}
