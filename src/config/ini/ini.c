#include "config/ini/ini.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "config/complaint.h"
#include "config/ini/value.h"
#include "config/text.h"
#include "util/cleanup.h"

/* A part of the data. */
struct ini_span {
	const char *text;
	size_t length;
};

struct scan {
	struct complaints *complaints;
	struct ini *ini;
	unsigned line;
	bool in_section;
	bool skip; /* the section that the line belongs to is not kept */
};

static bool is_ini_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static struct ini_span ini_trim(struct ini_span span)
{
	while (span.length > 0 && is_ini_blank(span.text[0])) {
		span.text++;
		span.length--;
	}
	while (span.length > 0 && is_ini_blank(span.text[span.length - 1]))
		span.length--;
	return span;
}

/* A copy in lower case, with one blank for many; NULL if memory runs out. */
static char *ini_fold(struct ini_span span)
{
	char *copy = malloc(span.length + 1), *to = copy;

	if (!copy)
		return NULL;
	for (size_t i = 0; i < span.length; i++) {
		if (!is_ini_blank(span.text[i]))
			*to++ = (char)(isascii(span.text[i]) ? tolower(span.text[i])
							     : span.text[i]);
		else if (!is_ini_blank(span.text[i - 1]))
			*to++ = ' ';
	}
	*to = '\0';
	return copy;
}

/* Room for one more item; the array doubles at the powers of two. NULL if memory runs out. */
static void *array_grow(void **items, size_t n, size_t size)
{
	if ((n & (n - 1)) == 0) {
		void *grown = reallocarray(*items, n > 0 ? 2 * n : 1, size);

		if (!grown)
			return NULL;
		*items = grown;
	}
	return (char *)*items + n * size;
}

static struct ini_section *last_section(const struct scan *scan)
{
	return &scan->ini->sections[scan->ini->n_sections - 1];
}

static int add_section(struct scan *scan, struct ini_span name)
{
	struct ini *ini = scan->ini;
	struct ini_section *section =
		array_grow((void **)&ini->sections, ini->n_sections, sizeof(*section));

	if (!section)
		return -ENOMEM;
	*section = (struct ini_section){
		.name = ini_fold(name), .line = scan->line, .file = ini->n_files};
	if (!section->name)
		return -ENOMEM;
	ini->n_sections++;
	scan->skip = false;
	return 0;
}

static int scan_header(struct scan *scan, struct ini_span line)
{
	const char *close = memchr(line.text, ']', line.length);
	struct ini_span name;

	if (!close) {
		complain_error(scan->complaints, scan->line, "the ']' of the section is missing");
		return 0;
	}
	if (close != line.text + line.length - 1) {
		complain_error(scan->complaints, scan->line,
			       "text follows the ']' of the section: put a comment on a line of "
			       "its own");
		return 0;
	}
	name = ini_trim((struct ini_span){line.text + 1, line.length - 2});
	if (name.length == 0) {
		complain_error(scan->complaints, scan->line, "the section has no name");
		return 0;
	}
	return add_section(scan, name);
}

/* Whether a key stands in the section already, which is then said. */
static bool section_has(const struct ini_section *section, const char *key, unsigned line,
			struct complaints *complaints)
{
	const struct ini_entry *first = ini_find(section, key);
	char shown[TEXT_QUOTED_MAX], place[COMPLAINT_PLACE_MAX];

	if (first)
		complain_error(complaints, line, "%s: duplicate key %s, the first is in %s",
			       section->name, text_quote_name(key, shown),
			       complaints_place(complaints, first->line, place));
	return first;
}

/* The same for as many keys as there may be. */
static bool section_is_full(const struct ini_section *section, unsigned line,
			    struct complaints *complaints)
{
	if (section->n_entries < INI_KEYS_MAX)
		return false;
	complain_error(complaints, line, "%s: more than %d keys", section->name, INI_KEYS_MAX);
	return true;
}

