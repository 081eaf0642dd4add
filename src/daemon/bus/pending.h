/* Calls, on the bus or on the socket, whose answer has to wait for the firewall.
 *
 * MUST: there is room for a fixed number of them; calls beyond that are refused, and none waits
 * forever. */
#pragma once

#include "core/address.h"
#include "core/door.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

struct event;

enum { CALLS_MAX = 64 };

enum call_kind { CALL_NONE, CALL_OPEN, CALL_CLOSE, CALL_RELOAD };

struct call {
	enum call_kind kind;
	void *owner;		 /* who carries it out */
	sd_bus_message *message; /* the call to be answered */
	sd_bus_slot *lookup;	 /* asks the bus who sent it; NULL: that is known */
	uint64_t until_us;	 /* CLOCK_BOOTTIME: when it times out */
	char door[DOOR_NAME_MAX + 1];
	struct address source;
	bool any_source;
	uint64_t timeout_us;	     /* to open: for how long */
	uint32_t n_wanted, n_closed; /* to close: grants */
};

struct calls {
	struct call items[CALLS_MAX];
};

/* A new one for this call, of which it keeps a reference; calls that have timed out are answered
 * first. NULL: all places are taken. */
struct call *calls_add(struct calls *calls, enum call_kind kind, sd_bus_message *message,
		       uint64_t now_us);

/* To close: this many grants were open. Answers if they are closed by now. */
void call_expect(struct call *call, uint32_t n_wanted);

/* Frees its place, answered or not; those of all calls that came over a connection. */
void call_done(struct call *call);
void calls_forget(struct calls *calls, const sd_bus *connection);

/* Answers those that this piece of news decides. `deadline_us`: the grant's, on the wall clock. */
void calls_on_event(struct calls *calls, const struct event *event);
