/* A month by its short name, in any of the languages that logs are written in. */
#pragma once

/* Reads "Nov", "Mär", "févr." or "11月" at the beginning of the text. Returns what is behind it,
 * and in *ret_month 0 to 11; NULL: it begins with no month. */
const char *month_parse(const char *text, int *ret_month);
