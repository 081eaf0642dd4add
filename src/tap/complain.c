#include "tap/complain.h"

#include <stdarg.h>
#include <stdio.h>

#include "util/text/utf8.h"

enum { COMPLAINT_MAX = 2000 };

void complain(const char *format, ...)
{
	char text[COMPLAINT_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	utf8_defuse(text);
	fprintf(stderr, "knocktap: %s\n", text);
}
