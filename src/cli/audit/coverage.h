/* Coverage: how much of the past a journal has. */
#pragma once

#include <stdint.h>
#include <systemd/sd-journal.h>

struct coverage {
	uint64_t begins_us; /* the oldest entry that is kept, wall clock; 0: there is none */
	uint64_t missed;    /* kernel messages that were overwritten before journald read them */
};

/* Of [since_us, until_us) of the wall clock. Forgets the journal's matches. 0 or a negative errno.
 */
int coverage_read(sd_journal *journal, uint64_t since_us, uint64_t until_us, struct coverage *ret);
