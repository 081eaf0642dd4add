/* Looking at text that somebody typed, and showing it back. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Room for any quoted text and its NUL. */
enum { TEXT_QUOTED_MAX = 64 };

/* What is wrong with the bytes of one line, as "a NUL byte"; NULL if they are printable UTF-8 and
 * tabs. */
const char *text_find_fault(const char *text, size_t length);

/* Writes the text between double quotes, clipped to fit, control characters and stray bytes as
 * \xNN, and returns `buffer`. */
const char *text_quote(const char *text, char buffer[static TEXT_QUOTED_MAX]);

/* The same for a name made of small letters and '_', and a figure at its end; whatever else it
 * holds is not shown, for a slip may have put a secret there. */
const char *text_quote_name(const char *name, char buffer[static TEXT_QUOTED_MAX]);

/* Whether every byte is printable ASCII, the blank included. */
bool text_is_printable(const char *text);

/* How many letters have to be changed, added, dropped or swapped with their neighbour to turn one
 * name into the other; (unsigned)-1 if one is too long to be worth the count. */
unsigned text_distance(const char *a, const char *b);
