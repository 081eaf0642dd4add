/* Events: what the daemon did for whom, as structured entries of the journal.
 *
 * MUST: hold no secret: no sequence, no key, no text from a record. MUST: never wait for journald.
 */
#pragma once

#include "core/event.h"

#include <stddef.h>

/* Sends the event (of those before N_AUDIT_EVENTS) to the journal, with MESSAGE_ID=,
 * KNOCKTAIL_DOOR=, KNOCKTAIL_USER=, KNOCKTAIL_KNOCK=, KNOCKTAIL_SOURCE=, KNOCKTAIL_NETWORK=,
 * KNOCKTAIL_DEADLINE=, KNOCKTAIL_UID=, KNOCKTAIL_CAUSE= and KNOCKTAIL_REASON=. Where standard error
 * is not the journal, its message goes there too. */
void audit_send(const struct event *event);

/* The MESSAGE_ID= of a kind of event, and the kind that has this one. N_AUDIT_EVENTS: not one of
 * ours. */
const char *audit_message_id(enum event_kind kind);
enum event_kind audit_kind_of(const char *message_id, size_t length);
