/* Notices: what the agent says to the journal, as structured entries, and where standard error is
 * not the journal there as well. They are in knocktail.events(7).
 *
 * MUST: hold no secret, and no text that somebody else has chosen. */
#pragma once

#include <stdint.h>

/* How often, at most, the same is said again of what may come with any message. */
#define NOTICE_QUIET_US UINT64_C(600000000)

enum notice {
	NOTICE_UP,	/* connected to the broker */
	NOTICE_DOWN,	/* the broker is gone */
	NOTICE_REFUSED, /* messages that count for nothing */
	NOTICE_CLOCK,	/* another host's clock is off, or ours */
	NOTICE_TWICE,	/* another host has our name */
	N_NOTICES
};

__attribute__((format(printf, 2, 3))) void notice_send(enum notice notice, const char *format, ...);
