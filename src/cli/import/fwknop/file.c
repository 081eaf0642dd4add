#include "cli/import/fwknop/file.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char blanks[] = " \t\r\f\v";

/* One line without what is around it. */
struct cut_line {
	const char *name, *value;
	size_t n_name, n_value;
};

/* "NAME value", "NAME: value;", "[section]". False: a comment, or nothing. */
static bool cut_line(const char *text, size_t length, struct cut_line *ret)
{
	const char *end = text + length;

	while (text < end && strchr(blanks, *text))
		text++;
	if (text == end || *text == '#' || *text == ';')
		return false;
	if (*text == '[') {
		const char *close = memchr(text, ']', (size_t)(end - text));

		*ret = (struct cut_line){text, text + 1, 1,
					 (size_t)((close ? close : end) - text - 1)};
		return true;
	}
	ret->name = text;
	while (text < end && !strchr(blanks, *text) && *text != ':' && *text != ';')
		text++;
	ret->n_name = (size_t)(text - ret->name);
	while (text < end && (strchr(blanks, *text) || *text == ':'))
		text++;
	ret->value = text;
	while (text < end && *text != ';')
		text++;
	while (text > ret->value && strchr(blanks, text[-1]))
		text--;
	ret->n_value = (size_t)(text - ret->value);
	return ret->n_name > 0;
}

static bool name_is(const struct cut_line *line, const char *name)
{
	return line->n_name == strlen(name) && strncasecmp(line->name, name, line->n_name) == 0;
}

static bool is_of_client(const struct cut_line *line)
{
	static const char *const names[] = {
		"SPA_SERVER",
		"SPA_SERVER_PORT",
		"SPA_SERVER_PROTO",
		"SPA_SOURCE_PORT",
		"ACCESS",
		"ALLOW_IP",
		"KEY",
		"KEY_BASE64",
		"KEY_FILE",
		"HMAC_KEY",
		"HMAC_KEY_BASE64",
		"USE_HMAC",
		"FW_TIMEOUT",
		"DIGEST_TYPE",
		"HMAC_DIGEST_TYPE",
		"ENCRYPTION_MODE",
		"NAT_ACCESS",
		"SPOOF_USER",
		"USE_GPG",
		"RESOLVE_URL",
		"VERBOSE",
		"TIME_OFFSET",
		"RESOLVE_IP_HTTPS",
		"GPG_RECIPIENT",
	};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (name_is(line, names[i]) && *line->value != '=')
			return true;
	return false;
}

enum fwknop_kind fwknop_recognise(const char *text)
{
	bool in_section = false;

	while (*text) {
		size_t length = strcspn(text, "\n");
		struct cut_line line;

		if (cut_line(text, length, &line)) {
			if (line.name[0] == '[')
				in_section = true;
			else if (in_section)
				return is_of_client(&line) ? FWKNOP_CLIENT : FWKNOP_NONE;
			else
				return name_is(&line, "SOURCE") || line.name[0] == '%'
					       ? FWKNOP_ACCESS
					       : FWKNOP_NONE;
		}
		text += length + (text[length] == '\n');
	}
	return FWKNOP_NONE;
}

static int file_add(struct fwknop_file *file, const struct cut_line *cut, unsigned number)
{
	struct fwknop_line *lines =
		reallocarray(file->lines, file->n_lines + 1, sizeof file->lines[0]);
	struct fwknop_line *line;

	if (!lines)
		return -ENOMEM;
	file->lines = lines;
	line = &lines[file->n_lines++];
	*line = (struct fwknop_line){.name = strndup(cut->name, cut->n_name),
				     .value = strndup(cut->value, cut->n_value),
				     .number = number,
				     .stanza = file->n_stanzas};
	if (!line->name || !line->value)
		return -ENOMEM;
	for (char *c = line->name; *c; c++)
		if (isascii(*c))
			*c = (char)toupper(*c);
	return 0;
}

int fwknop_parse(const char *text, enum fwknop_kind kind, struct fwknop_file *ret)
{
	struct fwknop_file file = {0};
	int r = 0;

	for (unsigned number = 1; r == 0 && *text; number++) {
		size_t length = strcspn(text, "\n");
		struct cut_line line;

		if (cut_line(text, length, &line)) {
			file.n_stanzas += kind == FWKNOP_ACCESS	  ? name_is(&line, "SOURCE")
					  : kind == FWKNOP_CLIENT ? line.name[0] == '['
								  : 0;
			r = file_add(&file, &line, number);
		}
		text += length + (text[length] == '\n');
	}
	if (r < 0)
		fwknop_done(&file);
	else
		*ret = file;
	return r;
}

void fwknop_done(struct fwknop_file *file)
{
	for (size_t i = 0; i < file->n_lines; i++) {
		/* It may be a key. */
		if (file->lines[i].value)
			explicit_bzero(file->lines[i].value, strlen(file->lines[i].value));
		free(file->lines[i].name);
		free(file->lines[i].value);
	}
	free(file->lines);
	*file = (struct fwknop_file){0};
}

const char *fwknop_find(const struct fwknop_file *file, size_t stanza, const char *name)
{
	const char *found = NULL;

	for (size_t i = 0; i < file->n_lines; i++)
		if (file->lines[i].stanza == stanza && strcmp(file->lines[i].name, name) == 0)
			found = file->lines[i].value;
	return found && *found ? found : NULL;
}

const char *fwknop_quote(const char *name, char quoted[static TEXT_QUOTED_MAX])
{
	char lower[64];
	size_t n = 0;

	for (; name[n] && n < sizeof lower - 1; n++)
		lower[n] = (char)tolower((unsigned char)name[n]);
	lower[n] = '\0';
	return text_quote_name(lower, quoted);
}

bool fwknop_is_yes(const struct fwknop_file *file, size_t stanza, const char *name)
{
	const char *value = fwknop_find(file, stanza, name);

	return value && (*value == 'Y' || *value == 'y' || *value == '1');
}
