/* A source: where records come from. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct record;
struct source;

/* The live journal of this machine, from now on: only what the kernel itself logged. */
int source_new_live(struct source **ret);

/* Journal files, oldest record first: of this machine (`directory` and `file` NULL), of one
 * directory, or one file. Only what a kernel logged, and what was stored in [since_us, until_us) of
 * the wall clock. */
int source_new_journal(const char *directory, const char *file, uint64_t since_us,
		       uint64_t until_us, struct source **ret);

/* Lines of text from a file, or from standard input if `path` is "-": bare messages, dmesg's,
 * syslog's or journalctl's short forms. The kernel's own time counts where a line has it. With a
 * bound on the time, a line without a date is left out. */
int source_new_text(const char *path, uint64_t since_us, uint64_t until_us, struct source **ret);

struct source *source_free(struct source *source);

enum source_step {
	SOURCE_DRAINED, /* nothing more: for good, or (live) for now */
	SOURCE_RECORD,	/* *ret_record is the next one, valid until the next call */
};

/* A source_step, or a negative errno. */
int source_next(struct source *source, struct record *ret_record);

/* Whether there is any file of this machine's journal that this user may read; of sources that read
 * that. */
bool source_sees_files(struct source *source);

/* The rest is for an event loop and a live source alone. */

/* The descriptor to poll, for which events, and until when (CLOCK_MONOTONIC; UINT64_MAX: no limit).
 * When it is ready or the time has come: source_process(), then source_next() until SOURCE_DRAINED.
 */
int source_fd(struct source *source);
int source_events(struct source *source);
int source_deadline(struct source *source, uint64_t *ret_us);
int source_process(struct source *source);
