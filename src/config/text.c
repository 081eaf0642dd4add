#include "config/text.h"

#include <stdio.h>
#include <string.h>

#include "util/text/utf8.h"

enum { NAME_MAX_COMPARED = 32 };

const char *text_find_fault(const char *text, size_t length)
{
	while (length > 0) {
		uint32_t code;
		size_t n = utf8_decode(text, length, &code);

		if (n == 0)
			return "bytes that are not UTF-8";
		if (code == 0)
			return "a NUL byte";
		if (code != '\t' && utf8_is_control(code))
			return "a control character";
		text += n;
		length -= n;
	}
	return NULL;
}

/* Writes the first character of `*text`, or \xNN for a byte that is none, and moves past it. The
 * number of bytes written; 0 if they are more than `room`, and nothing moves. */
static size_t quote_character(const char **text, char *buffer, size_t room)
{
	char shown[8];
	uint32_t code;
	size_t n = utf8_decode(*text, strlen(*text), &code), n_shown = n;

	if (n > 0 && code != '\t' && !utf8_is_control(code))
		memcpy(shown, *text, n);
	else
		n_shown = (size_t)snprintf(shown, sizeof(shown), "\\x%02x", (unsigned char)**text);
	if (n_shown > room)
		return 0;
	memcpy(buffer, shown, n_shown);
	*text += n_shown == n ? n : 1;
	return n_shown;
}

const char *text_quote(const char *text, char buffer[static TEXT_QUOTED_MAX])
{
	static const char dots[] = "...";
	const size_t end = TEXT_QUOTED_MAX - sizeof(dots) - 1;
	size_t used = 0, n;

	buffer[used++] = '"';
	while (*text != '\0' && (n = quote_character(&text, buffer + used, end - used)) > 0)
		used += n;
	if (*text != '\0') {
		memcpy(buffer + used, dots, strlen(dots));
		used += strlen(dots);
	}
	memcpy(buffer + used, "\"", 2);
	return buffer;
}

const char *text_quote_name(const char *name, char buffer[static TEXT_QUOTED_MAX])
{
	char shown[40];
	size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyz_");

	/* A figure at the end alone tells nothing. */
	if (length > 0 && name[length] >= '0' && name[length] <= '9' && name[length + 1] == '\0')
		length++;

	if (length > 32)
		length = 32;
	snprintf(shown, sizeof shown, "%.*s%s", (int)length, name, name[length] ? "..." : "");
	return text_quote(shown, buffer);
}

bool text_is_printable(const char *text)
{
	for (; *text != '\0'; text++)
		if (*text < 0x20 || *text > 0x7e)
			return false;
	return true;
}

static unsigned least_of(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

unsigned text_distance(const char *a, const char *b)
{
	unsigned rows[3][NAME_MAX_COMPARED + 1];
	size_t n_a = strlen(a), n_b = strlen(b);

	if (n_a > NAME_MAX_COMPARED || n_b > NAME_MAX_COMPARED)
		return (unsigned)-1;
	for (size_t j = 0; j <= n_b; j++)
		rows[0][j] = (unsigned)j;
	for (size_t i = 1; i <= n_a; i++) {
		unsigned *row = rows[i % 3], *above = rows[(i + 2) % 3],
			 *higher = rows[(i + 1) % 3];

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= n_b; j++) {
			unsigned change = above[j - 1] + (a[i - 1] != b[j - 1]);

			row[j] = least_of(change, least_of(above[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = least_of(row[j], higher[j - 2] + 1);
		}
	}
	return rows[n_a % 3][n_b];
}
