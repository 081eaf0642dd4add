/* Refusals: rate-limited events in the journal. Anybody can knock wrongly as often as they
 * like. */
#pragma once

#include "audit/ratelimit.h"

struct event;

struct refusals {
	struct ratelimit limit;
};

void refusals_init(struct refusals *refusals);

/* Reports the refusal (the event's kind does not matter), unless there were too many like it; the
 * next one says how many were suppressed. */
void refusals_report(struct refusals *refusals, const struct event *event);
