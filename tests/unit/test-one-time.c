#include "keys/one-time.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/door.h"
#include "core/sequence.h"
#include "support.h"
#include "util/cleanup.h"

/* These stand before libc's. A disk that fails does so again when the file is closed. */
static bool disk_fails;

int fstat(int fd, struct stat *ret)
{
	if (!disk_fails)
		return fstatat(fd, "", ret, AT_EMPTY_PATH);
	errno = EIO;
	return -1;
}

int close(int fd)
{
	int r = (int)syscall(SYS_close, fd);

	if (!disk_fails)
		return r;
	errno = EDQUOT;
	return -1;
}

/* A directory with one file in it, and what was said about that. */
struct trial {
	char *directory, *path;
	char said[2000];
	struct one_time *file;
};

static void note(void *userdata, unsigned line, bool warning, const char *text)
{
	char *said = userdata;

	sprintf(said + strlen(said), "%u: %s: %s\n", line, warning ? "warning" : "error", text);
}

/* The one in force. */
static int use(struct trial *trial, const char *remark)
{
	int r = one_time_mark(trial->file, one_time_current(trial->file), remark);

	if (r == 0)
		one_time_advance(trial->file);
	return r;
}

static int open_again(struct trial *trial)
{
	one_time_free(trial->file);
	trial->file = NULL;
	trial->said[0] = '\0';
	return one_time_open(trial->path, note, trial->said, &trial->file);
}

static int begin(struct trial *trial, const char *text)
{
	*trial = (struct trial){.directory = support_directory()};
	trial->path = support_path(trial->directory, "sequences");
	support_write(trial->path, text, strlen(text));
	assert_int_equal(chmod(trial->path, 0600), 0);
	return open_again(trial);
}

static void end(struct trial *trial)
{
	one_time_free(trial->file);
	support_remove(trial->directory);
	free(trial->path);
}

static void check_text(const struct trial *trial, const char *expected)
{
	char *text = support_read(trial->path, NULL);

	assert_string_equal(text, expected);
	free(text);
}

static void test_lines_are_used_one_after_the_other(void **state)
{
	struct trial trial;

	(void)state;
	assert_int_equal(begin(&trial, "# mine\n\n \t\n9, 7, 8\r\n  6:udp 5/tcp\n3,1,2"), 0);
	assert_string_equal(trial.said, "");
	assert_int_equal(one_time_count(trial.file), 3);
	assert_int_equal(one_time_current(trial.file), 0);
	assert_int_equal(one_time_sequence(trial.file, 1)->n_steps, 2);
	assert_int_equal(one_time_sequence(trial.file, 1)->steps[0].port, 6);
	assert_int_equal(use(&trial, "used once"), 0);
	assert_int_equal(one_time_current(trial.file), 1);
	check_text(&trial, "# mine\n\n \t\n# used once: 9, 7, 8\r\n  6:udp 5/tcp\n3,1,2");
	assert_int_equal(open_again(&trial), 0);
	assert_int_equal(one_time_count(trial.file), 2);
	assert_int_equal(use(&trial, "used"), 0);
	assert_int_equal(use(&trial, "used"), 0);
	assert_int_equal(one_time_current(trial.file), 2);
	check_text(&trial, "# mine\n\n \t\n# used once: 9, 7, 8\r\n# used:   6:udp 5/tcp\n"
			   "# used: 3,1,2");
	assert_int_equal(open_again(&trial), 0);
	assert_int_equal(one_time_count(trial.file), 0);
	assert_string_equal(trial.said,
			    "0: warning: no unused sequence left: its doors stay closed\n");
	end(&trial);
}