static int add_entry(struct scan *scan, struct ini_span key, struct ini_span value)
{
	struct ini_section *section = last_section(scan);
	struct ini_entry *entry;
	char *name CLEANUP(cleanup_free) = ini_fold(key);

	if (!name)
		return -ENOMEM;
	if (section_has(section, name, scan->line, scan->complaints))
		return 0;
	if (section_is_full(section, scan->line, scan->complaints)) {
		scan->skip = true;
		return 0;
	}
	entry = array_grow((void **)&section->entries, section->n_entries, sizeof(*entry));
	if (!entry)
		return -ENOMEM;
	*entry = (struct ini_entry){TAKE_PTR(name), scan->line, value.text, value.length};
	section->n_entries++;
	return 0;
}

static int refuse_value(const struct scan *scan, struct ini_span key, const char *fault)
{
	char *name CLEANUP(cleanup_free) = ini_fold(key), shown[TEXT_QUOTED_MAX];

	if (!name)
		return -ENOMEM;
	text_quote_name(name, shown);
	if (scan->skip)
		complain_error(scan->complaints, scan->line, "the value of %s %s", shown, fault);
	else
		complain_error(scan->complaints, scan->line, "%s: the value of %s %s",
			       last_section(scan)->name, shown, fault);
	return 0;
}

/* Little of the line is shown: a slip may have put a sequence anywhere in it. */
static int scan_entry(struct scan *scan, struct ini_span line)
{
	const char *equals = memchr(line.text, '=', line.length), *fault;
	struct ini_span key, value;

	if (!equals) {
		complain_error(scan->complaints, scan->line,
			       "neither \"key = value\" nor [section] nor a comment");
		return 0;
	}
	key = ini_trim((struct ini_span){line.text, (size_t)(equals - line.text)});
	if (key.length == 0) {
		complain_error(scan->complaints, scan->line, "no key before the '='");
		return 0;
	}
	fault = ini_value_find(equals + 1, line.length - (size_t)(equals + 1 - line.text),
			       &value.text, &value.length);
	if (fault)
		return refuse_value(scan, key, fault);
	if (!scan->in_section)
		complain_error(scan->complaints, scan->line, "a key before any [section]");
	return scan->skip ? 0 : add_entry(scan, key, value);
}

/* What is wrong with the line whatever it says; false if nothing is. */
static bool refuse_line(const struct scan *scan, struct ini_span line)
{
	const char *fault = text_find_fault(line.text, line.length);
	bool comment = line.length > 0 && (line.text[0] == ';' || line.text[0] == '#');

	if (fault)
		complain_error(scan->complaints, scan->line, "the line holds %s", fault);
	else if (!comment && line.length > INI_LINE_MAX)
		complain_error(scan->complaints, scan->line, "the line is longer than %d bytes",
			       INI_LINE_MAX);
	else if (!comment && line.length > 0 && line.text[line.length - 1] == '\\')
		complain_error(scan->complaints, scan->line,
			       "the line ends in a backslash, and lines cannot be continued");
	else
		return false;
	return true;
}

static int scan_line(struct scan *scan, struct ini_span line)
{
	line = ini_trim(line);
	if (line.length > 0 && line.text[0] == '[') {
		/* Whatever becomes of it, what follows is not the section's before. */
		scan->in_section = true;
		scan->skip = true;
	}
	if (refuse_line(scan, line) || line.length == 0 || line.text[0] == ';' ||
	    line.text[0] == '#')
		return 0;
	return line.text[0] == '[' ? scan_header(scan, line) : scan_entry(scan, line);
}

static int scan_lines(struct scan *scan, struct ini_span data)
{
	static const char bom[] = "\xef\xbb\xbf";

	if (data.length >= strlen(bom) && memcmp(data.text, bom, strlen(bom)) == 0) {
		complain_error(scan->complaints, scan->line + 1,
			       "the file starts with a byte order mark: save it without");
		data.text += strlen(bom);
		data.length -= strlen(bom);
	}
	while (data.length > 0) {
		const char *newline = memchr(data.text, '\n', data.length);
		size_t length = newline ? (size_t)(newline - data.text) : data.length;
		size_t n_errors = scan->complaints->n_errors;
		int r;

		scan->line++;
		r = scan_line(scan, (struct ini_span){data.text, length});
		if (r < 0)
			return r;
		if (scan->complaints->n_errors > n_errors)
			*(scan->skip ? &scan->ini->damaged : &last_section(scan)->damaged) = true;
		length += newline ? 1 : 0;
		data.text += length;
		data.length -= length;
	}
	return 0;
}

