#include "config/ini/value.h"

#include <stdbool.h>
#include <string.h>

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool is_comment(char c)
{
	return c == ';' || c == '#';
}

static const char *quoted_fault(const char *text, size_t length)
{
	const char *end = text + length;
	const char *close = memchr(text + 1, text[0], length - 1);

	if (!close)
		return "opens a quote that is never closed";
	for (close++; close < end && is_blank(*close); close++)
		;
	if (close < end && !is_comment(*close))
		return "goes on after its closing quote: put all of it in quotes of the other kind";
	return NULL;
}

/* Whether a quote is open at the end. */
static bool ends_in_quotes(const char *text, size_t length)
{
	char quote = '\0';

	for (size_t i = 0; i < length; i++) {
		if (text[i] == '\\' && quote != '\'')
			i++;
		else if (quote == '\0' && (text[i] == '"' || text[i] == '\''))
			quote = text[i];
		else if (text[i] == quote)
			quote = '\0';
	}
	return quote != '\0';
}

/* iniparser ends an unquoted value at the first ';' or '#', wherever it stands. */
static const char *unquoted_fault(const char *text, size_t length)
{
	size_t end = 0;

	while (end < length && !is_comment(text[end]))
		end++;
	if (end > 0 && end < length && !is_blank(text[end - 1]))
		return "holds a ';' or '#', which starts a comment: quote the value, or put a "
		       "blank before the comment";
	if (ends_in_quotes(text, end))
		return "holds a quote that is never closed: put all of it in quotes of the other "
		       "kind";
	return NULL;
}

const char *ini_value_fault(const char *text, size_t length)
{
	while (length > 0 && is_blank(*text)) {
		text++;
		length--;
	}
	if (length > 0 && (text[0] == '"' || text[0] == '\''))
		return quoted_fault(text, length);
	return unquoted_fault(text, length);
}