static void test_mode_is_kept_and_nothing_is_left_behind(void **state)
{
	struct trial trial;
	struct stat status;
	char *temporary;

	(void)state;
	assert_int_equal(begin(&trial, "9, 7, 8\n"), 0);
	temporary = support_path(trial.directory, ".sequences.new");
	assert_int_equal(chmod(trial.path, 0640), 0);
	support_write(temporary, "junk of a dead predecessor", 26);
	assert_int_equal(open_again(&trial), 0);
	assert_int_equal(use(&trial, "used"), 0);
	assert_int_equal(stat(trial.path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0640);
	assert_false(support_exists(temporary));
	check_text(&trial, "# used: 9, 7, 8\n");
	free(temporary);
	end(&trial);
}

/* What has the name of the new file is neither written to nor waited for. */
static void test_whatever_is_in_the_way(void **state)
{
	struct trial trial;
	char *temporary, *other;

	(void)state;
	assert_int_equal(begin(&trial, "9, 7, 8\n7, 9, 8\n8, 7, 9\n"), 0);
	temporary = support_path(trial.directory, ".sequences.new");
	other = support_path(trial.directory, "other");
	support_write(other, "precious", 8);
	assert_int_equal(symlink(other, temporary), 0);
	assert_int_equal(use(&trial, "used"), 0);
	assert_int_equal(link(other, temporary), 0);
	assert_int_equal(use(&trial, "used"), 0);
	assert_int_equal(mkfifo(temporary, 0600), 0);
	assert_int_equal(use(&trial, "used"), 0);
	check_text(&trial, "# used: 9, 7, 8\n# used: 7, 9, 8\n# used: 8, 7, 9\n");
	free(trial.path);
	trial.path = other;
	check_text(&trial, "precious");
	free(temporary);
	end(&trial);
}

/* Lines grow when they are used: what was accepted stays so, to the last one. */
static void test_a_file_of_the_greatest_size(void **state)
{
	enum { SIZE_MAX_ = 4 << 20, LINES = 4, PER_LINE = 128 };
	CLEANUP(cleanup_free) char *text = malloc(SIZE_MAX_ + 1);
	char remark[PER_LINE * 2];
	struct trial trial;
	struct stat status;
	size_t size = 0, fits;

	(void)state;
	assert_non_null(text);
	for (int i = 0; i < LINES; i++)
		size += (size_t)sprintf(text + size, "%d, 7, 8\n", 1000 + i);
	fits = SIZE_MAX_ - LINES * PER_LINE;
	while (size < fits + 1)
		text[size++] = '#';
	text[size] = '\0';
	assert_int_equal(begin(&trial, text), -EBADMSG);
	assert_non_null(strstr(trial.said, "0: error: the file is too large"));
	support_write(trial.path, text, fits);
	assert_int_equal(open_again(&trial), 0);
	memset(remark, 'x', sizeof remark);
	remark[sizeof remark - 1] = '\0';
	for (int i = 0; i < LINES; i++) {
		assert_int_equal(use(&trial, remark), 0);
		assert_int_equal(open_again(&trial), 0);
		assert_int_equal(one_time_count(trial.file), LINES - 1 - i);
	}
	assert_int_equal(stat(trial.path, &status), 0);
	assert_int_equal(status.st_size, SIZE_MAX_);
	end(&trial);
}

static void test_what_was_added_meanwhile_stays(void **state)
{
	struct trial trial;

	(void)state;
	assert_int_equal(begin(&trial, "9, 7, 8\n"), 0);
	support_write(trial.path, "# new\n9 7 8\n1, 3, 2\n", 20);
	assert_int_equal(use(&trial, "used"), 0);
	check_text(&trial, "# new\n# used: 9 7 8\n1, 3, 2\n");
	end(&trial);
}

/* The line in force has to be the first that is left, then as now. */
static void test_another_file_is_not_touched(void **state)
{
	static const char *const others[] = {"", "1, 3, 2\n9, 7, 8\n", "# 9, 7, 8\n", "9, 7\n",
					     "x\n9, 7, 8\n"};
	struct trial trial;

	(void)state;
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
		assert_int_equal(begin(&trial, "9, 7, 8\n"), 0);
		support_write(trial.path, others[i], strlen(others[i]));
		assert_int_equal(use(&trial, "used"), -ESTALE);
		check_text(&trial, others[i]);
		end(&trial);
	}
}

static void test_unusable_is_unused(void **state)
{
	struct trial trial;

	(void)state;
	assert_int_equal(begin(&trial, "9, 7, 8\n"), 0);
	assert_int_equal(unlink(trial.path), 0);
	assert_int_equal(use(&trial, "used"), -ENOENT);
	assert_int_equal(one_time_current(trial.file), 0);
	support_write(trial.path, "9, 7, 8\n", 8);
	assert_int_equal(chmod(trial.path, 0606), 0);
	assert_int_equal(use(&trial, "used"), -EBADMSG);
	check_text(&trial, "9, 7, 8\n");
	end(&trial);
}

/* What is told is what failed first. */
static void test_a_disk_that_fails(void **state)
{
	struct trial trial;

	(void)state;
	assert_int_equal(begin(&trial, "9, 7, 8\n"), 0);
	disk_fails = true;
	assert_int_equal(use(&trial, "used"), -EIO);
	assert_int_equal(open_again(&trial), -EBADMSG);
	disk_fails = false;
	assert_string_equal(trial.said, "0: error: cannot read it: Input/output error\n");
	check_text(&trial, "9, 7, 8\n");
	end(&trial);
}