static void section_done(struct ini_section *section)
{
	for (size_t i = 0; i < section->n_entries; i++)
		free(section->entries[i].key);
	free(section->entries);
	free(section->name);
}

static int compare_sections(const void *a, const void *b)
{
	const struct ini_section *x = *(struct ini_section *const *)a;
	const struct ini_section *y = *(struct ini_section *const *)b;
	int order = strcmp(x->name, y->name);

	return order != 0 ? order : (x->line > y->line) - (x->line < y->line);
}

int ini_scan(struct ini *ini, const char *data, size_t size, struct complaints *complaints)
{
	struct scan scan = {
		.complaints = complaints, .ini = ini, .line = ini->n_lines, .skip = true};
	int r;

	ini->n_files++;
	r = scan_lines(&scan, (struct ini_span){data, size});
	ini->n_lines = scan.line;
	return r;
}

/* A section goes on in another file: its entries move to where it began. */
static int section_absorb(struct ini_section *section, struct ini_section *more,
			  struct complaints *complaints)
{
	section->damaged = section->damaged || more->damaged;
	for (size_t i = 0; i < more->n_entries; i++) {
		struct ini_entry *from = &more->entries[i], *to;

		if (section_has(section, from->key, from->line, complaints))
			continue;
		if (section_is_full(section, from->line, complaints))
			break;
		to = array_grow((void **)&section->entries, section->n_entries, sizeof(*to));
		if (!to)
			return -ENOMEM;
		*to = *from;
		from->key = NULL;
		section->n_entries++;
	}
	return 0;
}

/* Of equal sections, which stand in the order of their lines. */
static int sections_join(struct ini_section *equal[], size_t n, struct complaints *complaints)
{
	struct ini_section *last = equal[0];
	char place[COMPLAINT_PLACE_MAX];

	for (size_t i = 1; i < n; i++) {
		int r = 0;

		if (equal[i]->file == last->file)
			complain_error(complaints, equal[i]->line,
				       "duplicate section [%s], the first is in %s", last->name,
				       complaints_place(complaints, last->line, place));
		else
			r = section_absorb(equal[0], equal[i], complaints);
		if (r < 0)
			return r;
		if (equal[i]->file != last->file)
			last = equal[i];
	}
	for (size_t i = 1; i < n; i++)
		equal[i]->line = 0;
	return 0;
}

/* Drops those that have no line any more. */
static void ini_compact(struct ini *ini)
{
	size_t n = 0;

	for (size_t i = 0; i < ini->n_sections; i++)
		if (ini->sections[i].line == 0)
			section_done(&ini->sections[i]);
		else
			ini->sections[n++] = ini->sections[i];
	ini->n_sections = n;
}

int ini_join(struct ini *ini, struct complaints *complaints)
{
	struct ini_section **sorted CLEANUP(cleanup_free) =
		calloc(ini->n_sections + 1, sizeof(struct ini_section *));
	int r = 0;

	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < ini->n_sections; i++)
		sorted[i] = &ini->sections[i];
	qsort(sorted, ini->n_sections, sizeof(*sorted), compare_sections);
	for (size_t i = 0, n; r == 0 && i < ini->n_sections; i += n) {
		for (n = 1; i + n < ini->n_sections; n++)
			if (strcmp(sorted[i]->name, sorted[i + n]->name) != 0)
				break;
		r = sections_join(sorted + i, n, complaints);
	}
	ini_compact(ini);
	return r;
}

void ini_done(struct ini *ini)
{
	for (size_t i = 0; i < ini->n_sections; i++)
		section_done(&ini->sections[i]);
	free(ini->sections);
	*ini = (struct ini){0};
}

void ini_drop(struct ini_section *section, size_t entry)
{
	struct ini_entry *entries = section->entries;

	free(entries[entry].key);
	section->n_entries--;
	memmove(entries + entry, entries + entry + 1,
		(section->n_entries - entry) * sizeof(*entries));
}

const struct ini_entry *ini_find(const struct ini_section *section, const char *key)
{
	for (size_t i = 0; i < section->n_entries; i++)
		if (strcmp(section->entries[i].key, key) == 0)
			return &section->entries[i];
	return NULL;
}
