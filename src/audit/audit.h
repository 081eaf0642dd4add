/* Events: what the daemon did for whom, as structured entries of the journal.
 *
 * MUST: hold no secret: no sequence, no key, no text from a record. MUST: never wait for journald.
 */
#pragma once

#include "core/address.h"

#include <stddef.h>
#include <stdint.h>

enum audit_event {
	AUDIT_OPENED,
	AUDIT_RENEWED,
	AUDIT_CLOSED,
	AUDIT_REFUSED,
	AUDIT_CLOSE_FAILED,
	AUDIT_ADOPTED,
	AUDIT_RESTORED,
	AUDIT_MISSING,
	AUDIT_N_EVENTS,
};

struct audit_entry {
	enum audit_event event;
	const char *door; /* "": none in particular */
	const char *user; /* whose key it was; "" or NULL: nobody's */
	const char *way;  /* "sequence", "token", "spa", "hand": how he came; NULL: unknown */
	struct address source;
	uint64_t deadline_us; /* wall clock; 0: there is none */
	const char *reason;   /* or NULL */
};

/* Sends the entry to the journal, with MESSAGE_ID=, KNOCKTAIL_DOOR=, KNOCKTAIL_USER=,
 * KNOCKTAIL_KNOCK=, KNOCKTAIL_SOURCE=, KNOCKTAIL_DEADLINE= and KNOCKTAIL_REASON=. Where standard
 * error is not the journal, its message goes there too. */
void audit_send(const struct audit_entry *entry);

/* What MESSAGE_ID= says for an event, and the event for what it says. AUDIT_N_EVENTS: none of ours.
 */
const char *audit_message_id(enum audit_event event);
enum audit_event audit_event_of(const char *message_id, size_t length);
