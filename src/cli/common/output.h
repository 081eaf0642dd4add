/* Output: columns and colours on a terminal, tabs and plain words elsewhere. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct verb;

/* Whether the file is a terminal that understands more than plain text. */
bool output_is_terminal(FILE *file);

enum colour { COLOUR_NONE, COLOUR_BOLD, COLOUR_DIM, COLOUR_GOOD, COLOUR_BAD, COLOUR_NOTE };

/* What begins a colour on standard output, and COLOUR_NONE ends it: "" where there are to be none
 * (no terminal, or NO_COLOR is set; see no-color.org). */
const char *output_colour(enum colour colour);

/* Writes the text with no line longer than `columns`, if that can be had by breaking between words;
 * what goes on stands below what it belongs to. */
void output_wrap(const char *text, size_t columns, FILE *file);

/* Writes it to standard output, and so for the width of a terminal that is not too narrow. */
enum { OUTPUT_COLUMNS_MIN = 40 };
void output_put(const char *text);
__attribute__((format(printf, 1, 2))) void output_print(const char *format, ...);

/* Rows of cells: aligned under a headline on a terminal, divided by tabs elsewhere. */
struct table;

/* The headline's words, which end in NULL; with a NULL instead, it has none and `n_columns` counts.
 * Here and below: without memory, the program ends (memory_out()). */
struct table *table_new(size_t n_columns, const char *const headline[]);
struct table *table_free(struct table *table);

/* Appends one row of as many texts as there are columns. What a terminal might act upon is
 * replaced; an empty text becomes "-". */
void table_add(struct table *table, enum colour colour, const char *const cells[]);
void table_print(const struct table *table);
