#include "cli/import/knockd/command.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/common/memory.h"
#include "util/cleanup.h"
#include "util/text/stream.h"

static const char blanks[] = " \t";

/* Where the text would mean something else to a shell than to us; a sign at the beginning of a word
 * counts anywhere, for it costs nothing to ask the shell once too often. */
static bool needs_shell(const char *text)
{
	size_t first = strcspn(text, blanks);

	return text[strcspn(text, "|&;<>()$`\\*?[]{}~#")] != '\0' || memchr(text, '=', first) ||
	       (first == 1 && text[0] == '!');
}

/* The path of a program as the shell of knockd would find it; NULL: there is none. */
static char *find_program(const char *name, size_t length)
{
	static const char *const directories[] = {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin",
						  "/usr/bin",	     "/sbin",	       "/bin"};
	struct stat status;

	for (size_t i = 0; i < sizeof directories / sizeof directories[0]; i++) {
		char *path = NULL;

		if (asprintf(&path, "%s/%.*s", directories[i], (int)length, name) < 0)
			memory_out();
		if (stat(path, &status) == 0 && S_ISREG(status.st_mode) && access(path, X_OK) == 0)
			return path;
		free(path);
	}
	return NULL;
}

/* What a shell does itself. */
static bool is_builtin(const char *name, size_t length)
{
	static const char *const names[] = {".",      ":",     "cd",   "eval",	 "exec", "exit",
					    "export", "read",  "set",  "source", "trap", "ulimit",
					    "umask",  "unset", "wait", "if",	 "for",	 "while"};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (strlen(names[i]) == length && memcmp(names[i], name, length) == 0)
			return true;
	return false;
}

/* The text with each '%' that begins no %IP% doubled, for knockd leaves those alone. */
static char *escape_percents(const char *text)
{
	char *escaped = malloc(2 * strlen(text) + 1), *end = escaped;

	if (!escaped)
		memory_out();
	while (*text) {
		if (strncmp(text, "%IP%", 4) == 0) {
			memcpy(end, text, 4);
			end += 4;
			text += 4;
			continue;
		}
		if (*text == '%')
			*end++ = '%';
		*end++ = *text++;
	}
	*end = '\0';
	return escaped;
}

/* Writes the text with a backslash before each of these characters. */
static void put_escaped(FILE *file, const char *text, const char *specials)
{
	for (; *text; text++) {
		if (strchr(specials, *text))
			fputc('\\', file);
		fputc(*text, file);
	}
}

/* One spelling of `/bin/sh -c TEXT` that command_split() reads back; NULL: not this one. */
static char *spell_shell(const char *text, char quote)
{
	char *value = NULL;
	FILE *file;

	if (quote == '\'' && strchr(text, '\''))
		return NULL;
	file = text_stream_open(&value, NULL);
	if (!file)
		memory_out();
	fputs("/bin/sh -c ", file);
	if (quote)
		fputc(quote, file);
	put_escaped(file, text, quote == '\'' ? "" : quote == '"' ? "\\\"" : " \t\\\"';#");
	if (quote)
		fputc(quote, file);
	if (fclose(file) != 0)
		memory_out();
	return value;
}

/* Puts the value into quotes if knocktail.conf(5) wants them there. NULL: no quotes are left for
 * that. */
static char *quote_value(const char *value)
{
	char *quoted = NULL;
	char quote = !strchr(value, '"') ? '"' : '\'';

	if (value[0] != '"' && value[0] != '\'' && !value[strcspn(value, ";#")])
		quoted = strdup(value);
	else if (strchr(value, quote))
		return NULL;
	else if (asprintf(&quoted, "%c%s%c", quote, value, quote) < 0)
		quoted = NULL;
	if (!quoted)
		memory_out();
	return quoted;
}

static char *make_shell_value(const char *text)
{
	static const char quotes[] = {'\'', '"', '\0'};

	for (size_t i = 0; i < sizeof quotes; i++) {
		char *value CLEANUP(cleanup_free) = spell_shell(text, quotes[i]);
		char *quoted = value ? quote_value(value) : NULL;

		if (quoted)
			return quoted;
	}
	return NULL;
}

int import_command(const char *text, char **ret_value, enum import_way *ret_way)
{
	char *escaped CLEANUP(cleanup_free) = escape_percents(text);
	char *path CLEANUP(cleanup_free) = NULL, *whole CLEANUP(cleanup_free) = NULL;
	size_t first = strcspn(text, blanks);

	*ret_way = IMPORT_SHELL;
	if (!needs_shell(text)) {
		if (text[0] == '/' || (strchr("'\"", text[0]) && text[1] == '/')) {
			*ret_way = IMPORT_PLAIN;
			*ret_value = quote_value(escaped);
		} else {
			path = find_program(text, first);
			if (path && asprintf(&whole, "%s%s", path, escaped + first) < 0)
				memory_out();
			if (path) {
				*ret_way = IMPORT_ABSOLUTE;
				*ret_value = quote_value(whole);
			} else if (!is_builtin(text, first)) {
				*ret_way = IMPORT_MISSING;
			}
		}
	}
	if (*ret_way == IMPORT_SHELL || *ret_way == IMPORT_MISSING)
		*ret_value = make_shell_value(escaped);
	return *ret_value ? 0 : -ENOTSUP;
}
