#include "daemon/growth.h"

#include <time.h>

#include "util/clock.h"

uint64_t growth_take(struct growth *growth, uint64_t n)
{
	uint64_t more = n - growth->n_reported, now_us;

	if (more == 0)
		return 0;
	now_us = clock_us(CLOCK_MONOTONIC);
	if (growth->reported_us > 0 && now_us - growth->reported_us < GROWTH_US)
		return 0;
	growth->n_reported = n;
	growth->reported_us = now_us;
	return more;
}
