#include "config/parse.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "config/complaint.h"
#include "config/key.h"
#include "config/split.h"
#include "config/text.h"

/* Both end up in ipset's own command language: nothing that it could read as more than a word. */
static bool is_word(const char *text, size_t max, const char *punctuation)
{
	size_t length = strlen(text);

	for (size_t i = 0; i < length; i++)
		if (!isascii(text[i]) || (!isalnum(text[i]) && !strchr(punctuation, text[i])))
			return false;
	return length > 0 && length <= max;
}

static int keep(const char *text, void *field)
{
	char *copy = strdup(text);

	if (!copy)
		return -ENOMEM;
	*(char **)field = copy;
	return 0;
}

int parse_set(const struct reading *reading, const char *text, void *field)
{
	if (!is_word(text, reading->key->max, "_.:-") || text[0] == '-')
		return parse_reject(reading, text,
				    "the name of a set: 1 to %u of the characters A-Z a-z 0-9 _ . "
				    ": -, the first no '-'",
				    (unsigned)reading->key->max);
	return keep(text, field);
}

int parse_entry(const struct reading *reading, const char *text, void *field)
{
	static const char token[] = "%IP%";
	const char *at = strstr(text, token);

	if (!at || memchr(text, '%', (size_t)(at - text)) || strchr(at + strlen(token), '%'))
		return parse_reject(reading, text, "an element with %s once and no other '%%'",
				    token);
	if (!is_word(text, reading->key->max, ".,:/%_-") || text[0] == '-')
		return parse_reject(reading, text,
				    "an element such as %s,tcp:22: up to %u of the characters A-Z "
				    "a-z 0-9 . , : / _ -, the first no '-'",
				    token, (unsigned)reading->key->max);
	return keep(text, field);
}

int parse_command(const struct reading *reading, const char *text, void *field)
{
	const char *fault = NULL;
	char quoted[TEXT_QUOTED_MAX], **argv;
	size_t shell;
	int r = command_split(text, &argv, &shell, &fault);

	if (r == -EINVAL) {
		complain_error(reading->complaints, reading->line,
			       "%s: %s: %s is not a command: %s", reading->where,
			       reading->key->name, text_quote(text, quoted), fault);
		return -EBADMSG;
	}
	if (r < 0)
		return r;
	if (shell > 0)
		complain_warning(reading->complaints, reading->line,
				 "%s: %s: %s is an argument like any other, because no shell runs "
				 "the command: use /bin/sh -c '...' if it needs one",
				 reading->where, reading->key->name,
				 text_quote(argv[shell], quoted));
	*(char ***)field = argv;
	return 0;
}
