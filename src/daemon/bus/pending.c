#include "daemon/bus/pending.h"

#include <string.h>

#include "bus-names.h"
#include "grant/grants.h"

/* Longer than a command may run; the caller has timed out before. */
#define CALL_LIMIT_US UINT64_C(60000000)

void call_done(struct call *call)
{
	sd_bus_slot_unref(call->lookup);
	sd_bus_message_unref(call->message);
	*call = (struct call){0};
}

void calls_forget(struct calls *calls, const sd_bus *connection)
{
	for (size_t i = 0; i < CALLS_MAX; i++)
		if (calls->items[i].kind != CALL_NONE &&
		    sd_bus_message_get_bus(calls->items[i].message) == connection)
			call_done(&calls->items[i]);
}

struct call *calls_add(struct calls *calls, enum call_kind kind, sd_bus_message *message,
		       uint64_t now_us)
{
	struct call *free_one = NULL;

	for (size_t i = 0; i < CALLS_MAX; i++) {
		struct call *call = &calls->items[i];

		if (call->kind != CALL_NONE && call->until_us <= now_us) {
			sd_bus_reply_method_errorf(call->message, BUS_ERROR_FAILED,
						   "no answer in time");
			call_done(call);
		}
		if (call->kind == CALL_NONE)
			free_one = call;
	}
	if (free_one) {
		free_one->kind = kind;
		free_one->message = sd_bus_message_ref(message);
		free_one->until_us = now_us + CALL_LIMIT_US;
	}
	return free_one;
}

static void call_on_open_event(struct call *call, const struct event *event)
{
	if (event->kind == EVENT_OPENED || event->kind == EVENT_RENEWED) {
		sd_bus_reply_method_return(call->message, "t", event->deadline_us);
		call_done(call);
	} else if (event->kind == EVENT_REFUSED) {
		sd_bus_reply_method_errorf(call->message, BUS_ERROR_REFUSED,
					   "door %s was not opened: %s", event->door,
					   event->reason ? event->reason : "no reason is known");
		call_done(call);
	}
}

void call_expect(struct call *call, uint32_t n_wanted)
{
	call->n_wanted = n_wanted;
	if (call->n_closed >= n_wanted) {
		sd_bus_reply_method_return(call->message, "u", n_wanted);
		call_done(call);
	}
}

/* A door whose opening failed meanwhile is closed as well. */
static void call_on_close_event(struct call *call, const struct event *event)
{
	if (event->kind == EVENT_CLOSED || event->kind == EVENT_REFUSED)
		call->n_closed++;
	if (event->kind == EVENT_CLOSE_FAILED) {
		sd_bus_reply_method_errorf(call->message, BUS_ERROR_FAILED,
					   "door %s could not be closed: %s", event->door,
					   event->reason ? event->reason : "no reason is known");
		call_done(call);
	} else {
		call_expect(call, call->n_wanted);
	}
}

static bool is_about(const struct call *call, const struct event *event)
{
	return !call->lookup && strcmp(call->door, event->door) == 0 &&
	       (call->any_source || address_equal(&call->source, &event->source));
}

void calls_on_event(struct calls *calls, const struct event *event)
{
	if (!event->door)
		return;
	for (size_t i = 0; i < CALLS_MAX; i++) {
		struct call *call = &calls->items[i];

		if (call->kind == CALL_OPEN && is_about(call, event))
			call_on_open_event(call, event);
		else if (call->kind == CALL_CLOSE && is_about(call, event))
			call_on_close_event(call, event);
	}
}
