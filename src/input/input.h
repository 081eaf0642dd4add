/* An input: where records come from. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct other_log;
struct record;
struct input;

/* One entry of the journal, as it can be found again. */
enum { INPUT_BOOT_MAX = 33, INPUT_CURSOR_MAX = 256 };
struct input_position {
	char boot[INPUT_BOOT_MAX];     /* the entry's, in hexadecimal digits */
	uint64_t monotonic_us;	       /* when it was stored, on that boot's CLOCK_MONOTONIC */
	char cursor[INPUT_CURSOR_MAX]; /* its name, as journalctl --after-cursor= takes it */
};

struct input_live {
	const char *directory; /* where journald writes; NULL: this machine's journal */
	/* What a predecessor has read up to, or NULL: all that is there is old. With a place,
	 * records stored at `since_us` (CLOCK_MONOTONIC) or later are read once more, `n_max` of
	 * them at most; those up to the place are marked as past. */
	const struct input_position *place;
	uint64_t since_us;
	size_t n_max;
};

/* The live journal: only what the kernel itself logged. 0; -ESTALE: the place is not of the boot
 * that the journal is at; another negative errno. */
int input_new_live(const struct input_live *options, struct input **ret);

/* Journal files, oldest record first: of this machine (`directory` and `file` NULL), of one
 * directory, or one file. Only what a kernel logged, and what was stored in [since_us, until_us) of
 * the wall clock. */
int input_new_journal(const char *directory, const char *file, uint64_t since_us, uint64_t until_us,
		      struct input **ret);

/* Who knows what a message is when they see it. */
struct text_messages {
	bool (*begins)(void *userdata, const char *text, size_t length);
	/* Gets each line in which no message was found, by its number from 1. */
	void (*unread)(void *userdata, uint64_t line, const char *text, size_t length);
	bool anybody; /* other programs' messages count, not only the kernel's */
	void *userdata;
};

/* Lines of text from a file, or from standard input if `path` is "-": bare messages, dmesg's,
 * syslog's or journalctl's short forms. The kernel's own time counts where a line has it. With a
 * bound on the time, a line without a date is left out. `messages` (NULL: nobody knows) has to
 * outlive the input. */
int input_new_text(const char *path, const struct text_messages *messages, uint64_t since_us,
		   uint64_t until_us, struct input **ret);

/* Also delivers the records of these logs (copied), each marked with its log. Replaces earlier
 * ones. An entry of several logs comes once for each. What the kernel logs never belongs to another
 * log, and lines of text are all the kernel's. 0 or a negative errno. */
int input_listen(struct input *input, const struct other_log *logs, size_t n);

struct input *input_free(struct input *input);

enum input_step {
	INPUT_DRAINED, /* nothing more: for good, or (live) for now */
	INPUT_RECORD,  /* *ret_record is the next one, valid until the next call */
};

/* An input_step, or a negative errno. */
int input_next(struct input *input, struct record *ret_record);

/* Whether there is any file of this machine's journal that this user may read; of inputs that read
 * them. */
bool input_sees_files(struct input *input);

/* Of a drained input of journal files: whether some were found damaged on the way, so that records
 * of theirs may be missing. */
bool input_lost(struct input *input);

/* The rest is for a live input alone. */

/* Follows what journald does to its files; to be called each time before input_next() is. 0, or a
 * negative errno: the journal cannot be read now. Then, and after an error of input_next(), the
 * next call reopens it, and reading goes on where it stood. */
int input_follow(struct input *input);

/* The entry of the last record, or the position that it started with until that is passed. False:
 * there was none yet. */
bool input_position(struct input *input, struct input_position *ret);

struct input_counts {
	uint64_t kernel; /* entries of the kernel's log, whoever wrote them */
	uint64_t missed; /* kernel messages that journald says were overwritten before it read them
			  */
	uint64_t gaps;	 /* how often the journal had to be reopened after an error */
};
const struct input_counts *input_counts(const struct input *input);
