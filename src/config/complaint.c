#include "config/complaint.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int complaints_enter(struct complaints *complaints, const char *path, unsigned n_before)
{
	struct complaints_file *files = reallocarray(complaints->files, complaints->n_files + 1,
						     sizeof(*complaints->files));
	char *copy = strdup(path);

	if (files)
		complaints->files = files;
	if (!files || !copy) {
		free(copy);
		return -ENOMEM;
	}
	files[complaints->n_files++] = (struct complaints_file){copy, n_before};
	return 0;
}

/* The file that the line is in; NULL: none was entered. */
static const struct complaints_file *complaints_file(const struct complaints *complaints,
						     unsigned line)
{
	size_t n = complaints->n_files;

	while (n > 1 && complaints->files[n - 1].n_before >= line)
		n--;
	return n > 0 ? &complaints->files[n - 1] : NULL;
}

const char *complaints_place(const struct complaints *complaints, unsigned line,
			     char text[static COMPLAINT_PLACE_MAX])
{
	const struct complaints_file *file = complaints_file(complaints, line);

	if (complaints->n_files > 1)
		snprintf(text, COMPLAINT_PLACE_MAX, "line %u of %s", line - file->n_before,
			 file->path);
	else
		snprintf(text, COMPLAINT_PLACE_MAX, "line %u", line);
	return text;
}

static int complaints_append(struct complaints *complaints, const struct complaint *complaint)
{
	size_t n = complaints->n_items;

	/* The array doubles whenever it is full, which is at the powers of two. */
	if ((n & (n - 1)) == 0) {
		struct complaint *items =
			reallocarray(complaints->items, n > 0 ? 2 * n : 1, sizeof(*items));

		if (!items)
			return -ENOMEM;
		complaints->items = items;
	}
	complaints->items[complaints->n_items++] = *complaint;
	return 0;
}

/* Whether there is room. The first error always has some: it says why nothing counts. */
static bool complaints_take(struct complaints *complaints, bool warning)
{
	bool is_first = !warning && complaints->n_errors == 0;

	if (warning)
		complaints->n_warnings++;
	else
		complaints->n_errors++;
	return complaints->n_items < COMPLAINTS_MAX || is_first;
}

/* Appends it, and owns its texts from now on. */
static void complaints_add(struct complaints *complaints, struct complaint *complaint)
{
	if (complaint->text && complaints_append(complaints, complaint) == 0)
		return;
	complaints->error = -ENOMEM;
	free(complaint->file);
	free(complaint->text);
}

__attribute__((format(printf, 4, 0))) static void add_formatted(struct complaints *complaints,
								unsigned line, bool warning,
								const char *format,
								va_list arguments)
{
	struct complaint complaint = {.line = line, .rank = line, .warning = warning};
	const struct complaints_file *file = complaints_file(complaints, line);

	if (!complaints_take(complaints, warning))
		return;
	if (file && file != complaints->files) {
		complaint.line -= file->n_before;
		complaint.file = strdup(file->path);
		if (!complaint.file) {
			complaints->error = -ENOMEM;
			return;
		}
	}
	if (vasprintf(&complaint.text, format, arguments) < 0)
		complaint.text = NULL;
	complaints_add(complaints, &complaint);
}

void complain_error(struct complaints *complaints, unsigned line, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	add_formatted(complaints, line, false, format, arguments);
	va_end(arguments);
}

void complain_warning(struct complaints *complaints, unsigned line, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	add_formatted(complaints, line, true, format, arguments);
	va_end(arguments);
}

void complain_about(struct complaints *complaints, const char *file, unsigned line, bool warning,
		    const char *text)
{
	struct complaint complaint = {.line = line, .rank = line, .warning = warning};

	if (!complaints_take(complaints, warning))
		return;
	complaint.file = strdup(file);
	if (complaint.file)
		complaint.text = strdup(text);
	complaints_add(complaints, &complaint);
}

void complaints_sort(struct complaints *complaints)
{
	struct complaint *items = complaints->items;

	/* By insertion: stable, and they are few. */
	for (size_t i = 1; i < complaints->n_items; i++) {
		struct complaint complaint = items[i];
		size_t to = i;

		for (; to > 0 && items[to - 1].rank > complaint.rank; to--)
			items[to] = items[to - 1];
		items[to] = complaint;
	}
}

void complaints_done(struct complaints *complaints)
{
	for (size_t i = 0; i < complaints->n_items; i++) {
		free(complaints->items[i].file);
		free(complaints->items[i].text);
	}
	free(complaints->items);
	for (size_t i = 0; i < complaints->n_files; i++)
		free(complaints->files[i].path);
	free(complaints->files);
	*complaints = (struct complaints){0};
}

const char *complaint_format(const struct complaint *complaint, const char *path,
			     char text[static COMPLAINT_LINE_MAX])
{
	const char *file = complaint->file ? complaint->file : path;
	const char *kind = complaint->warning ? "warning" : "error";

	if (complaint->line > 0)
		snprintf(text, COMPLAINT_LINE_MAX, "%s:%u: %s: %s", file, complaint->line, kind,
			 complaint->text);
	else
		snprintf(text, COMPLAINT_LINE_MAX, "%s: %s: %s", file, kind, complaint->text);
	return text;
}
