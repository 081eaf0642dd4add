/* Files of journals that are made here by the byte, as https://systemd.io/JOURNAL_FILE_FORMAT has
 * them, and broken in one place each. */
#include "input/open-files.h"

#include <endian.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmocka-all.h"
#include "support.h"

/* The head, two arrays that lead to three entries, and these. */
enum {
	INCOMPATIBLE = 12,
	N_ENTRIES = 152,
	ENTRY_ARRAY = 176,
	HEAD_US = 184,
	TAIL_US = 192,
	FIRST_ARRAY = 256,
	SECOND_ARRAY = 512,
	FIRST_ENTRY = 1024,
	ENTRY_SIZE = 64,
	FILE_SIZE = FIRST_ENTRY + 3 * ENTRY_SIZE,
};

/* Of an object: its type, its size, and behind them what an array has next, and its items. */
enum { OBJECT_SIZE = 8, NEXT = 16, ITEMS = 24 };
enum { TYPE_ENTRY = 3, TYPE_ARRAY = 6 };

static void put(uint8_t *image, size_t at, uint64_t value, size_t width)
{
	uint64_t little = htole64(value);

	memcpy(image + at, &little, width);
}

static void put_object(uint8_t *image, size_t at, uint8_t type, uint64_t size)
{
	image[at] = type;
	put(image, at + OBJECT_SIZE, size, 8);
}

static void make_image(uint8_t image[static FILE_SIZE], bool compact)
{
	size_t width = compact ? 4 : 8;

	memset(image, 0, FILE_SIZE);
	memcpy(image, "LPKSHHRH", 8);
	put(image, INCOMPATIBLE, compact ? 1 << 4 : 0, 4);
	put(image, N_ENTRIES, 3, 8);
	put(image, ENTRY_ARRAY, FIRST_ARRAY, 8);
	put(image, HEAD_US, 1000, 8);
	put(image, TAIL_US, 2000, 8);
	put_object(image, FIRST_ARRAY, TYPE_ARRAY, ITEMS + 2 * width);
	put(image, FIRST_ARRAY + NEXT, SECOND_ARRAY, 8);
	put_object(image, SECOND_ARRAY, TYPE_ARRAY, ITEMS + 4 * width);
	for (size_t i = 0; i < 3; i++) {
		size_t entry = FIRST_ENTRY + i * ENTRY_SIZE;

		put(image, i < 2 ? FIRST_ARRAY + ITEMS + i * width : SECOND_ARRAY + ITEMS, entry,
		    width);
		put_object(image, entry, TYPE_ENTRY, ENTRY_SIZE);
	}
}

/* Whether the file of these bytes is whole, as long as it is open. */
static bool is_whole(const uint8_t *image, size_t size, struct open_files_check check)
{
	char *directory = support_directory(), *path = support_path(directory, "a.journal");
	bool whole;
	int fd;

	support_write(path, (const char *)image, size);
	assert_int_equal(open_files_count(), 0);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(open_files_count(), 1);
	whole = open_files_are_whole(check);
	close(fd);
	free(path);
	support_remove(directory);
	return whole;
}

static void test_whole_ones(void **state)
{
	uint8_t image[FILE_SIZE];

	(void)state;
	assert_true(open_files_are_whole((struct open_files_check){.until_us = UINT64_MAX}));
	for (int compact = 0; compact < 2; compact++)
		for (int entries = 0; entries < 2; entries++) {
			struct open_files_check check = {.until_us = UINT64_MAX,
							 .entries = entries};

			make_image(image, compact);
			assert_true(is_whole(image, sizeof image, check));
			/* What was written since, behind the entries that the head knows of. */
			put(image, SECOND_ARRAY + ITEMS + (compact ? 4 : 8), 1, 4);
			assert_true(is_whole(image, sizeof image, check));
			/* Nothing but its number and its times. */
			put(image, FIRST_ENTRY + OBJECT_SIZE, 40, 8);
			assert_true(is_whole(image, sizeof image, check));
		}
}

