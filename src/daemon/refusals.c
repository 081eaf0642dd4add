#include "daemon/refusals.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/random.h>

#include "audit/audit.h"
#include "core/event.h"
#include "util/clock.h"

enum { REASON_MAX = 300 };

void refusals_init(struct refusals *refusals)
{
	*refusals = (struct refusals){.limit = {.seed = 0}};
	/* Where there is none, they share counters as chance has it. */
	(void)!getrandom(&refusals->limit.seed, sizeof refusals->limit.seed, GRND_NONBLOCK);
}

void refusals_report(struct refusals *refusals, const struct event *event)
{
	struct event limited = *event;
	char reason[REASON_MAX];
	uint64_t n_dropped;

	if (!ratelimit_take(&refusals->limit, event->door, event->user ? event->user : "",
			    clock_us(CLOCK_MONOTONIC), &n_dropped))
		return;
	limited.kind = EVENT_REFUSED;
	if (n_dropped > 0) {
		snprintf(reason, sizeof reason, "%s (%" PRIu64 " more were not logged)",
			 event->reason, n_dropped);
		limited.reason = reason;
	}
	audit_send(&limited);
}
