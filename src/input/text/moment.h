/* A moment: a date with a time of the day, or seconds, as logs write them. */
#pragma once

#include <stdint.h>

struct moment;

/* "2026-11-22T21:00:00.123456+00:00" and "Nov 22 21:00:00", with what else some put to either: a
 * weekday, a year, a zone. Without a year it is of the twelve months up to `now_us`. Returns what
 * is behind it; NULL: there is no moment. */
const char *moment_parse(const char *at, uint64_t now_us, struct moment *ret);

/* "12.345678": seconds that need their fraction to be taken for a time. NULL: there are none. */
const char *moment_parse_seconds(const char *at, uint64_t *ret_us);
