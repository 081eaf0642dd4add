#include "config/parse/split.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/placeholder.h"
#include "core/strv.h"
#include "util/cleanup.h"

static void cleanup_command(char ***argv)
{
	strv_free(*argv);
}

static const char *behind_blanks(const char *text)
{
	return text + strspn(text, " \t");
}

/* The character at `*text`, taken out of its quotes; `*quote` is the quote that is open. false:
 * none here (a quote opened or closed). */
static bool take_character(const char **text, char *quote, char *ret)
{
	char c = *(*text)++;

	if (c == *quote) {
		*quote = '\0';
		return false;
	}
	if (*quote == '\0' && (c == '"' || c == '\'')) {
		*quote = c;
		return false;
	}
	if (c == '\\' && *quote != '\'' && **text != '\0')
		c = *(*text)++;
	*ret = c;
	return true;
}

/* One argument, without its quotes; `room` holds all of `*text`. */
static const char *take_argument(const char **text, char *room)
{
	char quote = '\0';

	while (**text != '\0' && (quote != '\0' || (**text != ' ' && **text != '\t'))) {
		if (**text == '\\' && quote != '\'' && (*text)[1] == '\0')
			return "it ends in a backslash";
		if (take_character(text, &quote, room))
			room++;
	}
	*room = '\0';
	return quote == '\0' ? NULL : "a quote is never closed";
}

static const char *placeholders_fault(const char *argument)
{
	while ((argument = strchr(argument, '%'))) {
		size_t length = placeholder_length(argument);

		if (length == 0)
			return "it has a '%' that starts none of " PLACEHOLDERS_TEXT
			       " (%% stands for a percent sign)";
		argument += length;
	}
	return NULL;
}

/* Whether a shell would not take this word, as it was typed, for an argument. */
static bool is_for_shell(const char *word, size_t length)
{
	size_t n_digits = strspn(word, "0123456789"); /* as in 2>&1 */

	return length > 0 && (strchr(";|&<>$`", word[0]) || word[length - 1] == ';' ||
			      (n_digits < length && strchr("<>", word[n_digits])));
}

static int split_arguments(const char *text, char **argv, size_t *ret_shell, const char **ret_fault)
{
	char *room CLEANUP(cleanup_free) = malloc(strlen(text) + 1);
	size_t n = 0, shell = 0;

	if (!room)
		return -ENOMEM;
	for (text = behind_blanks(text); *text != '\0'; text = behind_blanks(text)) {
		const char *word = text;

		*ret_fault = take_argument(&text, room);
		if (!*ret_fault)
			*ret_fault = placeholders_fault(room);
		if (*ret_fault)
			return -EINVAL;
		if (shell == 0 && n > 0 && is_for_shell(word, (size_t)(text - word)))
			shell = n;
		argv[n] = strdup(room);
		if (!argv[n++])
			return -ENOMEM;
	}
	*ret_shell = shell;
	return 0;
}

int command_split(const char *text, char ***ret_argv, size_t *ret_shell, const char **ret_fault)
{
	/* Every argument but the last takes at least two characters. */
	char **argv CLEANUP(cleanup_command) = calloc(strlen(text) / 2 + 2, sizeof(*argv));
	int r;

	if (!argv)
		return -ENOMEM;
	r = split_arguments(text, argv, ret_shell, ret_fault);
	if (r < 0)
		return r;
	if (!argv[0] || argv[0][0] != '/') {
		*ret_fault = "it does not start with the absolute path of a program";
		return -EINVAL;
	}
	*ret_argv = TAKE_PTR(argv);
	return 0;
}
