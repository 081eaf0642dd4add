#include "daemon/position.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmocka-all.h"
#include "input/input.h"
#include "support.h"

#define BOOT   "11111111111111111111111111111111"
#define OTHER  "22222222222222222222222222222222"
#define CURSOR "s=0639;i=4f;b=1;m=5;t=6;x=7"

#define LINES "boot=" BOOT "\njournal_boot=" OTHER "\nmonotonic_us=77\ncursor=" CURSOR "\n"

static const struct input_position place = {
	.boot = OTHER,
	.monotonic_us = 77,
	.cursor = CURSOR,
};

struct fixture {
	char *parent, *directory, *file;
	struct position *position;
};

static int set_up(void **state)
{
	static struct fixture fixture;

	fixture.parent = support_directory();
	fixture.directory = support_path(fixture.parent, "state");
	fixture.file = support_path(fixture.directory, "position");
	*state = &fixture;
	return position_new(fixture.directory, BOOT, &fixture.position);
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	position_free(fixture->position);
	support_remove(fixture->parent);
	free(fixture->directory);
	free(fixture->file);
	return 0;
}

static void test_what_is_written_is_read(void **state)
{
	struct fixture *fixture = *state;
	struct input_position read = {0};
	struct stat status;
	char *text;

	assert_int_equal(position_read(fixture->position, &read), -ENOENT);
	assert_int_equal(position_write(fixture->position, &place), 0);
	assert_int_equal(position_read(fixture->position, &read), 0);
	assert_string_equal(read.boot, OTHER);
	assert_true(read.monotonic_us == 77);
	assert_string_equal(read.cursor, CURSOR);

	text = support_read(fixture->file, NULL);
	assert_string_equal(text, LINES "end=yes\n");
	free(text);
	assert_int_equal(stat(fixture->file, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
}

static void test_the_longest_cursor(void **state)
{
	struct fixture *fixture = *state;
	struct input_position longest = place, read;

	memset(longest.cursor, 'x', sizeof longest.cursor - 1);
	assert_int_equal(position_write(fixture->position, &longest), 0);
	assert_int_equal(position_read(fixture->position, &read), 0);
	assert_string_equal(read.cursor, longest.cursor);
}

static void test_it_ends_with_the_boot(void **state)
{
	struct fixture *fixture = *state;
	struct position *successor;
	struct input_position read;

	assert_int_equal(position_write(fixture->position, &place), 0);
	assert_int_equal(position_new(fixture->directory, OTHER, &successor), 0);
	assert_int_equal(position_read(successor, &read), -ESTALE);
	position_free(successor);
}

static void test_damage(void **state)
{
	static const char *const damaged[] = {
		"",
		"\n",
		"nonsense",
		LINES,
		LINES "end=yes",
		LINES "end=no\n",
		LINES "end=yes\nmore=1\n",
		LINES "cursor=" CURSOR "\nend=yes\n",
		LINES "other=1\nend=yes\n",
		"boot=" BOOT "\nmonotonic_us=77\ncursor=c\nend=yes\n",
		"boot=" BOOT "\njournal_boot=" OTHER "\nmonotonic_us=-1\ncursor=c\nend=yes\n",
		"boot=" BOOT "\njournal_boot=" OTHER "\nmonotonic_us=7x\ncursor=c\nend=yes\n",
		"boot=" BOOT "\njournal_boot=" OTHER "\nmonotonic_us=\ncursor=c\nend=yes\n",
		"boot=" BOOT "\njournal_boot=" OTHER "\nmonotonic_us=7\ncursor=\nend=yes\n",
		"boot=" BOOT "\njournal_boot=" OTHER "\nmonotonic_us=7\ncursor=a b\nend=yes\n",
		"boot=" BOOT "\njournal_boot=" OTHER "3\nmonotonic_us=7\ncursor=c\nend=yes\n",
	};
	struct fixture *fixture = *state;
	struct input_position read;
	char longer[INPUT_CURSOR_MAX + 200];

	for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
		support_write(fixture->file, damaged[i], strlen(damaged[i]));
		if (position_read(fixture->position, &read) != -EBADMSG)
			fail_msg("case %zu is taken for a position", i);
	}
	support_write(fixture->file, LINES "end=yes\n\0", sizeof LINES + 8);
	assert_int_equal(position_read(fixture->position, &read), -EBADMSG);
	memset(longer, 'x', sizeof longer);
	memcpy(longer, "cursor=", 7);
	support_write(fixture->file, longer, sizeof longer);
	assert_int_equal(position_read(fixture->position, &read), -EBADMSG);
}

static void test_no_file_at_all(void **state)
{
	struct fixture *fixture = *state;
	struct input_position read;

	assert_int_equal(mkdir(fixture->file, 0700), 0);
	assert_true(position_read(fixture->position, &read) < 0);
	assert_int_equal(rmdir(fixture->file), 0);
	assert_int_equal(symlink("/etc/passwd", fixture->file), 0);
	assert_true(position_read(fixture->position, &read) < 0);
	assert_int_equal(unlink(fixture->file), 0);
	assert_int_equal(mkfifo(fixture->file, 0600), 0);
	assert_int_equal(position_read(fixture->position, &read), -EBADMSG);
}

/* A full disk, for example: an old position would have a successor act again. */
static void test_what_cannot_be_replaced_goes(void **state)
{
	struct fixture *fixture = *state;
	char *temporary = support_path(fixture->directory, ".position.new");
	struct input_position read;

	assert_int_equal(position_write(fixture->position, &place), 0);
	assert_int_equal(mkdir(temporary, 0700), 0);
	assert_true(position_write(fixture->position, &place) < 0);
	assert_int_equal(position_read(fixture->position, &read), -ENOENT);
	assert_int_equal(rmdir(temporary), 0);
	assert_int_equal(position_write(fixture->position, &place), 0);
	assert_int_equal(position_read(fixture->position, &read), 0);
	free(temporary);
}

/* Left over, or put there. */
static void test_what_stands_in_the_way(void **state)
{
	struct fixture *fixture = *state;
	char *temporary = support_path(fixture->directory, ".position.new");
	struct input_position read;

	support_write(temporary, "half a posi", 11);
	assert_int_equal(position_write(fixture->position, &place), 0);
	assert_int_equal(mkfifo(temporary, 0600), 0);
	alarm(30);
	assert_int_equal(position_write(fixture->position, &place), 0);
	alarm(0);
	assert_int_equal(position_read(fixture->position, &read), 0);
	free(temporary);
}

static void test_no_directory(void **state)
{
	struct fixture *fixture = *state;
	struct position *position = NULL;

	support_write(fixture->file, "x", 1);
	assert_int_equal(position_new(fixture->file, BOOT, &position), -ENOTDIR);
	assert_int_equal(position_new("/nowhere/at/all", BOOT, &position), -ENOENT);
	assert_null(position);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_is_written_is_read), TEST(test_the_longest_cursor),
		TEST(test_it_ends_with_the_boot),   TEST(test_damage),
		TEST(test_no_file_at_all),	    TEST(test_what_cannot_be_replaced_goes),
		TEST(test_what_stands_in_the_way),  TEST(test_no_directory),
	};

	return cmocka_run_group_tests_name("position", tests, NULL, NULL);
}
