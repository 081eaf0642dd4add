#include "config/text.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { NAME_MAX_COMPARED = 32 };

/* The length of the UTF-8 character at `text`, and its code point; 0 if it is none (RFC 3629). */
static size_t utf8_decode(const unsigned char *text, size_t length, uint32_t *ret_code)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = text[0] < 0x80   ? 1
		   : text[0] < 0xc2 ? 0
		   : text[0] < 0xe0 ? 2
		   : text[0] < 0xf0 ? 3
		   : text[0] < 0xf5 ? 4
				    : 0;
	uint32_t code = n == 1 ? text[0] : text[0] & (0x7fU >> n);

	if (n == 0 || n > length)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (text[i] & 0x3fU);
	}
	if (code < least[n] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
		return 0;
	*ret_code = code;
	return n;
}

static bool is_control(uint32_t code)
{
	return (code < 0x20 && code != '\t') || (code >= 0x7f && code < 0xa0);
}

const char *text_find_fault(const char *text, size_t length)
{
	const unsigned char *bytes = (const unsigned char *)text;

	while (length > 0) {
		uint32_t code;
		size_t n = utf8_decode(bytes, length, &code);

		if (n == 0)
			return "bytes that are not UTF-8";
		if (code == 0)
			return "a NUL byte";
		if (is_control(code))
			return "a control character";
		bytes += n;
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
	size_t n = utf8_decode((const unsigned char *)*text, strlen(*text), &code), n_shown = n;

	if (n > 0 && code != '\t' && !is_control(code))
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