static void test_complaints(void **state)
{
	static const struct {
		const char *text, *said;
	} cases[] = {
		{"9, 7, 8\n9, 7, x\n\n,\n",
		 "2: error: step 3 is not PORT, PORT/tcp or PORT/udp with a port from 1 to 65535\n"
		 "4: error: the line has no step\n"},
		{"9 7 8 # mine\n", "1: error: step 4 is not PORT, PORT/tcp or PORT/udp with a port "
				   "from 1 to 65535\n"},
		{"1 2 3 4 5 6 7 8 9 1 2 3 4 5 6 7 8 9 1 2 3 4 5 6 7 8 9 1 2 3 4 5 6\n",
		 "1: error: the sequence has more than 32 steps\n"},
		{"9, 7, 8\n6\n9/tcp 7:tcp 8\n",
		 "3: error: the sequence stands in line 1 already: each is good for one knock\n"},
		{"9, 7, 8\n6\n7, 8, 9\n",
		 "2: warning: the sequence has one step: any port scan opens the door\n"
		 "3: warning: the ports of the sequence ascend: a scan of just these ports in "
		 "their order opens the door\n"},
		{"#\n", "0: warning: no unused sequence left: its doors stay closed\n"},
		{"", "0: warning: no unused sequence left: its doors stay closed\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct trial trial;
		int r = begin(&trial, cases[i].text);

		assert_string_equal(trial.said, cases[i].said);
		assert_int_equal(r, strstr(cases[i].said, "error") ? -EBADMSG : 0);
		end(&trial);
	}
}

static void test_lines_that_are_too_long_or_binary(void **state)
{
	static const char expected[] =
		"1: error: the line is longer than 1000 bytes or has a NUL byte in it\n";
	char text[1100];
	struct trial trial;

	(void)state;
	memset(text, ' ', sizeof text);
	memcpy(text, "9 7 8", 5);
	text[1001] = '\0';
	assert_int_equal(begin(&trial, text), -EBADMSG);
	assert_string_equal(trial.said, expected);
	support_write(trial.path, text, 1000);
	assert_int_equal(open_again(&trial), 0);
	support_write(trial.path, "9 7\0 8\n", 7);
	assert_int_equal(open_again(&trial), -EBADMSG);
	assert_string_equal(trial.said, expected);
	end(&trial);
}

static void test_whose_file_it_is(void **state)
{
	static const mode_t refused[] = {0620, 0602, 0604, 0601, 0666};
	struct trial trial;
	char *other;

	(void)state;
	assert_int_equal(begin(&trial, "9, 7, 8\n"), 0);
	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
		assert_int_equal(chmod(trial.path, refused[i]), 0);
		assert_int_equal(open_again(&trial), -EBADMSG);
		assert_non_null(strstr(trial.said, "chmod g-w,o= /"));
	}
	assert_int_equal(chmod(trial.path, 0440), 0);
	assert_int_equal(open_again(&trial), 0);
	other = support_path(trial.directory, "other");
	assert_int_equal(link(trial.path, other), 0);
	assert_int_equal(open_again(&trial), -EBADMSG);
	assert_string_equal(trial.said, "0: error: the file has 2 names, and must have one\n");
	assert_int_equal(unlink(trial.path), 0);
	assert_int_equal(symlink(other, trial.path), 0);
	assert_int_equal(open_again(&trial), -EBADMSG);
	assert_non_null(strstr(trial.said, "cannot read it: Too many levels of symbolic links"));
	assert_int_equal(unlink(trial.path), 0);
	assert_int_equal(open_again(&trial), -EBADMSG);
	assert_non_null(strstr(trial.said, "cannot read it: No such file"));
	assert_int_equal(mkfifo(trial.path, 0600), 0);
	assert_int_equal(open_again(&trial), -EBADMSG);
	assert_non_null(strstr(trial.said, "not a regular file"));
	free(other);
	end(&trial);
}

/* Who may change the file decides who gets in. */
static void test_owners_of_the_file(void **state)
{
	struct trial trial;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(begin(&trial, "9, 7, 8\n7, 9, 8\n"), 0);
	assert_int_equal(chown(trial.path, 12345, 0), 0);
	assert_int_equal(use(&trial, "used"), -EBADMSG);
	assert_int_equal(open_again(&trial), -EBADMSG);
	assert_string_equal(trial.said,
			    "0: error: the file belongs to the user with the number 12345, who is "
			    "neither root nor the daemon nor the directory's owner\n");
	assert_int_equal(chown(trial.directory, 12345, 0), 0);
	assert_int_equal(open_again(&trial), 0);
	end(&trial);
}

