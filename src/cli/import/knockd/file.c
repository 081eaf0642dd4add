#include "cli/import/knockd/file.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool is_space(char c)
{
	return isascii(c) && isspace(c);
}

/* Takes the white space from both ends, of which knockd does not care. */
static void knockd_trim(const char **text, size_t *length)
{
	while (*length > 0 && is_space(**text)) {
		(*text)++;
		(*length)--;
	}
	while (*length > 0 && is_space((*text)[*length - 1]))
		(*length)--;
}

static char *copy_lower(const char *text, size_t length)
{
	char *copy = strndup(text, length);

	for (char *c = copy; c && *c; c++)
		if (isascii(*c))
			*c = (char)tolower(*c);
	return copy;
}

static int knockd_fail(struct knockd_fault *ret, unsigned line, const char *text)
{
	*ret = (struct knockd_fault){.line = line, .text = text};
	return -EBADMSG;
}

static int knockd_add_section(struct knockd_file *file, const char *name, size_t length,
			      unsigned line)
{
	struct knockd_section *sections =
		reallocarray(file->sections, file->n_sections + 1, sizeof *sections);

	if (!sections)
		return -ENOMEM;
	file->sections = sections;
	sections[file->n_sections] = (struct knockd_section){
		.name = strndup(name, length),
		.line = line,
	};
	return sections[file->n_sections++].name ? 0 : -ENOMEM;
}

static int knockd_add_entry(struct knockd_section *section, const char *text, size_t length,
			    unsigned line)
{
	struct knockd_entry *entries =
		reallocarray(section->entries, section->n_entries + 1, sizeof *entries);
	const char *equals = memchr(text, '=', length);
	size_t key_length = equals ? (size_t)(equals - text) : length, value_length;
	struct knockd_entry *entry;

	if (!entries)
		return -ENOMEM;
	section->entries = entries;
	entry = &entries[section->n_entries++];
	*entry = (struct knockd_entry){.line = line};
	if (equals) {
		const char *value = equals + 1;

		value_length = length - key_length - 1;
		knockd_trim(&value, &value_length);
		entry->value = strndup(value, value_length);
		if (!entry->value)
			return -ENOMEM;
	}
	knockd_trim(&text, &key_length);
	entry->key = copy_lower(text, key_length);
	return entry->key ? 0 : -ENOMEM;
}

static int knockd_read_line(struct knockd_file *file, const char *text, size_t length,
			    unsigned line, struct knockd_fault *ret_fault)
{
	if (length > KNOCKD_LINE_MAX)
		return knockd_fail(ret_fault, line, "the line is longer than knockd takes");
	if (memchr(text, '\0', length))
		return knockd_fail(ret_fault, line, "the line holds a NUL byte");
	knockd_trim(&text, &length);
	if (length == 0 || text[0] == '#')
		return 0;
	if (text[0] == '[' && text[length - 1] == ']') {
		if (length == 2)
			return knockd_fail(ret_fault, line, "the section has no name");
		return knockd_add_section(file, text + 1, length - 2, line);
	}
	if (file->n_sections == 0)
		return knockd_fail(ret_fault, line, "the line belongs to no section");
	return knockd_add_entry(&file->sections[file->n_sections - 1], text, length, line);
}

int knockd_parse(const char *data, size_t size, struct knockd_file *ret,
		 struct knockd_fault *ret_fault)
{
	const char *end = data + size;
	struct knockd_file file = {0};
	int r = 0;

	for (unsigned line = 1; r == 0 && data < end; line++) {
		const char *newline = memchr(data, '\n', (size_t)(end - data));
		size_t length = newline ? (size_t)(newline - data) : (size_t)(end - data);

		r = knockd_read_line(&file, data, length, line, ret_fault);
		data += length + (newline != NULL);
	}
	if (r < 0) {
		knockd_done(&file);
		return r;
	}
	*ret = file;
	return 0;
}

void knockd_done(struct knockd_file *file)
{
	for (size_t i = 0; i < file->n_sections; i++) {
		struct knockd_section *section = &file->sections[i];

		for (size_t j = 0; j < section->n_entries; j++) {
			free(section->entries[j].key);
			free(section->entries[j].value);
		}
		free(section->entries);
		free(section->name);
	}
	free(file->sections);
	*file = (struct knockd_file){0};
}

const struct knockd_entry *knockd_find(const struct knockd_section *section, const char *key)
{
	for (size_t i = section->n_entries; i > 0; i--)
		if (strcmp(section->entries[i - 1].key, key) == 0)
			return &section->entries[i - 1];
	return NULL;
}

const struct knockd_entry *knockd_find_either(const struct knockd_section *section, const char *key,
					      const char *other)
{
	const struct knockd_entry *a = knockd_find(section, key);
	const struct knockd_entry *b = other ? knockd_find(section, other) : NULL;

	if (a && b)
		return a > b ? a : b;
	return a ? a : b;
}
