#include "cli/rules/removal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void removal_say(struct removal *removal, FILE *file, const char *word, const char *format,
			va_list arguments)
{
	removal->any = true;
	fputs(word, file);
	vfprintf(file, format, arguments);
	fputc('\n', file);
}

void removal_did(struct removal *removal, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	removal_say(removal, stdout, "removed  ", format, arguments);
	va_end(arguments);
}

void removal_left(struct removal *removal, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	removal_say(removal, stdout, "left     ", format, arguments);
	va_end(arguments);
}

void removal_failed(struct removal *removal, const char *format, ...)
{
	va_list arguments;

	fflush(stdout);
	removal->failed = true;
	va_start(arguments, format);
	removal_say(removal, stderr, "knocktail rules: ", format, arguments);
	va_end(arguments);
}

void removal_unlink(struct removal *removal, const char *path)
{
	if (unlink(path) == 0)
		removal_did(removal, "%s", path);
	else if (errno != ENOENT)
		removal_failed(removal, "%s: %s", path, strerror(errno));
}
