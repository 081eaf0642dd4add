#include "cli/page/compose.h"

#include <malloc.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "cli/page/wish.h"

#include "cmocka-all.h"

/* Made up, and long enough not to be there by chance. */
static const char key_line[] = "knocktail2-open bm9ib2R5IG1heSBrbm93IHRoaXMgbGluZQ==";

#ifndef __SANITIZE_ADDRESS__

/* A program's own functions stand before those of libc, for libc as well. */
void *__libc_malloc(size_t size);
void __libc_free(void *block);

static int n_left; /* blocks given back with the key in them */

void free(void *block)
{
	if (block && memmem(block, malloc_usable_size(block), key_line, sizeof key_line - 1))
		n_left++;
	__libc_free(block);
}

void *realloc(void *block, size_t size)
{
	size_t before = block ? malloc_usable_size(block) : 0;
	void *moved = __libc_malloc(size);

	if (!moved)
		return NULL;
	if (block)
		memcpy(moved, block, before < size ? before : size);
	free(block);
	return moved;
}

#endif

static void test_the_key_stands_in_the_page_alone(void **state)
{
	static struct page_content content = {
		.n_hosts = 1,
		.n_doors = 1,
		.hosts = {"gw.example.org"},
		.doors = {{.name = "ssh", .seconds = 30}},
	};
	static const char before[] = "<meta name=\"knocktail-key\" content=\"";
	const char *found;
	size_t size;
	char *text;

	(void)state;
	assert_int_equal(page_compose(&content, key_line, 1770000000, &text, &size), 0);
	found = memmem(text, size, key_line, sizeof key_line - 1);
	assert_non_null(found);
	assert_memory_equal(found - strlen(before), before, strlen(before));
	assert_memory_equal(found + strlen(key_line), "\">\n", 3);
	assert_memory_equal(text + size - 8, "</html>\n", 8);
	assert_null(memmem(found + 1, size - (size_t)(found + 1 - text), key_line, 20));
	sodium_memzero(text, size);
	free(text);
#ifndef __SANITIZE_ADDRESS__
	assert_int_equal(n_left, 0);
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_key_stands_in_the_page_alone),
	};

	return sodium_init() < 0 ? 99 : cmocka_run_group_tests(tests, NULL, NULL);
}
