#include "support-words.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cmocka-all.h"
#include "util/log.h"

struct words logged;

void words_add(struct words *words, const char *format, ...)
{
	size_t length = strlen(words->text);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(words->text + length, sizeof words->text - length, format, arguments);
	va_end(arguments);
	words->n++;
}

void words_expect(struct words *words, const char *expected)
{
	assert_string_equal(words->text, expected);
	words_forget(words);
}

void words_forget(struct words *words)
{
	words->text[0] = '\0';
	words->n = 0;
}

bool log_is_journal(void)
{
	return false;
}

void log_line(int priority, const char *format, ...)
{
	char text[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	words_add(&logged, "<%d>%s\n", priority, text);
}