static void test_same_file_by_another_path(void **state)
{
	struct trial trial;
	struct one_time *same = NULL, *other = NULL;
	char *detour, *path;

	(void)state;
	assert_int_equal(begin(&trial, "9, 7, 8\n"), 0);
	assert_true(asprintf(&detour, "%s/./sequences", trial.directory) > 0);
	path = support_path(trial.directory, "other");
	support_write(path, "9, 7, 8\n", 8);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(one_time_open(detour, note, trial.said, &same), 0);
	assert_int_equal(one_time_open(path, note, trial.said, &other), 0);
	assert_true(one_time_same(trial.file, same));
	assert_false(one_time_same(trial.file, other));
	one_time_free(same);
	one_time_free(other);
	free(detour);
	free(path);
	end(&trial);
}

/* The steps of one of many sequences that are much alike. */
static int write_alike(char *to, unsigned i)
{
	return sprintf(to, "9, 8/%s, %u%s\n", i % 2 ? "udp" : "tcp", 4 + i / 2 % 8,
		       i / 16 % 2 ? ", 3/udp, 1" : "");
}

/* Wherever the second stands, and however much like it the others are. */
static void test_every_twin_is_found(void **state)
{
	enum { N = 32 };

	(void)state;
	for (unsigned twin = 0; twin < N; twin++) {
		char text[N * 40], expected[200], *at = text;
		struct trial trial;

		for (unsigned i = 0; i < N; i++)
			at += write_alike(at, (i * 13 + 5) % N);
		assert_int_equal(begin(&trial, text), 0);
		assert_string_equal(trial.said, "");
		end(&trial);
		write_alike(at, (twin * 13 + 5) % N);
		assert_int_equal(begin(&trial, text), -EBADMSG);
		sprintf(expected,
			"33: error: the sequence stands in line %u already: each is good for one "
			"knock\n",
			twin + 1);
		assert_string_equal(trial.said, expected);
		end(&trial);
	}
}

/* However long they are: it is the second that is told. */
static void test_the_longest_twins(void **state)
{
	char text[1000] = "", *at = text;
	struct trial trial;

	(void)state;
	for (int twin = 0; twin < 2; twin++) {
		for (unsigned port = SEQUENCE_STEPS_MAX; port > 0; port--)
			at += sprintf(at, " %u", port);
		if (twin == 0) {
			memset(at, '\n', 255);
			at += 255;
		}
	}
	assert_int_equal(begin(&trial, text), -EBADMSG);
	assert_string_equal(trial.said,
			    "256: error: the sequence stands in line 1 already: each is "
			    "good for one knock\n");
	end(&trial);
}

/* It was heard all the same: the next one is in force, and its mark brings this one's. */
static void test_what_could_not_be_marked_is_used(void **state)
{
	struct trial trial;

	(void)state;
	assert_int_equal(begin(&trial, "9, 7, 8\n# mine\n7, 9, 8\r\n8, 7, 9\n1, 9, 8"), 0);
	disk_fails = true;
	assert_int_equal(use(&trial, "used"), -EIO);
	disk_fails = false;
	one_time_advance(trial.file);
	one_time_advance(trial.file);
	assert_int_equal(use(&trial, "used by me"), 0);
	check_text(&trial, "# used before, but could not be marked then: 9, 7, 8\n# mine\n"
			   "# used before, but could not be marked then: 7, 9, 8\r\n"
			   "# used by me: 8, 7, 9\n1, 9, 8");
	assert_int_equal(one_time_mark(trial.file, 2, "used"), -ESTALE);
	assert_int_equal(one_time_mark(trial.file, 3, "used"), 0);
	end(&trial);
}

/* What stands between those that are to be marked is somebody else's. */
static void test_a_file_that_was_changed_in_between(void **state)
{
	struct trial trial;

	(void)state;
	assert_int_equal(begin(&trial, "9, 7, 8\n7, 9, 8\n8, 7, 9\n"), 0);
	support_write(trial.path, "9, 7, 8\n8, 7, 9\n7, 9, 8\n", 24);
	assert_int_equal(one_time_mark(trial.file, 2, "used"), -ESTALE);
	support_write(trial.path, "7, 9, 8\n8, 7, 9\n", 16);
	assert_int_equal(one_time_mark(trial.file, 0, "used"), -ESTALE);
	support_write(trial.path, "9, 7, 8\n", 8);
	assert_int_equal(one_time_mark(trial.file, 2, "used"), -ESTALE);
	check_text(&trial, "9, 7, 8\n");
	end(&trial);
}

