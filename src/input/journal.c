/* Records from journal files. */
#include "input/input.h"

#include <errno.h>
#include <stdlib.h>
#include <systemd/sd-journal.h>

#include "core/record.h"
#include "input/entry.h"
#include "input/log-match.h"
#include "input/open-files.h"
#include "input/ops.h"
#include "util/cleanup.h"

/* Before so many entries that do not count, nothing can be said of the journal. */
enum { FOREIGN_MIN = 100 };

struct journal_input {
	struct input base;
	sd_journal *journal;
	uint64_t since_us, until_us;
	size_t n_files;	 /* that are open */
	bool is_matched; /* the library passes over what does not count */
	bool has_lost;	 /* an entry that the library found could not be read */
	uint64_t n_read, n_records, n_foreign;
	struct entry_reader reader;
};

static struct journal_input *journal_input_free(struct journal_input *self)
{
	if (self) {
		sd_journal_close(self->journal);
		entry_done(&self->reader);
		free(self);
	}
	return NULL;
}

DEFINE_CLEANUP(struct journal_input *, journal_input_free)

static void journal_free(struct input *input)
{
	journal_input_free((struct journal_input *)input);
}

/* From now on the library passes over what does not count. One match does nearly that for the
 * kernel's, and costs half of two. */
static int journal_match(struct journal_input *self)
{
	int r = sd_journal_add_match(self->journal, "_TRANSPORT=kernel", 0);

	if (r >= 0 && self->reader.log_match)
		r = log_match_match(self->reader.log_match, self->journal);
	self->is_matched = true;
	return r;
}

/* A match makes each entry dearer by a fourth of what it costs to read one and see that it does not
 * count: it pays in the journal of a whole machine, and not in one of probes. */
static int journal_match_if_it_pays(struct journal_input *self)
{
	bool pays = self->n_foreign > FOREIGN_MIN && self->n_foreign > self->n_records / 4;

	return pays && !self->is_matched ? journal_match(self) : 0;
}

static int journal_next(struct input *input, struct record *ret_record)
{
	struct journal_input *self = (struct journal_input *)input;

	if (entry_again(&self->reader, ret_record))
		return INPUT_RECORD;
	for (;;) {
		uint64_t missed;
		int r = sd_journal_next(self->journal);

		if (r <= 0)
			return r; /* INPUT_DRAINED: there is no other one */
		self->n_read++;
		r = entry_read(&self->reader, self->journal, true, ret_record, &missed);
		if (r < 0 && !entry_is_lost(r))
			return r;
		self->has_lost = self->has_lost || r < 0;
		if (r == ENTRY_RECORD && ret_record->realtime_us >= self->since_us) {
			self->n_records++;
			return ret_record->realtime_us < self->until_us ? INPUT_RECORD
									: INPUT_DRAINED;
		}
		self->n_foreign++;
		r = journal_match_if_it_pays(self);
		if (r < 0)
			return r;
	}
}

static bool journal_sees_files(struct input *input)
{
	sd_journal *journal = ((struct journal_input *)input)->journal;

	return sd_journal_has_runtime_files(journal) > 0 ||
	       sd_journal_has_persistent_files(journal) > 0;
}

static bool journal_lost(struct input *input)
{
	const struct journal_input *self = (const struct journal_input *)input;
	const struct open_files_check check = {
		.since_us = self->since_us,
		.until_us = self->until_us,
		.n_read = self->n_read,
		.entries = true,
	};

	return self->has_lost || open_files_count() < self->n_files || !open_files_are_whole(check);
}

static int journal_listen(struct input *input, const struct other_log *logs, size_t n)
{
	struct journal_input *self = (struct journal_input *)input;

	sd_journal_flush_matches(self->journal);
	self->is_matched = false;
	return entry_listen(&self->reader, logs, n);
}

static const struct input_ops journal_ops = {
	.next = journal_next,
	.free = journal_free,
	.listen = journal_listen,
	.sees_files = journal_sees_files,
	.lost = journal_lost,
};

static int open_files(const char *directory, const char *file, sd_journal **ret)
{
	if (file)
		return sd_journal_open_files(ret, (const char *[]){file, NULL}, 0);
	if (directory)
		return sd_journal_open_directory(ret, directory, 0);
	return sd_journal_open(ret, SD_JOURNAL_LOCAL_ONLY | SD_JOURNAL_SYSTEM);
}

int input_new_journal(const char *directory, const char *file, uint64_t since_us, uint64_t until_us,
		      struct input **ret)
{
	CLEANUP(cleanup_journal_input_free)
	struct journal_input *self = calloc(1, sizeof *self);
	int r;

	if (!self)
		return -ENOMEM;
	self->base.ops = &journal_ops;
	self->since_us = since_us;
	self->until_us = until_us;
	r = open_files(directory, file, &self->journal);
	if (r >= 0)
		r = sd_journal_set_data_threshold(self->journal, ENTRY_TEXT_MAX);
	if (r >= 0)
		r = since_us > 0 ? sd_journal_seek_realtime_usec(self->journal, since_us)
				 : sd_journal_seek_head(self->journal);
	if (r < 0)
		return r;
	self->n_files = open_files_count();
	*ret = &TAKE_PTR(self)->base;
	return 0;
}
