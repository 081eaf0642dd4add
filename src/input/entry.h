/* An entry of the journal: whether it counts, and how it becomes a record. Within the layer only.
 *
 * MUST: believe only entries with journald's own _TRANSPORT=kernel and with SYSLOG_FACILITY=0: no
 * process, root's writes to /dev/kmsg included, can make an entry that has both. MUST: an entry
 * of another log is marked as that log's, and is never taken for the kernel's. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-id128.h>
#include <systemd/sd-journal.h>

#include "core/record.h"

struct log_match;
struct other_log;

/* A kernel line is at most about 1 KiB; what is beyond this is dropped, and the line is too long to
 * count then. */
enum { ENTRY_TEXT_MAX = 4096 };

struct entry_reader {
	sd_id128_t this_boot; /* the machine's; null: none is */
	sd_id128_t last_boot; /* the last entry's */
	uint64_t last_us;     /* when it was stored, on its boot's CLOCK_MONOTONIC */
	uint32_t boot;	      /* counts the changes of last_boot */
	struct log_match
		*log_match; /* of logs beside the kernel; the reader's own; NULL: of none */
	uint32_t claimed; /* those that the entry belongs to, as bits, and that have not had it yet
			   */
	struct record record; /* that belongs to them */
	char text[ENTRY_TEXT_MAX];
};

enum entry_kind {
	ENTRY_FOREIGN,	  /* somebody else's */
	ENTRY_WRITTEN,	  /* somebody else's, who wrote it to the kernel's log */
	ENTRY_RECORD,	  /* one that counts: *ret_record, whose text is the reader's */
	ENTRY_MISSED,	  /* journald's note that *ret_missed of those were lost */
	ENTRY_UNFINISHED, /* it lacks what one of its kind has if it counts, as if not read */
};

/* Reads the entry that the journal stands on. An entry_kind, or a negative errno.
 *
 * journald counts an entry before it links the entry's fields to it, one by one. In the middle of
 * that the library takes a field that no earlier entry has, such as the message, for damaged, and
 * passes over it (link_entry_into_array_plus_one() and check_object() in systemd's
 * journal-file.c). So an entry that is unfinished is to be read again while it is the newest. When
 * there is a newer one it is what it will always be: `is_final`, which is never unfinished.
 *
 * A field that some log matches is not missed: that it is new happens once in a file. */
int entry_read(struct entry_reader *reader, sd_journal *journal, bool is_final,
	       struct record *ret_record, uint64_t *ret_missed);

/* The same once more, if it is another log's as well: to be asked after each ENTRY_RECORD, until
 * it is not. */
bool entry_again(struct entry_reader *reader, struct record *ret_record);

/* From now on these logs (copied) are matched against, and no others. 0 or -ENOMEM. */
int entry_listen(struct entry_reader *reader, const struct other_log *logs, size_t n);

/* Frees what the reader owns. */
void entry_done(struct entry_reader *reader);

/* Whether an error is the entry's alone, not the journal's: it is damaged, or packed in a way that
 * this library does not know. */
bool entry_is_lost(int r);
