/* An event: what has become of a door for somebody. Grants report it, the journal and the bus pass
 * it on. */
#pragma once

#include "core/address.h"
#include "core/visitor.h"

#include <stdint.h>

enum event_kind {
	EVENT_OPENED,
	EVENT_RENEWED,
	EVENT_CLOSED,
	EVENT_REFUSED,	    /* could not be opened: `reason` */
	EVENT_CLOSE_FAILED, /* could not be closed, will be tried again: `reason` */
	EVENT_ADOPTED,	    /* a predecessor opened it, and it is still open */
	EVENT_RESTORED,	    /* the firewall had lost it, and has it again */
	EVENT_MISSING,	    /* the firewall has lost it and it cannot be restored: `reason` */
	N_AUDIT_EVENTS,	    /* those above are for the journal; those below are about state files */
	EVENT_LOST = N_AUDIT_EVENTS, /* a file is not a state file: `reason` is its name. With a
					door, what its name says may be open is closed */
	EVENT_STALE,		     /* closed, but its state file cannot be removed: `reason` */
	EVENT_UNREADABLE, /* a state file cannot be read: `reason` is its name; no door */
	EVENT_HELD,	  /* for nobody but other hosts: what this one holds may have changed */
};

struct event {
	enum event_kind kind;
	const char *door; /* "" or NULL: none in particular */
	struct address source;
	struct network network; /* that the door is for; of prefix 0: the source alone */
	const char *user;	/* whose key it was; "" or NULL: nobody's */
	enum knock_kind knock;
	uint64_t left_us;     /* until the deadline, of a door that is open; otherwise 0 */
	uint64_t deadline_us; /* the same on the wall clock; 0: there is none, or not known yet */
	const char *reason;   /* or NULL */
	enum refusal refusal; /* of EVENT_REFUSED */
	struct hand hand;     /* who has opened or closed it, if that was by hand */
	/* Of those who have knocked here, and not at another host of the fleet: the one who has it
	 * open longest, and until when. NULL and 0: nobody. */
	const char *own_user;
	uint64_t own_left_us, own_deadline_us;
	uint64_t own_stamp_us; /* when they have knocked, by the wall clock; 0: unknown */
};

typedef void (*event_fn)(void *userdata, const struct event *event);
