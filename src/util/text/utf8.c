#include "util/text/utf8.h"

#include <string.h>

size_t utf8_decode(const char *text, size_t length, uint32_t *ret_code)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	const unsigned char *bytes = (const unsigned char *)text;
	size_t n = bytes[0] < 0x80   ? 1
		   : bytes[0] < 0xc2 ? 0
		   : bytes[0] < 0xe0 ? 2
		   : bytes[0] < 0xf0 ? 3
		   : bytes[0] < 0xf5 ? 4
				     : 0;
	uint32_t code = n == 1 ? bytes[0] : bytes[0] & (0x7fU >> n);

	if (n == 0 || n > length)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((bytes[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (bytes[i] & 0x3fU);
	}
	if (code < least[n] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
		return 0;
	*ret_code = code;
	return n;
}

bool utf8_is_control(uint32_t code)
{
	return code < 0x20 || (code >= 0x7f && code < 0xa0);
}

size_t utf8_count(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

void utf8_defuse(char *text)
{
	const char *end = text + strlen(text);

	while (*text) {
		uint32_t code;
		size_t n = utf8_decode(text, (size_t)(end - text), &code);

		if (n > 0 && utf8_is_control(code))
			memset(text, '?', n);
		text += n > 0 ? n : 1;
	}
}
