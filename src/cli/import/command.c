#include "cli/import/command.h"

#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/sequence.h"
#include "util/cleanup.h"
#include "util/number.h"

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
			return NULL;
		if (stat(path, &status) == 0 && S_ISREG(status.st_mode) && access(path, X_OK) == 0)
			return path;
		free(path);
	}
	return NULL;
}

/* The text with each '%' that begins no %IP% doubled, for knockd leaves those alone. */
static char *escape_percents(const char *text)
{
	char *escaped = malloc(2 * strlen(text) + 1), *end = escaped;

	if (!escaped)
		return NULL;
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

/* One spelling of `/bin/sh -c TEXT` that command_split() reads back; NULL: not this one, or no
 * memory. */
static char *spell_shell(const char *text, char quote)
{
	char *value = NULL;
	size_t size;
	FILE *file;

	if (quote == '\'' && strchr(text, '\''))
		return NULL;
	file = open_memstream(&value, &size);
	if (!file)
		return NULL;
	fputs("/bin/sh -c ", file);
	if (quote)
		fputc(quote, file);
	put_escaped(file, text, quote == '\'' ? "" : quote == '"' ? "\\\"" : " \t\\\"';#");
	if (quote)
		fputc(quote, file);
	if (fclose(file) != 0) {
		free(value);
		return NULL;
	}
	return value;
}

/* Puts the value into quotes if knocktail.conf(5) wants them there. NULL: no quotes are left for
 * that, or no memory. */
static char *quote_value(const char *value)
{
	char *quoted = NULL;
	char quote = !strchr(value, '"') ? '"' : '\'';

	if (value[0] != '"' && value[0] != '\'' && !value[strcspn(value, ";#")])
		return strdup(value);
	if (strchr(value, quote) || asprintf(&quoted, "%c%s%c", quote, value, quote) < 0)
		return NULL;
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

	if (!escaped)
		return -ENOMEM;
	*ret_way = IMPORT_SHELL;
	if (!needs_shell(text)) {
		if (text[0] == '/' || (strchr("'\"", text[0]) && text[1] == '/')) {
			*ret_way = IMPORT_PLAIN;
			*ret_value = quote_value(escaped);
		} else {
			path = find_program(text, first);
			if (path && asprintf(&whole, "%s%s", path, escaped + first) >= 0) {
				*ret_way = IMPORT_ABSOLUTE;
				*ret_value = quote_value(whole);
			}
		}
	}
	if (*ret_way == IMPORT_SHELL)
		*ret_value = make_shell_value(escaped);
	return *ret_value ? 0 : -ENOTSUP;
}

/* The next word of a command without quotes; its length. */
static size_t command_take_word(const char **text, const char **ret)
{
	size_t length;

	*text += strspn(*text, blanks);
	*ret = *text;
	length = strcspn(*text, blanks);
	*text += length;
	return length;
}

static bool word_is(const char *word, size_t length, const char *expected)
{
	return length == strlen(expected) && memcmp(word, expected, length) == 0;
}

bool import_is_ipv4(const char *text)
{
	const char *word;
	size_t length = command_take_word(&text, &word);
	const char *slash = memrchr(word, '/', length);

	if (slash) {
		length -= (size_t)(slash + 1 - word);
		word = slash + 1;
	}
	return word_is(word, length, "iptables") || word_is(word, length, "iptables-nft") ||
	       word_is(word, length, "iptables-legacy");
}

/* What an option of iptables' has been seen to say, a bit each. */
enum { SAYS_INPUT = 1, SAYS_SOURCE = 2, SAYS_PORT = 4, SAYS_ACCEPT = 8, SAYS_ALL = 15 };

/* Takes one option with its argument. 0: it is none of those that are understood. */
static unsigned command_take_option(const char **text, const char *word, size_t length,
				    struct step *port)
{
	const char *value;
	size_t value_length;
	uint64_t number;

	if (word_is(word, length, "--syn") || word_is(word, length, "-w"))
		return SAYS_ALL + 1;
	value_length = command_take_word(text, &value);
	if (word_is(word, length, "-A") || word_is(word, length, "-I")) {
		const char *rest = *text, *position;
		size_t position_length = command_take_word(&rest, &position);

		if (number_parse(position, position_length, &number) == 0)
			*text = rest;
		return word_is(value, value_length, "INPUT") ? SAYS_INPUT : 0;
	}
	if (word_is(word, length, "-s"))
		return word_is(value, value_length, "%IP%") ? SAYS_SOURCE : 0;
	if (word_is(word, length, "-j"))
		return word_is(value, value_length, "ACCEPT") ? SAYS_ACCEPT : 0;
	if (word_is(word, length, "-p") || word_is(word, length, "-m")) {
		if (word_is(value, value_length, "udp"))
			port->protocol = IPPROTO_UDP;
		return word_is(value, value_length, "tcp") || word_is(value, value_length, "udp")
			       ? SAYS_ALL + 1
			       : 0;
	}
	if (!word_is(word, length, "--dport") || number_parse(value, value_length, &number) < 0 ||
	    number == 0 || number > UINT16_MAX)
		return 0;
	port->port = (uint16_t)number;
	return SAYS_PORT;
}

bool import_accepts(const char *text, struct step *ret_port)
{
	struct step port = {.protocol = IPPROTO_TCP};
	unsigned seen = 0;
	const char *word;
	size_t length;

	if (!import_is_ipv4(text))
		return false;
	command_take_word(&text, &word);
	while ((length = command_take_word(&text, &word)) > 0) {
		unsigned says = command_take_option(&text, word, length, &port);

		if (says == 0)
			return false;
		seen |= says;
	}
	if ((seen & SAYS_ALL) != SAYS_ALL)
		return false;
	*ret_port = port;
	return true;
}

bool import_undoes(const char *text, const char *undo)
{
	const char *word, *other;
	bool adds = false;

	if (!import_is_ipv4(text))
		return false;
	for (;;) {
		size_t length = command_take_word(&text, &word),
		       other_length = command_take_word(&undo, &other);

		if (length == 0 || other_length == 0)
			return adds && length == other_length;
		if ((word_is(word, length, "-A") || word_is(word, length, "-I")) &&
		    word_is(other, other_length, "-D"))
			adds = true;
		else if (length != other_length || memcmp(word, other, length) != 0)
			return false;
	}
}
