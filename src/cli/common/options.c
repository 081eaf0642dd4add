#include "cli/common/options.h"

#include <errno.h>
#include <stdio.h>

#include "cli/verb.h"
#include "util/clock.h"
#include "util/duration.h"
#include "util/timestamp.h"

#define SPAN_MIN_US UINT64_C(1000000)
#define SPAN_MAX_US UINT64_C(3600000000)

int option_time(const struct verb *verb, const char *text, uint64_t *ret_us)
{
	if (timestamp_parse(text, clock_us(CLOCK_REALTIME), ret_us) == 0)
		return 0;
	fprintf(stderr,
		"knocktail %s: invalid time '%s' (examples: \"2026-11-22 21:00\", yesterday, @1700000000, -2h)\n",
		verb->name, text);
	return -EINVAL;
}

int option_span(const struct verb *verb, const char *text, uint64_t *ret_us)
{
	uint64_t us;

	if (duration_parse(text, &us) == 0 && us >= SPAN_MIN_US && us <= SPAN_MAX_US) {
		*ret_us = us;
		return 0;
	}
	fprintf(stderr, "knocktail %s: '%s' is not a time span between 1s and 1h\n", verb->name,
		text);
	return -EINVAL;
}

void verb_warn_blind(const struct verb *verb)
{
	fprintf(stderr,
		"knocktail %s: warning: no journal file can be read: is this user in the group systemd-journal?\n",
		verb->name);
}
