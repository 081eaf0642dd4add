/* The clocks, and the unit that all times are in. Stages get the time as an argument; the outermost
 * code reads it here. */
#pragma once

#include <stdint.h>
#include <time.h>

#define US_PER_S UINT64_C(1000000)

static inline uint64_t clock_us(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * US_PER_S + (uint64_t)now.tv_nsec / 1000;
}
