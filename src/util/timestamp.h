/* Points in time, as text: microseconds of the wall clock. */
#pragma once

#include <stdint.h>

enum { TIMESTAMP_TEXT_MAX = 40 };

/* Each writes one form and returns `text`: local, "2026-11-22 21:00:30 CET", or "-" for 0; the same
 * in UTC, "2026-11-22 20:00:30 UTC"; ISO 8601 in UTC, "2026-11-22T20:00:30.123456Z". */
const char *timestamp_format(uint64_t realtime_us, char text[static TIMESTAMP_TEXT_MAX]);
const char *timestamp_format_utc(uint64_t realtime_us, char text[static TIMESTAMP_TEXT_MAX]);
const char *timestamp_format_iso(uint64_t realtime_us, char text[static TIMESTAMP_TEXT_MAX]);

/* "2026-11-22 21:00:30", with a T or without seconds or time, all local, or with UTC or this zone's
 * own name behind it; "21:00" of today; "today", "yesterday", "now"; "@1700000000"; "-1h" for an
 * hour ago. 0, or -EINVAL. */
int timestamp_parse(const char *text, uint64_t now_us, uint64_t *ret_us);
