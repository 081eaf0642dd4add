/* Memory that runs out once, for one process: preloaded, it fails the allocation whose number
 * NO_MEMORY has, counted from 1, and leaves in the file NO_MEMORY_ASKED how many there were. Those
 * count that the program itself asks for: not every library survives that its own fail. */
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uintptr_t code_start, code_end; /* of the program itself */
static unsigned long failing;
static atomic_ulong n_asked;

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *pointer, size_t size);

static int find_code(struct dl_phdr_info *info, size_t size, void *data)
{
	(void)size, (void)data;
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *header = &info->dlpi_phdr[i];

		if (header->p_type == PT_LOAD && header->p_flags & PF_X) {
			code_start = info->dlpi_addr + header->p_vaddr;
			code_end = code_start + header->p_memsz;
		}
	}
	return 1; /* the program comes first */
}

__attribute__((constructor)) static void begin(void)
{
	const char *number = getenv("NO_MEMORY");

	failing = number ? strtoul(number, NULL, 10) : 0;
	dl_iterate_phdr(find_code, NULL);
}

__attribute__((destructor)) static void tell(void)
{
	const char *path = getenv("NO_MEMORY_ASKED");
	unsigned long n = n_asked;
	FILE *file = path ? fopen(path, "we") : NULL;

	if (file) {
		fprintf(file, "%lu\n", n);
		fclose(file);
	}
}

/* What is left is not the program's own: it may be what counts its branches. */
static void stop(void)
{
	code_end = code_start;
}

static bool fails(const void *caller)
{
	static atomic_flag registered = ATOMIC_FLAG_INIT;

	if ((uintptr_t)caller < code_start || (uintptr_t)caller >= code_end)
		return false;
	if (!atomic_flag_test_and_set(&registered))
		atexit(stop);
	if (atomic_fetch_add(&n_asked, 1) + 1 != failing)
		return false;
	errno = ENOMEM;
	return true;
}

__attribute__((visibility("default"))) void *malloc(size_t size)
{
	return fails(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

__attribute__((visibility("default"))) void *calloc(size_t n, size_t size)
{
	return fails(__builtin_return_address(0)) ? NULL : __libc_calloc(n, size);
}

__attribute__((visibility("default"))) void *realloc(void *pointer, size_t size)
{
	return fails(__builtin_return_address(0)) ? NULL : __libc_realloc(pointer, size);
}

__attribute__((visibility("default"))) void *reallocarray(void *pointer, size_t n, size_t size)
{
	size_t whole;

	if (fails(__builtin_return_address(0)) || __builtin_mul_overflow(n, size, &whole))
		return NULL;
	return __libc_realloc(pointer, whole);
}

__attribute__((visibility("default"))) char *strdup(const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = fails(__builtin_return_address(0)) ? NULL : __libc_malloc(size);

	return copy ? memcpy(copy, text, size) : NULL;
}

__attribute__((visibility("default"))) char *strndup(const char *text, size_t size)
{
	size_t length = strnlen(text, size);
	char *copy = fails(__builtin_return_address(0)) ? NULL : __libc_calloc(length + 1, 1);

	return copy ? memcpy(copy, text, length) : NULL;
}

__attribute__((visibility("default"))) FILE *open_memstream(char **text, size_t *size)
{
	static FILE *(*real)(char **, size_t *);

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "open_memstream");
	return fails(__builtin_return_address(0)) ? NULL : real(text, size);
}

/* As programs call them with _FORTIFY_SOURCE, and without. */
int __vasprintf_chk(char **ret, int flag, const char *format, va_list arguments);

__attribute__((visibility("default"))) int __asprintf_chk(char **ret, int flag, const char *format,
							  ...)
{
	va_list arguments;
	int n = -1;

	if (fails(__builtin_return_address(0)))
		return -1;
	va_start(arguments, format);
	n = __vasprintf_chk(ret, flag, format, arguments);
	va_end(arguments);
	return n;
}

__attribute__((visibility("default"))) int asprintf(char **ret, const char *format, ...)
{
	va_list arguments;
	int n = -1;

	if (fails(__builtin_return_address(0)))
		return -1;
	va_start(arguments, format);
	n = vasprintf(ret, format, arguments);
	va_end(arguments);
	return n;
}
