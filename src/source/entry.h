/* An entry of the journal: whether it counts, and how it becomes a record. Within the layer only.
 *
 * MUST: believe only entries with journald's own _TRANSPORT=kernel and with SYSLOG_FACILITY=0: no
 * process, root's writes to /dev/kmsg included, can make an entry that has both. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-id128.h>
#include <systemd/sd-journal.h>

struct record;

/* A kernel line is at most about 1 KiB; what is beyond this is dropped, and the line is too long to
 * count then. */
enum { ENTRY_TEXT_MAX = 4096 };

struct entry_reader {
	sd_id128_t this_boot; /* the machine's; null: none is */
	sd_id128_t last_boot; /* the last entry's */
	uint64_t last_us;     /* when it was stored, on its boot's CLOCK_MONOTONIC */
	uint32_t boot;	      /* counts the changes of last_boot */
	char text[ENTRY_TEXT_MAX];
};

enum entry_kind {
	ENTRY_FOREIGN, /* somebody else's */
	ENTRY_RECORD,  /* the kernel's own: *ret_record, whose text is the reader's */
	ENTRY_MISSED,  /* journald's note that so many (*ret_missed) of those were lost */
};

/* Reads the entry that the journal stands on. An entry_kind, or a negative errno. */
int entry_read(struct entry_reader *reader, sd_journal *journal, struct record *ret_record,
	       uint64_t *ret_missed);

/* Whether an error is the entry's alone, not the journal's: it is damaged, or packed in a way that
 * this library does not know. */
bool entry_is_lost(int r);
