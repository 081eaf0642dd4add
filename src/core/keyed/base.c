#include "core/keyed/base.h"

#include "core/probe.h"
#include "core/token.h"

unsigned keyed_reach(const struct keyed_base *base)
{
	/* One more, for now may be a step ahead of the probe: see step_of(). */
	return (base->limits.skew_s + TOKEN_STEP_S - 1) / TOKEN_STEP_S + 1;
}

unsigned keyed_margin(size_t n_rows)
{
	return n_rows <= KEYED_TELL_ROWS_MAX ? KEYED_TELL_STEPS : 1;
}

bool keyed_try(struct keyed_base *base, const struct probe *probe)
{
	if (!budget_take(&base->budget, &probe->source, probe->time_us)) {
		base->counts.dropped++;
		return false;
	}
	base->counts.tries++;
	return true;
}
