#include "cli/common/output.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/common/memory.h"
#include "util/cleanup.h"
#include "util/text/stream.h"
#include "util/text/utf8.h"

bool output_is_terminal(FILE *file)
{
	const char *term = getenv("TERM");

	return isatty(fileno(file)) && term && *term && strcmp(term, "dumb") != 0;
}

const char *output_colour(enum colour colour)
{
	static const char *const sequences[] = {
		[COLOUR_NONE] = "\033[0m",  [COLOUR_BOLD] = "\033[1m", [COLOUR_DIM] = "\033[2m",
		[COLOUR_GOOD] = "\033[32m", [COLOUR_BAD] = "\033[31m", [COLOUR_NOTE] = "\033[33m",
	};
	const char *no_color = getenv("NO_COLOR");

	if ((no_color && *no_color) || !output_is_terminal(stdout))
		return "";
	return sequences[colour];
}

/* Where a line goes on that is too long: behind the last gap that begins in the first half. */
static size_t line_hang(const char *line, size_t length, size_t columns)
{
	size_t hang = 0;

	for (size_t i = 2; i < length && i <= columns / 2; i++)
		if (line[i] != ' ' && line[i - 1] == ' ' && line[i - 2] == ' ')
			hang = i;
	return hang;
}

/* How much of the line is put on one of so many columns: up to a blank, or one word that is longer.
 */
static size_t line_fit(const char *line, size_t length, size_t columns)
{
	size_t i = strspn(line, " "), width = i, fit = 0;

	for (; i < length; i++) {
		if (line[i] == ' ' && line[i - 1] != ' ' && (width <= columns || fit == 0))
			fit = i;
		width += ((unsigned char)line[i] & 0xc0) != 0x80;
		if (width > columns && fit > 0)
			return fit;
	}
	return length;
}

void output_wrap(const char *text, size_t columns, FILE *file)
{
	while (*text) {
		size_t length = strcspn(text, "\n"), hang = line_hang(text, length, columns);
		size_t fit = line_fit(text, length, columns);

		while (fit < length) {
			fprintf(file, "%.*s\n%*s", (int)fit, text, (int)hang, "");
			text += fit;
			length -= fit;
			fit = strspn(text, " ");
			text += fit;
			length -= fit;
			fit = line_fit(text, length, columns - hang);
		}
		fprintf(file, "%.*s", (int)length, text);
		text += length;
		if (*text == '\n')
			fputc(*text++, file);
	}
}

void output_put(const char *text)
{
	struct winsize size;

	if (output_is_terminal(stdout) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 &&
	    size.ws_col >= OUTPUT_COLUMNS_MIN)
		output_wrap(text, size.ws_col, stdout);
	else
		fputs(text, stdout);
}

void output_print(const char *format, ...)
{
	char *text CLEANUP(cleanup_free) = NULL;
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	va_end(arguments);
	if (text) {
		output_put(text);
		return;
	}
	/* Without memory it is not wrapped. */
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
}

struct row {
	enum colour colour;
	char *cells[];
};

struct table {
	size_t n_columns, n_rows, n_room;
	struct row **rows;
	size_t *widths; /* of the columns so far */
	bool headed;	/* the first row is the headline */
};

static void row_free(struct row *row, size_t n_columns)
{
	for (size_t i = 0; i < n_columns; i++)
		free(row->cells[i]);
	free(row);
}

struct table *table_new(size_t n_columns, const char *const headline[])
{
	struct table *table = calloc(1, sizeof *table);
	size_t *widths = calloc(n_columns, sizeof *widths);

	if (!table || !widths)
		memory_out();
	*table = (struct table){
		.n_columns = n_columns, .widths = widths, .headed = headline != NULL};
	if (headline)
		table_add(table, COLOUR_BOLD, headline);
	return table;
}

struct table *table_free(struct table *table)
{
	if (table) {
		for (size_t i = 0; i < table->n_rows; i++)
			row_free(table->rows[i], table->n_columns);
		free(table->rows);
		free(table->widths);
		free(table);
	}
	return NULL;
}

void table_add(struct table *table, enum colour colour, const char *const cells[])
{
	struct row *row;

	if (table->n_rows == table->n_room) {
		size_t n_room = table->n_room ? 2 * table->n_room : 16;
		struct row **rows = reallocarray(table->rows, n_room, sizeof *rows);

		if (!rows)
			memory_out();
		table->rows = rows;
		table->n_room = n_room;
	}
	row = calloc(1, sizeof *row + table->n_columns * sizeof *row->cells);
	if (!row)
		memory_out();
	row->colour = colour;
	for (size_t i = 0; i < table->n_columns; i++) {
		row->cells[i] = strdup(*cells[i] ? cells[i] : "-");
		if (!row->cells[i])
			memory_out();
		utf8_defuse(row->cells[i]);
	}
	for (size_t i = 0; i < table->n_columns; i++) {
		size_t width = utf8_count(row->cells[i]);

		if (width > table->widths[i])
			table->widths[i] = width;
	}
	table->rows[table->n_rows++] = row;
}

static void put_cells(const struct table *table, const struct row *row, bool terminal, FILE *file)
{
	for (size_t i = 0; i < table->n_columns; i++) {
		bool last = i + 1 == table->n_columns;

		fputs(row->cells[i], file);
		if (!last && !terminal)
			fputc('\t', file);
		else if (!last)
			fprintf(file, "%*s",
				(int)(table->widths[i] - utf8_count(row->cells[i]) + 2), "");
	}
}

static void print_row(const struct table *table, const struct row *row, bool terminal)
{
	char *line CLEANUP(cleanup_free) = NULL;
	FILE *file = text_stream_open(&line, NULL);

	if (file) {
		put_cells(table, row, terminal, file);
		fclose(file);
	}
	if (row->colour != COLOUR_NONE)
		fputs(output_colour(row->colour), stdout);
	/* Without memory it is not wrapped. */
	if (line)
		output_put(line);
	else
		put_cells(table, row, terminal, stdout);
	if (row->colour != COLOUR_NONE)
		fputs(output_colour(COLOUR_NONE), stdout);
	putchar('\n');
}

void table_print(const struct table *table)
{
	bool terminal = output_is_terminal(stdout);

	for (size_t i = table->headed && !terminal ? 1 : 0; i < table->n_rows; i++)
		print_row(table, table->rows[i], terminal);
}
