/* Refusals: events in the journal, as many as it bears. Anybody can knock wrongly as often as they
 * like. */
#pragma once

#include "audit/ratelimit.h"

struct event;

/* All zero at first. */
struct refusals {
	struct ratelimit limit;
};

/* Reports the refusal (the event's kind does not matter), unless too many like it were; the next
 * one says how many were not. */
void refusals_report(struct refusals *refusals, const struct event *event);
