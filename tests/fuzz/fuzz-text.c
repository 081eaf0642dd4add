/* Any bytes as lines of a text log: a message is found inside its line, and only where it begins as
 * one.
 */
#include "input/text/header.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "input/input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool on_begins(void *userdata, const char *text, size_t length)
{
	static const char start[] = "[knock] IN=";

	(void)userdata;
	return length >= sizeof start - 1 && memcmp(text, start, sizeof start - 1) == 0;
}

static void try_line(const char *line, const struct text_messages *messages)
{
	struct text_header header;
	const char *message =
		text_header_parse(line, UINT64_C(1795384800000000), messages, &header);

	if (message < line || message > line + strlen(line))
		abort();
	if (header.understood && (!messages || !on_begins(NULL, message, strlen(message))))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct text_messages kernels = {.begins = on_begins},
					  anybodys = {.begins = on_begins, .anybody = true};
	size_t length;

	for (size_t i = 0; i < size; i += length + 1) {
		const uint8_t *newline = memchr(data + i, '\n', size - i);
		char *line;

		length = newline ? (size_t)(newline - data) - i : size - i;
		line = strndup((const char *)data + i, length);
		if (!line)
			abort();
		try_line(line, NULL);
		try_line(line, &kernels);
		try_line(line, &anybodys);
		free(line);
	}
	return 0;
}
