/* A time zone, as it stands behind a time. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

struct zone {
	bool local; /* this machine's, or the one that TZ names */
	int dst;    /* of local time: 1 in summer time, 0 not, -1 unknown */
	long east;  /* of Greenwich otherwise, in seconds */
};

/* Reads an offset, "Z", or the name of a zone, perhaps after a blank. Returns what is behind it;
 * `at` itself, and local time, if there is none of these. The caller has called tzset(). */
const char *zone_parse(const char *at, struct zone *ret);

/* The wall clock's time in microseconds; 0: before 1970. */
struct moment {
	uint64_t us;
	uint64_t later_us; /* the other one that is written so, when an hour comes twice; or 0 */
};
struct moment zone_to_realtime(const struct zone *zone, struct tm tm, uint64_t fraction_us);
