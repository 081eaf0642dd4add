#include "shortage.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define WEAK __attribute__((weak)) /* one that is not wrapped has no other name */

WEAK void *__real_malloc(size_t size);
WEAK void *__real_calloc(size_t n, size_t size);
WEAK void *__real_realloc(void *pointer, size_t size);
WEAK void *__real_reallocarray(void *pointer, size_t n, size_t size);
WEAK char *__real_strdup(const char *text);
WEAK int __real_vasprintf(char **ret, const char *format, va_list arguments);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *pointer, size_t size);
void *__wrap_reallocarray(void *pointer, size_t n, size_t size);
char *__wrap_strdup(const char *text);
int __wrap_vasprintf(char **ret, const char *format, va_list arguments);
void *__wrap_sodium_allocarray(size_t n, size_t size);
void __wrap_sodium_free(void *pointer);
int __wrap_asprintf(char **ret, const char *format, ...);
int __wrap___asprintf_chk(char **ret, int flag, const char *format, ...);

size_t shortage_left = SIZE_MAX;
bool shortage_is_brief, shortage_met;

static bool fails(void)
{
	if (shortage_left == 0) {
		errno = ENOMEM;
		shortage_met = true;
		if (shortage_is_brief)
			shortage_left = SIZE_MAX;
		return true;
	}
	shortage_left -= shortage_left != SIZE_MAX;
	return false;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *pointer, size_t size)
{
	return fails() ? NULL : __real_realloc(pointer, size);
}

void *__wrap_reallocarray(void *pointer, size_t n, size_t size)
{
	return fails() ? NULL : __real_reallocarray(pointer, n, size);
}

char *__wrap_strdup(const char *text)
{
	return fails() ? NULL : __real_strdup(text);
}

__attribute__((format(printf, 2, 0))) int __wrap_vasprintf(char **ret, const char *format,
							   va_list arguments)
{
	return fails() ? -1 : __real_vasprintf(ret, format, arguments);
}

/* A sanitizer sees what is left of these as well then. */
void *__wrap_sodium_allocarray(size_t n, size_t size)
{
	return __wrap_reallocarray(NULL, n, size);
}

void __wrap_sodium_free(void *pointer)
{
	free(pointer);
}

__attribute__((format(printf, 2, 3))) int __wrap_asprintf(char **ret, const char *format, ...)
{
	va_list arguments;
	int r;

	va_start(arguments, format);
	r = fails() ? -1 : vasprintf(ret, format, arguments);
	va_end(arguments);
	return r;
}

/* What it is called with _FORTIFY_SOURCE. */
__attribute__((format(printf, 3, 4))) int __wrap___asprintf_chk(char **ret, int flag,
								const char *format, ...)
{
	va_list arguments;
	int r;

	(void)flag;
	va_start(arguments, format);
	r = fails() ? -1 : vasprintf(ret, format, arguments);
	va_end(arguments);
	return r;
}
