#include "allocations.h"

#include <errno.h>
#include <stdlib.h>

static size_t n_blocks, n_bytes;

size_t allocations_blocks(void)
{
	return n_blocks;
}

size_t allocations_bytes(void)
{
	return n_bytes;
}

static void count(size_t size)
{
	n_blocks++;
	n_bytes += size;
}

#if defined __SANITIZE_ADDRESS__ || defined SANITIZE_LEAK /* tools/mutants says so */

/* The sanitizer has taken malloc() for itself, and tells. gcc comes without the header. */
int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void *, size_t),
					      void (*on_free)(const volatile void *));

static void on_malloc(const volatile void *block, size_t size)
{
	(void)block;
	count(size);
}

static void on_free(const volatile void *block)
{
	(void)block;
}

__attribute__((constructor)) static void begin(void)
{
	if (__sanitizer_install_malloc_and_free_hooks(on_malloc, on_free) == 0)
		abort();
}

#else

/* A program's own functions stand before those of libc, for all libraries that it uses. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *block, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

void *malloc(size_t size)
{
	count(size);
	return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	count(n * size);
	return __libc_calloc(n, size);
}

void *realloc(void *block, size_t size)
{
	count(size);
	return __libc_realloc(block, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
	count(size);
	return __libc_memalign(alignment, size);
}

int posix_memalign(void **ret, size_t alignment, size_t size)
{
	void *block = __libc_memalign(alignment, size);

	count(size);
	if (!block)
		return ENOMEM;
	*ret = block;
	return 0;
}

#endif
