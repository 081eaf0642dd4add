/* A stream into memory: what it holds, and that it says so when it lost something. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka-all.h"
#include "shortage.h"
#include "util/text/stream.h"

static void test_nothing(void **state)
{
	char *text;
	size_t size = 1;
	FILE *file = text_stream_open(&text, &size);

	(void)state;
	assert_non_null(file);
	assert_string_equal(text, "");
	assert_int_equal(fclose(file), 0);
	assert_string_equal(text, "");
	assert_int_equal(size, 0);
	free(text);
}

/* More than one buffer of the C library holds. */
static void test_much(void **state)
{
	char *text, line[16];
	size_t size;
	FILE *file = text_stream_open(&text, &size);

	(void)state;
	assert_non_null(file);
	for (int i = 0; i < 10000; i++) {
		assert_int_equal(ftell(file), i * 8L);
		fprintf(file, "%7d\n", i);
		if (i == 4321) {
			assert_int_equal(fflush(file), 0);
			assert_int_equal(strlen(text), 4322 * 8);
		}
	}
	assert_int_equal(fclose(file), 0);
	assert_int_equal(size, 80000);
	assert_int_equal(strlen(text), size);
	for (int i = 0; i < 10000; i++) {
		snprintf(line, sizeof line, "%7d\n", i);
		assert_memory_equal(text + 8 * (size_t)i, line, 8);
	}
	free(text);
}

static void test_bytes(void **state)
{
	char *text;
	size_t size;
	FILE *file = text_stream_open(&text, &size);

	(void)state;
	assert_non_null(file);
	assert_int_equal(fseek(file, 1, SEEK_SET), -1);
	fwrite("a\0b", 1, 3, file);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(size, 3);
	assert_memory_equal(text, "a\0b", 4);
	free(text);
}

/* Once is enough, whatever there is room for later. */
static void test_no_memory(void **state)
{
	char *text;
	FILE *file = text_stream_open(&text, NULL);

	(void)state;
	assert_non_null(file);
	fputs("kept", file);
	assert_int_equal(fflush(file), 0);
	fputs("too much to be kept", file);
	shortage_left = 0;
	assert_int_equal(fflush(file), EOF);
	shortage_left = SIZE_MAX;
	fputs("!", file);
	errno = 0;
	assert_int_equal(fclose(file), EOF);
	assert_int_equal(errno, ENOMEM);
	assert_null(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_much),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
