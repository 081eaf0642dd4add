/* Points in time, as people type them. */
#pragma once

#include <stdint.h>

/* "2026-11-22 21:00:30", with a T or without seconds or time, all local; "21:00" of today; "today",
 * "yesterday", "now"; "@1700000000"; "-1h" for an hour ago. Microseconds of the wall clock. 0, or
 * -EINVAL. */
int when_parse(const char *text, uint64_t now_us, uint64_t *ret_us);

/* The wall clock, in microseconds. */
uint64_t when_now_us(void);
