#include "config/complaint.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static int append(struct complaints *complaints, const struct complaint *complaint)
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

__attribute__((format(printf, 4, 0))) static void complain(struct complaints *complaints,
							   unsigned line, bool warning,
							   const char *format, va_list arguments)
{
	struct complaint complaint = {.line = line, .warning = warning};

	if (!warning)
		complaints->n_errors++;
	if (complaints->n_items >= COMPLAINTS_MAX)
		return;
	if (vasprintf(&complaint.text, format, arguments) < 0) {
		complaints->error = -ENOMEM;
		return;
	}
	if (append(complaints, &complaint) < 0) {
		complaints->error = -ENOMEM;
		free(complaint.text);
	}
}

void complain_error(struct complaints *complaints, unsigned line, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	complain(complaints, line, false, format, arguments);
	va_end(arguments);
}

void complain_warning(struct complaints *complaints, unsigned line, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	complain(complaints, line, true, format, arguments);
	va_end(arguments);
}

void complaints_sort(struct complaints *complaints)
{
	struct complaint *items = complaints->items;

	/* By insertion: stable, and they are few. */
	for (size_t i = 1; i < complaints->n_items; i++) {
		struct complaint complaint = items[i];
		size_t to = i;

		for (; to > 0 && items[to - 1].line > complaint.line; to--)
			items[to] = items[to - 1];
		items[to] = complaint;
	}
}

void complaints_done(struct complaints *complaints)
{
	for (size_t i = 0; i < complaints->n_items; i++)
		free(complaints->items[i].text);
	free(complaints->items);
	*complaints = (struct complaints){0};
}
