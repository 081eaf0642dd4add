/* Time spans as systemd writes them: "10s", "1h 30min", "1.5s". */
#pragma once

#include <stdint.h>

/* Room for any formatted span and its NUL. */
enum { DURATION_TEXT_MAX = 64 };

/* A sum of numbers with units (us, ms, s, min, h, d, w, M, y and their longer names); a number
 * without a unit is seconds. 0; -EINVAL: not a time span; -ERANGE: negative, or past 2^64 us. */
int duration_parse(const char *text, uint64_t *ret_us);

/* Writes the span in days and smaller units, so that duration_parse() reads it back exactly, and
 * returns `text`. */
const char *duration_format(uint64_t us, char text[static DURATION_TEXT_MAX]);

/* Writes the span in its two largest units, "2h 3min", seconds rounded, and returns `text`. */
const char *duration_round(uint64_t us, char text[static DURATION_TEXT_MAX]);