/* Read again between a use and its mark, which perhaps never comes. */
static void test_a_second_reading_passes_over_what_was_used(void **state)
{
	struct one_time *later = NULL, *last = NULL, *other = NULL;
	struct trial trial;
	char *detour, *path;

	(void)state;
	assert_int_equal(begin(&trial, "9, 7, 8\n7, 9, 8\n8, 7, 9\n"), 0);
	one_time_advance(trial.file);
	assert_true(asprintf(&detour, "%s/./sequences", trial.directory) > 0);
	assert_int_equal(one_time_open(detour, note, trial.said, &later), 0);
	one_time_inherit(later, trial.file);
	assert_int_equal(one_time_current(later), 1);
	one_time_advance(later);
	assert_int_equal(one_time_open(trial.path, note, trial.said, &last), 0);
	one_time_inherit(last, later);
	assert_int_equal(one_time_current(last), 2);
	assert_int_equal(one_time_mark(last, 2, "used"), 0);
	one_time_advance(last);
	assert_int_equal(open_again(&trial), 0);
	one_time_inherit(trial.file, last);
	assert_int_equal(one_time_current(trial.file), one_time_count(trial.file));
	path = support_path(trial.directory, "other");
	support_write(path, "9, 7, 8\n", 8);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(one_time_open(path, note, trial.said, &other), 0);
	one_time_inherit(other, last);
	assert_int_equal(one_time_current(other), 0);
	one_time_free(later);
	one_time_free(last);
	one_time_free(other);
	free(detour);
	free(path);
	end(&trial);
}

/* Then the directory is what has its number. */
static void test_without_standard_input(void **state)
{
	struct trial trial;
	int input = dup(STDIN_FILENO), r;

	(void)state;
	assert_int_equal(close(STDIN_FILENO), 0);
	r = begin(&trial, "9, 7, 8\n");
	end(&trial);
	assert_int_equal(dup2(input, STDIN_FILENO), STDIN_FILENO);
	close(input);
	assert_int_equal(r, 0);
}

static void test_the_sequence_of_a_door(void **state)
{
	struct trial trial;
	struct door door = {.name = "ssh"};
	struct sequence sequence;

	(void)state;
	assert_false(one_time_find_sequence(&door, &sequence));
	assert_int_equal(begin(&trial, "# used: 9, 7, 8\n7, 9, 8, 1\n"), 0);
	door.one_time_sequences = trial.path;
	assert_true(one_time_find_sequence(&door, &sequence));
	assert_int_equal(sequence.n_steps, 4);
	assert_int_equal(use(&trial, "used"), 0);
	assert_false(one_time_find_sequence(&door, &sequence));
	assert_int_equal(unlink(trial.path), 0);
	assert_false(one_time_find_sequence(&door, &sequence));
	door = (struct door){.knock.sequence = {2, {{7, IPPROTO_TCP}, {6, IPPROTO_TCP}}}};
	assert_true(one_time_find_sequence(&door, &sequence));
	assert_int_equal(sequence.n_steps, 2);
	end(&trial);
}

static void test_owners(void **state)
{
	struct trial trial;
	struct one_time *mine;

	(void)state;
	assert_int_equal(begin(&trial, "9, 7, 8\n"), 0);
	mine = one_time_ref(trial.file);
	one_time_free(trial.file);
	assert_int_equal(one_time_mark(mine, 0, "used"), 0);
	end(&trial);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_twin_is_found),
		cmocka_unit_test(test_the_longest_twins),
		cmocka_unit_test(test_lines_are_used_one_after_the_other),
		cmocka_unit_test(test_mode_is_kept_and_nothing_is_left_behind),
		cmocka_unit_test(test_whatever_is_in_the_way),
		cmocka_unit_test(test_a_file_of_the_greatest_size),
		cmocka_unit_test(test_what_was_added_meanwhile_stays),
		cmocka_unit_test(test_another_file_is_not_touched),
		cmocka_unit_test(test_unusable_is_unused),
		cmocka_unit_test(test_a_disk_that_fails),
		cmocka_unit_test(test_complaints),
		cmocka_unit_test(test_lines_that_are_too_long_or_binary),
		cmocka_unit_test(test_whose_file_it_is),
		cmocka_unit_test(test_owners_of_the_file),
		cmocka_unit_test(test_same_file_by_another_path),
		cmocka_unit_test(test_what_could_not_be_marked_is_used),
		cmocka_unit_test(test_a_file_that_was_changed_in_between),
		cmocka_unit_test(test_a_second_reading_passes_over_what_was_used),
		cmocka_unit_test(test_without_standard_input),
		cmocka_unit_test(test_the_sequence_of_a_door),
		cmocka_unit_test(test_owners),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