static void test_one_place_each(void **state)
{
	static const struct {
		const char *what;
		size_t at;
		uint64_t value;
		bool is_inside; /* seen only by who looks at each entry */
	} cases[] = {
		{"the signature", 0, 0, false},
		{"more entries than there are", N_ENTRIES, 9, false},
		{"no array", ENTRY_ARRAY, 0, false},
		{"an array that is elsewhere", ENTRY_ARRAY, FIRST_ENTRY, false},
		{"an array beyond the file", ENTRY_ARRAY, FILE_SIZE, false},
		{"an array beyond all files", ENTRY_ARRAY, UINT64_MAX, false},
		{"no next array", FIRST_ARRAY + NEXT, 0, false},
		{"an array that leads to itself", FIRST_ARRAY + NEXT, FIRST_ARRAY, false},
		{"an array with room for nothing", FIRST_ARRAY + OBJECT_SIZE, ITEMS, false},
		{"an array that is smaller than one", FIRST_ARRAY + OBJECT_SIZE, 8, false},
		{"an array of another type", SECOND_ARRAY, TYPE_ENTRY, false},
		{"an entry at nothing", FIRST_ARRAY + ITEMS, 0, false},
		{"an entry beyond the file", SECOND_ARRAY + ITEMS, FILE_SIZE, false},
		{"an entry before the one before", SECOND_ARRAY + ITEMS, FIRST_ENTRY, false},
		{"an entry of another type", FIRST_ENTRY, TYPE_ARRAY, true},
		{"an entry that is smaller than one", FIRST_ENTRY + OBJECT_SIZE, 16, true},
		{"an entry that is larger than the file", FIRST_ENTRY + OBJECT_SIZE, FILE_SIZE,
		 true},
		{"an entry at the very end", SECOND_ARRAY + ITEMS, FILE_SIZE - 8, true},
	};
	uint8_t image[FILE_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		for (int entries = 0; entries < 2; entries++) {
			struct open_files_check check = {.until_us = UINT64_MAX,
							 .entries = entries};

			make_image(image, false);
			put(image, cases[i].at, cases[i].value, 8);
			if (is_whole(image, sizeof image, check) !=
			    (cases[i].is_inside && !entries))
				fail_msg("%s", cases[i].what);
		}
}

/* The entries are all there and in order, and the way to them is not. */
static void test_arrays_out_of_order(void **state)
{
	const struct open_files_check check = {.until_us = UINT64_MAX};
	uint8_t image[FILE_SIZE];

	(void)state;
	/* The one that is first leads back to one before it. */
	make_image(image, false);
	put(image, ENTRY_ARRAY, SECOND_ARRAY, 8);
	put(image, SECOND_ARRAY + NEXT, FIRST_ARRAY, 8);
	put(image, FIRST_ARRAY + NEXT, 0, 8);
	put(image, FIRST_ARRAY + ITEMS, FIRST_ENTRY + ENTRY_SIZE, 8);
	put(image, FIRST_ARRAY + ITEMS + 8, FIRST_ENTRY + 2 * ENTRY_SIZE, 8);
	put(image, SECOND_ARRAY + OBJECT_SIZE, ITEMS + 8, 8);
	put(image, SECOND_ARRAY + ITEMS, FIRST_ENTRY, 8);
	assert_false(is_whole(image, sizeof image, check));
	/* The first has no room for any, and the second has all. */
	make_image(image, false);
	put(image, FIRST_ARRAY + OBJECT_SIZE, ITEMS, 8);
	for (size_t i = 0; i < 3; i++)
		put(image, SECOND_ARRAY + ITEMS + i * 8, FIRST_ENTRY + i * ENTRY_SIZE, 8);
	assert_false(is_whole(image, sizeof image, check));
}

/* Wherever it ends too early. */
static void test_cut_ones(void **state)
{
	struct open_files_check check = {.until_us = UINT64_MAX, .entries = true};
	uint8_t image[FILE_SIZE];

	(void)state;
	make_image(image, false);
	for (size_t size = 0; size < sizeof image; size += 8)
		if (is_whole(image, size, check))
			fail_msg("%zu bytes", size);
}

/* More items than are read at once, of which the last is wrong. */
static void test_a_long_one(void **state)
{
	enum { N = 1200, ITEMS_AT = FIRST_ARRAY + ITEMS, ENTRIES_AT = ITEMS_AT + N * 8 };
	const struct open_files_check check = {.until_us = UINT64_MAX, .entries = true};
	size_t size = ENTRIES_AT + N * ENTRY_SIZE;
	uint8_t *image = calloc(1, size);

	(void)state;
	assert_non_null(image);
	memcpy(image, "LPKSHHRH", 8);
	put(image, N_ENTRIES, N, 8);
	put(image, ENTRY_ARRAY, FIRST_ARRAY, 8);
	put(image, TAIL_US, 2000, 8);
	put_object(image, FIRST_ARRAY, TYPE_ARRAY, ITEMS + N * 8);
	for (size_t i = 0; i < N; i++) {
		put(image, ITEMS_AT + i * 8, ENTRIES_AT + i * ENTRY_SIZE, 8);
		put_object(image, ENTRIES_AT + i * ENTRY_SIZE, TYPE_ENTRY, ENTRY_SIZE);
	}
	assert_true(is_whole(image, size, check));
	image[ENTRIES_AT + (N - 1) * ENTRY_SIZE] = TYPE_ARRAY;
	assert_false(is_whole(image, size, check));
	free(image);
}

static void test_what_need_not_be_looked_at(void **state)
{
	uint8_t image[FILE_SIZE];

	(void)state;
	make_image(image, false);
	put(image, ENTRY_ARRAY, 0, 8);
	/* Of another time, or read to its end. */
	assert_true(is_whole(image, sizeof image, (struct open_files_check){.until_us = 1000}));
	assert_false(is_whole(image, sizeof image, (struct open_files_check){.until_us = 1001}));
	assert_true(is_whole(image, sizeof image,
			     (struct open_files_check){.since_us = 2001, .until_us = UINT64_MAX}));
	assert_false(is_whole(image, sizeof image,
			      (struct open_files_check){.since_us = 2000, .until_us = UINT64_MAX}));
	assert_true(is_whole(image, sizeof image,
			     (struct open_files_check){.until_us = UINT64_MAX, .n_read = 3}));
	assert_false(is_whole(image, sizeof image,
			      (struct open_files_check){.until_us = UINT64_MAX, .n_read = 2}));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_ones),
		cmocka_unit_test(test_one_place_each),
		cmocka_unit_test(test_arrays_out_of_order),
		cmocka_unit_test(test_cut_ones),
		cmocka_unit_test(test_a_long_one),
		cmocka_unit_test(test_what_need_not_be_looked_at),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
