#include "tap/profile.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "tap/settings.h"

static const char blanks[] = " \t";

struct reader {
	const char *name; /* the host that is asked for */
	struct settings *settings;
	struct profile_fault *fault;
	unsigned line;
	bool matches;  /* the section that we are in */
	uint32_t seen; /* what this section has set */
};

__attribute__((format(printf, 2, 3))) static int complain(struct reader *reader, const char *format,
							  ...)
{
	va_list arguments;

	reader->fault->line = reader->line;
	va_start(arguments, format);
	vsnprintf(reader->fault->text, sizeof(reader->fault->text), format, arguments);
	va_end(arguments);
	return -EBADMSG;
}

/* '*' and '?' in a pattern of known length, in any case. Linear for each '*': a host's name and a
 * line are both short. */
static bool pattern_matches(const char *pattern, size_t length, const char *name)
{
	const char *end = pattern + length, *star = NULL, *tried = NULL;

	while (*name) {
		if (pattern < end && *pattern == '*') {
			star = ++pattern;
			tried = name;
		} else if (pattern < end &&
			   (*pattern == '?' ||
			    tolower((unsigned char)*pattern) == tolower((unsigned char)*name))) {
			pattern++;
			name++;
		} else if (star) {
			pattern = star;
			name = ++tried;
		} else {
			return false;
		}
	}
	while (pattern < end && *pattern == '*')
		pattern++;
	return pattern == end;
}

/* Any of the patterns, and none of those after a '!'. */
static bool patterns_match(const char *patterns, const char *name)
{
	bool matches = false;

	for (patterns += strspn(patterns, blanks); *patterns;
	     patterns += strspn(patterns, blanks)) {
		size_t length = strcspn(patterns, blanks);
		bool negated = *patterns == '!';

		if (pattern_matches(patterns + negated, length - negated, name)) {
			if (negated)
				return false;
			matches = true;
		}
		patterns += length;
	}
	return matches;
}

static int read_host(struct reader *reader, const char *value)
{
	reader->matches = patterns_match(value, reader->name);
	reader->seen = 0;
	return 0;
}

static int read_setting(struct reader *reader, enum setting setting, const char *value)
{
	uint32_t bit = UINT32_C(1) << setting;
	struct settings ignored;

	settings_init(&ignored);
	if (reader->seen & bit)
		return complain(reader, "duplicate %s in this section", setting_name(setting));
	reader->seen |= bit;
	if (settings_set(reader->matches ? reader->settings : &ignored, setting, value) < 0)
		return complain(reader, "bad value of %s: expected %s", setting_name(setting),
				setting_expected(setting));
	return 0;
}

/* Cuts the value out of the rest of a line: what is between quotes, or all of it. NULL: the quotes
 * do not match. */
static char *value_cut(char *text)
{
	size_t length;

	text += strspn(text, blanks);
	if (*text == '=')
		text += 1 + strspn(text + 1, blanks);
	length = strlen(text);
	if (*text != '"')
		return memchr(text, '"', length) ? NULL : text;
	if (length < 2 || text[length - 1] != '"' || memchr(text + 1, '"', length - 2))
		return NULL;
	text[length - 1] = '\0';
	return text + 1;
}

static bool is_keyword(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (!isalnum((unsigned char)text[i]) || (unsigned char)text[i] > 0x7f)
			return false;
	return length > 0 && length <= 32;
}

/* One line without its end and without blanks at its ends. */
static int reader_read_line(struct reader *reader, char *line)
{
	size_t length = strcspn(line, " \t=\"");
	enum setting setting;
	char *value;

	if (*line == '\0' || *line == '#')
		return 0;
	if (!is_keyword(line, length))
		return complain(reader, "expected a keyword and its value");
	value = value_cut(line + length);
	if (!value)
		return complain(reader, "the quotes of %.*s do not match", (int)length, line);
	if (*value == '\0')
		return complain(reader, "%.*s has no value", (int)length, line);
	if (length == strlen("Host") && strncasecmp(line, "Host", length) == 0)
		return read_host(reader, value);
	setting = setting_find(line, length);
	if (setting == N_SETTINGS)
		return complain(reader, "unknown keyword %.*s", (int)length, line);
	return read_setting(reader, setting, value);
}

static bool is_control(char c)
{
	unsigned char byte = (unsigned char)c;

	return (byte < 0x20 && byte != '\t') || byte == 0x7f;
}

/* Copies the line without the blanks around it; a '\r' before its end belongs to the end. */
static int copy_line(struct reader *reader, const char *data, size_t length,
		     char line[static PROFILE_LINE_MAX + 1])
{
	if (length > 0 && data[length - 1] == '\r')
		length--;
	if (length > PROFILE_LINE_MAX)
		return complain(reader, "more than %d bytes in a line", PROFILE_LINE_MAX);
	for (size_t i = 0; i < length; i++)
		if (is_control(data[i]))
			return complain(reader, "a control character");
	while (length > 0 && strchr(blanks, *data)) {
		data++;
		length--;
	}
	while (length > 0 && strchr(blanks, data[length - 1]))
		length--;
	memcpy(line, data, length);
	line[length] = '\0';
	return 0;
}

int profile_apply(const char *data, size_t size, const char *name, struct settings *settings,
		  struct profile_fault *ret_fault)
{
	struct settings changed = *settings;
	struct profile_fault fault = {0};
	struct reader reader = {
		.name = name, .settings = &changed, .fault = &fault, .matches = true};
	char line[PROFILE_LINE_MAX + 1];
	int r = 0;

	while (size > 0 && r == 0) {
		const char *end = memchr(data, '\n', size);
		size_t length = end ? (size_t)(end - data) : size;

		reader.line++;
		r = copy_line(&reader, data, length, line);
		if (r == 0)
			r = reader_read_line(&reader, line);
		length += end != NULL;
		data += length;
		size -= length;
	}
	if (r < 0) {
		*ret_fault = fault;
		return r;
	}
	*settings = changed;
	return 0;
}
