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

/* Nothing is escaped: the next quote of the same kind ends the value. */
static const char *find_quoted(const char *text, size_t length, const char **ret_value,
			       size_t *ret_length)
{
	const char *end = text + length, *behind;
	const char *close = memchr(text + 1, text[0], length - 1);

	if (!close)
		return "opens a quote that is never closed";
	for (behind = close + 1; behind < end && is_blank(*behind); behind++)
		;
	if (behind < end && !is_comment(*behind))
		return "goes on after its closing quote: put all of it in quotes of the other kind";
	*ret_value = text + 1;
	*ret_length = (size_t)(close - *ret_value);
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

/* A ';' or '#' without a blank before it may be meant as text, or as a comment: it is neither. */
static const char *find_unquoted(const char *text, size_t length, const char **ret_value,
				 size_t *ret_length)
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
	while (end > 0 && is_blank(text[end - 1]))
		end--;
	*ret_value = text;
	*ret_length = end;
	return NULL;
}

const char *ini_value_find(const char *text, size_t length, const char **ret_value,
			   size_t *ret_length)
{
	while (length > 0 && is_blank(*text)) {
		text++;
		length--;
	}
	if (length > 0 && (text[0] == '"' || text[0] == '\''))
		return find_quoted(text, length, ret_value, ret_length);
	return find_unquoted(text, length, ret_value, ret_length);
}
