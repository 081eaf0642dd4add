/* Journal files, made by systemd-journal-remote from entries in the journal's export format. */
#include "input/input.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmocka-all.h"
#include "core/other-log.h"
#include "core/record.h"
#include "input/entry.h"
#include "shortage.h"
#include "support-journal.h"
#include "support.h"

#define S  UINT64_C(1000000)
#define T0 UINT64_C(1700000000000000)

#define BOOT_1 "11111111111111111111111111111111"
#define BOOT_2 "22222222222222222222222222222222"

#define KERNEL "_TRANSPORT=kernel\nSYSLOG_FACILITY=0\n"

static const char *writer; /* or NULL */

/* What the library says when it is asked next for an entry, its time, and to match. */
static int next_error, time_error, match_error;

/* What it has been asked for, in this test. */
static unsigned n_times, n_matches;

int __real_sd_journal_next(sd_journal *journal);
int __wrap_sd_journal_next(sd_journal *journal);
int __real_sd_journal_get_realtime_usec(sd_journal *journal, uint64_t *ret);
int __wrap_sd_journal_get_realtime_usec(sd_journal *journal, uint64_t *ret);
int __real_sd_journal_add_match(sd_journal *journal, const void *data, size_t n);
int __wrap_sd_journal_add_match(sd_journal *journal, const void *data, size_t n);

int __wrap_sd_journal_next(sd_journal *journal)
{
	int r = next_error;

	next_error = 0;
	return r < 0 ? r : __real_sd_journal_next(journal);
}

int __wrap_sd_journal_get_realtime_usec(sd_journal *journal, uint64_t *ret)
{
	int r = time_error;

	time_error = 0;
	n_times++;
	return r < 0 ? r : __real_sd_journal_get_realtime_usec(journal, ret);
}

int __wrap_sd_journal_add_match(sd_journal *journal, const void *data, size_t n)
{
	int r = match_error;

	match_error = 0;
	n_matches++;
	return r < 0 ? r : __real_sd_journal_add_match(journal, data, n);
}

struct fixture {
	char *directory, *export, *journal;
	FILE *file; /* the export */
};

static int set_up(void **state)
{
	static struct fixture fixture;

	if (!writer)
		return 0;
	n_times = n_matches = 0;
	journal_threshold = 0;
	fixture.directory = support_directory();
	fixture.export = support_path(fixture.directory, "export");
	fixture.journal = support_path(fixture.directory, "x.journal");
	fixture.file = fopen(fixture.export, "we");
	*state = &fixture;
	return fixture.file ? 0 : -1;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	if (!fixture)
		return 0;
	if (fixture->file)
		fclose(fixture->file);
	free(fixture->export);
	free(fixture->journal);
	support_remove(fixture->directory);
	return 0;
}

static struct fixture *needed(void **state)
{
	if (!writer)
		skip();
	return *state;
}

/* An entry, stored at T0 and so many seconds. `fields` are lines. */
static void add(struct fixture *fixture, const char *boot, uint64_t s, const char *fields)
{
	fprintf(fixture->file,
		"__REALTIME_TIMESTAMP=%" PRIu64 "\n__MONOTONIC_TIMESTAMP=%" PRIu64
		"\n_BOOT_ID=%s\n%s\n",
		T0 + s * S, (1 + s) * S, boot, fields);
}

static void write_journal(struct fixture *fixture)
{
	char *const argv[] = {
		(char *)writer, (char *)"-o", fixture->journal, (char *)"--split-mode=none",
		(char *)"-",	NULL,
	};

	assert_int_equal(fclose(fixture->file), 0);
	fixture->file = NULL;
	assert_int_equal(support_run(argv, fixture->export, NULL), 0);
	assert_true(support_exists(fixture->journal));
}

static struct input *open_bounded(struct fixture *fixture, uint64_t since_us, uint64_t until_us)
{
	struct input *input = NULL;

	if (fixture->file)
		write_journal(fixture);
	assert_int_equal(input_new_journal(NULL, fixture->journal, since_us, until_us, &input), 0);
	return input;
}

/* The messages of all records, a blank between them. */
static void expect_messages(struct input *input, const char *expected)
{
	char messages[1024] = "";
	struct record record;
	size_t length = 0;
	int r;

	while ((r = input_next(input, &record)) == INPUT_RECORD) {
		assert_true(length + record.length + 2 < sizeof messages);
		if (length > 0)
			messages[length++] = ' ';
		memcpy(messages + length, record.text, record.length);
		length += record.length;
		messages[length] = '\0';
	}
	assert_int_equal(r, INPUT_DRAINED);
	assert_int_equal(input_next(input, &record), INPUT_DRAINED);
	assert_string_equal(messages, expected);
	input_free(input);
}

static void test_fields(void **state)
{
	struct fixture *fixture = needed(state);
	struct input *input;
	struct record record;

	add(fixture, BOOT_1, 5,
	    KERNEL "_SOURCE_MONOTONIC_TIMESTAMP=5900000\nMESSAGE=[knock] IN=\n");
	input = open_bounded(fixture, 0, UINT64_MAX);
	assert_int_equal(input_next(input, &record), INPUT_RECORD);
	assert_int_equal(record.length, strlen("[knock] IN="));
	assert_memory_equal(record.text, "[knock] IN=", record.length);
	assert_true(record.kernel_us == 5900000);
	assert_true(record.realtime_us == T0 + 5 * S);
	assert_true(record.monotonic_us == 0);
	assert_int_equal(input_next(input, &record), INPUT_DRAINED);
	input_free(input);
}

/* Only what journald itself has from the kernel, and the kernel from nobody else. */
static void test_belief(void **state)
{
	static const char *const not_believed[] = {
		"MESSAGE=x\n",
		"_TRANSPORT=kernel\nMESSAGE=x\n",
		"SYSLOG_FACILITY=0\nMESSAGE=x\n",
		"_TRANSPORT=kernel\nSYSLOG_FACILITY=1\nMESSAGE=x\n",
		"_TRANSPORT=kernel\nSYSLOG_FACILITY=3\nMESSAGE=x\n",
		"_TRANSPORT=kernel\nSYSLOG_FACILITY=00\nMESSAGE=x\n",
		"_TRANSPORT=kernel\nSYSLOG_FACILITY=0 \nMESSAGE=x\n",
		"_TRANSPORT=kernel\nSYSLOG_FACILITY=\nMESSAGE=x\n",
		"_TRANSPORT=syslog\nSYSLOG_FACILITY=0\nMESSAGE=x\n",
		"_TRANSPORT=stdout\nSYSLOG_FACILITY=0\nMESSAGE=x\n",
		"_TRANSPORT=journal\nSYSLOG_FACILITY=0\nMESSAGE=x\n",
		"_TRANSPORT=audit\nSYSLOG_FACILITY=0\nMESSAGE=x\n",
		"_TRANSPORT=driver\nSYSLOG_FACILITY=0\nMESSAGE=x\n",
		"_TRANSPORT=Kernel\nSYSLOG_FACILITY=0\nMESSAGE=x\n",
		"_TRANSPORT=kernel2\nSYSLOG_FACILITY=0\nMESSAGE=x\n",
		"TRANSPORT=kernel\nSYSLOG_FACILITY=0\nMESSAGE=x\n",
		"_TRANSPORT=syslog\nSYSLOG_FACILITY=0\nSYSLOG_IDENTIFIER=kernel\nMESSAGE=x\n",
	};
	struct fixture *fixture = needed(state);

	add(fixture, BOOT_1, 0, KERNEL "MESSAGE=first\n");
	for (size_t i = 0; i < sizeof(not_believed) / sizeof(not_believed[0]); i++)
		add(fixture, BOOT_1, 1 + i, not_believed[i]);
	add(fixture, BOOT_1, 100, KERNEL "PRIORITY=4\nSYSLOG_IDENTIFIER=kernel\nMESSAGE=last\n");
	expect_messages(open_bounded(fixture, 0, UINT64_MAX), "first last");
}

/* So many others that it pays to have the library pass over them: nothing is lost or read twice
 * where that begins, nor what comes before --since. */
static void test_among_many_others(void **state)
{
	static const char *const fields[] = {
		KERNEL "MESSAGE=probe\n",
		"_TRANSPORT=syslog\nMESSAGE=other\n",
		"_TRANSPORT=kernel\nSYSLOG_FACILITY=1\nMESSAGE=written\n",
	};
	struct fixture *fixture = needed(state);
	struct record record;
	struct input *input;

	for (uint64_t i = 0; i < 600; i++)
		add(fixture, BOOT_1, i, fields[i % 3]);
	input = open_bounded(fixture, T0 + 30 * S, T0 + 570 * S);
	for (uint64_t i = 30; i < 570; i += 3) {
		assert_int_equal(input_next(input, &record), INPUT_RECORD);
		assert_true(record.realtime_us == T0 + i * S);
	}
	assert_int_equal(input_next(input, &record), INPUT_DRAINED);
	assert_int_equal(n_matches, 1);
	assert_false(input_lost(input));
	input_free(input);
}

/* It does not pay before there are a hundred of them, nor up to a fourth of the records. */
static void test_among_few_others(void **state)
{
	enum { RECORDS = 408, OTHERS = RECORDS / 4 };
	static const struct {
		unsigned n;
		bool counts;
	} runs[] = {{100, false}, {RECORDS, true}, {OTHERS - 100, false},
		    {1, true},	  {1, false},	   {1, true}};
	struct fixture *fixture = needed(state);
	struct record record;
	struct input *input;
	uint64_t s = 0;

	for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++)
		for (unsigned n = 0; n < runs[i].n; n++)
			add(fixture, BOOT_1, s++,
			    runs[i].counts ? KERNEL "MESSAGE=probe\n" : "MESSAGE=other\n");
	input = open_bounded(fixture, 0, UINT64_MAX);
	for (unsigned n = 0; n < RECORDS + 1; n++)
		assert_int_equal(input_next(input, &record), INPUT_RECORD);
	assert_int_equal(n_matches, 0);
	match_error = -ENOMEM;
	assert_int_equal(input_next(input, &record), -ENOMEM);
	input_free(input);
}

/* Entries of other logs, each with whose it is, and never one of the kernel's; the same when the
 * library passes over those that are nobody's, which it does after some rounds. */
static void test_other_logs(void **state)
{
	static const char *const a[] = {"_UID=1", "TAG=x", "TAG=y", NULL};
	static const char *const b[] = {"TAG=x", NULL};
	static const char *const c[] = {"PRIORITY=4", "SYSLOG_FACILITY=0", NULL};
	const struct other_log logs[] = {
		{.matches = (char **)a}, {.matches = (char **)b}, {.matches = (char **)c}};
	static const struct {
		const char *fields, *logs;
	} cases[] = {
		{KERNEL "_UID=1\nTAG=x\nPRIORITY=4\n", "0"},
		{"_TRANSPORT=kernel\nSYSLOG_FACILITY=1\n_UID=1\nTAG=x\nPRIORITY=4\n", ""},
		{"_TRANSPORT=syslog\n_UID=1\nTAG=y\n", "1"},
		{"_UID=1\nTAG=x\n_TRANSPORT=syslog\n", "12"},
		{"_UID=1\n", ""},
		{"_UID=11\nTAG=y\n", ""},
		{"_UID=1\nTAG=\n", ""},
		{"_UID=1\nTAG=z\nTAG=y\n", "1"},
		{"XTAG=x\nTAG=xx\n", ""},
		{"SYSLOG_FACILITY=0\nPRIORITY=4\nTAG=x\n_UID=1\n", "123"},
		{"SYSLOG_FACILITY=0\nPRIORITY=4\n_SOURCE_MONOTONIC_TIMESTAMP=7\n", "3"},
	};
	enum { ROUNDS = 60, N_CASES = sizeof(cases) / sizeof(cases[0]) };
	struct fixture *fixture = needed(state);
	struct input *input;
	struct record record;

	for (size_t i = 0; i < ROUNDS * N_CASES; i++) {
		char fields[300];

		snprintf(fields, sizeof fields, "%sMESSAGE=%zu\n", cases[i % N_CASES].fields, i);
		add(fixture, BOOT_1, i, fields);
	}
	input = open_bounded(fixture, 0, UINT64_MAX);
	assert_int_equal(input_listen(input, logs, 3), 0);
	for (size_t i = 0; i < ROUNDS * N_CASES; i++) {
		for (const char *log = cases[i % N_CASES].logs; *log; log++) {
			char message[8];

			snprintf(message, sizeof message, "%zu", i);
			assert_int_equal(input_next(input, &record), INPUT_RECORD);
			assert_int_equal(record.log, *log - '0');
			assert_int_equal(record.length, strlen(message));
			assert_memory_equal(record.text, message, record.length);
			assert_true(record.kernel_us == (1 + i) * S);
		}
	}
	assert_int_equal(input_next(input, &record), INPUT_DRAINED);
	input_free(input);
}

/* They count from now on, though the library has been passing over them; and again it passes over
 * the rest. */
static void test_listening_among_many(void **state)
{
	static const char *const matches[] = {"TAG=x", NULL};
	const struct other_log log = {.matches = (char **)matches};
	struct fixture *fixture = needed(state);
	struct record record;
	struct input *input;
	uint64_t s = 0;

	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 200; i++)
			add(fixture, BOOT_1, s++, "MESSAGE=other\n");
		add(fixture, BOOT_1, s++, "TAG=x\nMESSAGE=x\n");
		add(fixture, BOOT_1, s++, KERNEL "MESSAGE=probe\n");
	}
	input = open_bounded(fixture, 0, UINT64_MAX);
	assert_int_equal(input_next(input, &record), INPUT_RECORD);
	assert_memory_equal(record.text, "probe", record.length);
	assert_int_equal(n_matches, 1);
	assert_int_equal(input_listen(input, &log, 1), 0);
	expect_messages(input, "x probe x probe");
	assert_int_equal(n_times, (101 + 1) + (1 + 2) + 2); /* of 606 */
}

/* Who listens to others from now on has seen the last of an entry, whoever else it belongs to. */
static void test_listening_to_others(void **state)
{
	static const char *const matches[] = {"TAG=x", NULL};
	const struct other_log logs[] = {{.matches = (char **)matches},
					 {.matches = (char **)matches}};
	struct fixture *fixture = needed(state);
	struct input *input;
	struct record record;

	add(fixture, BOOT_1, 0, "TAG=x\nMESSAGE=first\n");
	add(fixture, BOOT_1, 1, "TAG=x\nMESSAGE=second\n");
	add(fixture, BOOT_1, 2, KERNEL "MESSAGE=last\n");
	input = open_bounded(fixture, 0, UINT64_MAX);
	assert_int_equal(input_listen(input, logs, 2), 0);
	assert_int_equal(input_next(input, &record), INPUT_RECORD);
	assert_int_equal(input_listen(input, logs, 1), 0);
	assert_int_equal(input_next(input, &record), INPUT_RECORD);
	assert_memory_equal(record.text, "second", record.length);
	assert_int_equal(input_listen(input, NULL, 0), 0);
	expect_messages(input, "last");
}

/* printk's clock, or journald's where that is missing or no number. */
static void test_kernel_time(void **state)
{
	static const struct {
		const char *fields;
		uint64_t kernel_us;
	} cases[] = {
		{KERNEL "_SOURCE_MONOTONIC_TIMESTAMP=7\nMESSAGE=x\n", 7},
		{KERNEL "_SOURCE_MONOTONIC_TIMESTAMP=999999999999999999\nMESSAGE=x\n",
		 999999999999999999},
		{KERNEL "MESSAGE=x\n", 3 * S},
		{KERNEL "_SOURCE_MONOTONIC_TIMESTAMP=\nMESSAGE=x\n", 4 * S},
		{KERNEL "_SOURCE_MONOTONIC_TIMESTAMP=12x\nMESSAGE=x\n", 5 * S},
		{KERNEL "_SOURCE_MONOTONIC_TIMESTAMP=-1\nMESSAGE=x\n", 6 * S},
		{KERNEL "_SOURCE_MONOTONIC_TIMESTAMP=1234567890123456789\nMESSAGE=x\n", 7 * S},
	};
	struct fixture *fixture = needed(state);
	struct input *input;
	struct record record;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		add(fixture, BOOT_1, i, cases[i].fields);
	input = open_bounded(fixture, 0, UINT64_MAX);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(input_next(input, &record), INPUT_RECORD);
		if (record.kernel_us != cases[i].kernel_us)
			fail_msg("case %zu: %" PRIu64, i, record.kernel_us);
	}
	input_free(input);
}

/* Whatever is in a message, and entries that have none. */
static void test_messages(void **state)
{
	static const char binary[] = "a\0b\nc\xff";
	const uint8_t binary_length[8] = {sizeof binary - 1};
	struct fixture *fixture = needed(state);
	char *long_message = malloc(1 << 20);
	struct input *input;
	struct record record;

	assert_non_null(long_message);
	memset(long_message, 'x', (1 << 20) - 1);
	long_message[(1 << 20) - 1] = '\0';
	add(fixture, BOOT_1, 0, KERNEL);
	add(fixture, BOOT_1, 1, KERNEL "MESSAGE=\n");
	fprintf(fixture->file,
		"__REALTIME_TIMESTAMP=%" PRIu64 "\n__MONOTONIC_TIMESTAMP=5\n_BOOT_ID=" BOOT_1
		"\n" KERNEL "MESSAGE=[knock] %s\n\n",
		T0 + 2 * S, long_message);
	fprintf(fixture->file,
		"__REALTIME_TIMESTAMP=%" PRIu64 "\n__MONOTONIC_TIMESTAMP=6\n_BOOT_ID=" BOOT_1
		"\n" KERNEL "MESSAGE\n",
		T0 + 3 * S);
	fwrite(binary_length, 1, sizeof binary_length, fixture->file);
	fwrite(binary, 1, sizeof binary - 1, fixture->file);
	fputs("\n\n", fixture->file);
	add(fixture, BOOT_1, 4, KERNEL "MESSAGE=last\n");
	free(long_message);

	input = open_bounded(fixture, 0, UINT64_MAX);
	assert_int_equal(journal_threshold, ENTRY_TEXT_MAX);
	assert_int_equal(input_next(input, &record), INPUT_RECORD);
	assert_int_equal(record.length, 0);
	assert_int_equal(input_next(input, &record), INPUT_RECORD);
	assert_in_range(record.length, 4000, 1 << 21);
	assert_memory_equal(record.text, "[knock] xxx", 11);
	assert_int_equal(input_next(input, &record), INPUT_RECORD);
	assert_int_equal(record.length, sizeof binary - 1);
	assert_memory_equal(record.text, binary, sizeof binary - 1);
	expect_messages(input, "last");
}

/* An entry without a time or a field is lost; a disk without an answer is an error, and so is
 * whatever keeps from the next entry. */
static void test_what_cannot_be_read(void **state)
{
	int *const errors[] = {&time_error, &journal_field_error};
	struct fixture *fixture = needed(state);
	struct record record;
	struct input *input;

	add(fixture, BOOT_1, 0, KERNEL "MESSAGE=a\n");
	add(fixture, BOOT_1, 1, KERNEL "MESSAGE=b\n");
	for (size_t i = 0; i < 2; i++) {
		input = open_bounded(fixture, 0, UINT64_MAX);
		*errors[i] = -EBADMSG;
		assert_int_equal(input_next(input, &record), INPUT_RECORD);
		assert_memory_equal(record.text, "b", record.length);
		assert_true(input_lost(input));
		input_free(input);
		input = open_bounded(fixture, 0, UINT64_MAX);
		*errors[i] = -EIO;
		assert_int_equal(input_next(input, &record), -EIO);
		input_free(input);
	}
	input = open_bounded(fixture, 0, UINT64_MAX);
	next_error = -EBADMSG;
	assert_int_equal(input_next(input, &record), -EBADMSG);
	input_free(input);
}

static void test_boots(void **state)
{
	struct fixture *fixture = needed(state);
	struct record records[4];
	struct input *input;

	add(fixture, BOOT_1, 0, KERNEL "MESSAGE=a\n");
	add(fixture, BOOT_1, 1, KERNEL "MESSAGE=b\n");
	add(fixture, BOOT_2, 2, KERNEL "MESSAGE=c\n");
	add(fixture, BOOT_2, 3, KERNEL "MESSAGE=d\n");
	input = open_bounded(fixture, 0, UINT64_MAX);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(input_next(input, &records[i]), INPUT_RECORD);
	assert_int_equal(records[0].boot, records[1].boot);
	assert_int_not_equal(records[1].boot, records[2].boot);
	assert_int_equal(records[2].boot, records[3].boot);
	input_free(input);
}

static void test_bounds(void **state)
{
	static const struct {
		uint64_t since_us, until_us;
		const char *messages;
	} cases[] = {
		{0, UINT64_MAX, "t0 t1 t2 t3"},
		{T0, T0 + 4 * S, "t0 t1 t2 t3"},
		{T0 + 1, UINT64_MAX, "t1 t2 t3"},
		{T0 + S, UINT64_MAX, "t1 t2 t3"},
		{0, T0 + 2 * S, "t0 t1"},
		{0, T0 + 2 * S + 1, "t0 t1 t2"},
		{T0 + S, T0 + 3 * S, "t1 t2"},
		{T0 + S + 1, T0 + 2 * S, ""},
		{T0 + 100 * S, UINT64_MAX, ""},
		{0, T0, ""},
		{1, T0 + 1, "t0"},
	};
	struct fixture *fixture = needed(state);

	for (uint64_t i = 0; i < 4; i++) {
		char fields[128];

		snprintf(fields, sizeof fields, KERNEL "MESSAGE=t%" PRIu64 "\n", i);
		add(fixture, i < 2 ? BOOT_1 : BOOT_2, i, fields);
	}
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect_messages(open_bounded(fixture, cases[i].since_us, cases[i].until_us),
				cases[i].messages);
}

static void test_directory(void **state)
{
	struct fixture *fixture = needed(state);
	struct input *input = NULL;

	add(fixture, BOOT_1, 0, KERNEL "MESSAGE=x\n");
	write_journal(fixture);
	assert_int_equal(input_new_journal(fixture->directory, NULL, 0, UINT64_MAX, &input), 0);
	expect_messages(input, "x");
}

static struct input *open_this_machine(bool sees_files)
{
	struct input *input = NULL;

	assert_int_equal(input_new_journal(NULL, NULL, 0, UINT64_MAX, &input), 0);
	assert_true(input_sees_files(input) == sees_files);
	return input;
}

/* This machine's own journal, in memory and on disk, without users' files. Changes what the process
 * sees of the machine. */
static void test_this_machine(void **state)
{
	struct fixture *fixture = needed(state);
	char *memory, *disk, *user, *content;
	size_t size;

	if (!journal_private_homes(&memory, &disk))
		skip();
	expect_messages(open_this_machine(false), "");
	add(fixture, BOOT_1, 0, KERNEL "MESSAGE=x\n");
	free(fixture->journal);
	fixture->journal = memory;
	write_journal(fixture);
	expect_messages(open_this_machine(true), "x");

	content = support_read(memory, &size);
	support_write(disk, content, size);
	free(content);
	assert_int_equal(unlink(memory), 0);
	expect_messages(open_this_machine(true), "x");

	user = journal_of_user(disk);
	assert_int_equal(rename(disk, user), 0);
	expect_messages(open_this_machine(false), "");
	free(user);
	free(disk);
}

static void test_no_journal(void **state)
{
	struct fixture *fixture = needed(state);
	char *text = support_path(fixture->directory, "text");
	struct input *input = NULL;

	assert_int_equal(input_new_journal(NULL, fixture->journal, 0, UINT64_MAX, &input), -ENOENT);
	assert_int_equal(input_new_journal(fixture->journal, NULL, 0, UINT64_MAX, &input), -ENOENT);
	support_write(text, "[knock] IN=eth0\n", 16);
	assert_true(input_new_journal(NULL, text, 0, UINT64_MAX, &input) < 0);
	support_write(text, "", 0);
	assert_true(input_new_journal(NULL, text, 0, UINT64_MAX, &input) < 0);
	assert_null(input);
	assert_int_equal(input_new_journal(fixture->directory, NULL, 0, UINT64_MAX, &input), 0);
	expect_messages(input, "");
	free(text);
}

static void test_no_memory(void **state)
{
	struct fixture *fixture = needed(state);
	struct input *input = NULL;

	shortage_left = 0;
	assert_int_equal(input_new_journal(fixture->directory, NULL, 0, UINT64_MAX, &input),
			 -ENOMEM);
	shortage_left = SIZE_MAX;
	assert_null(input);
}

/* When the clock is set back, what follows may be too old again, for all logs that it belongs to.
 */
static void test_since_and_a_clock_set_back(void **state)
{
	static const char *const matches[] = {"_TRANSPORT=syslog", NULL};
	static const struct other_log logs[] = {{.matches = (char **)matches},
						{.matches = (char **)matches}};
	static const unsigned times[] = {5, 6, 7, 8, 9, 3, 10};
	struct fixture *fixture = needed(state);
	struct input *input;

	for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
		char fields[128];

		snprintf(fields, sizeof fields, "%sMESSAGE=t%u\n",
			 times[i] == 3 ? "_TRANSPORT=syslog\n" : KERNEL, times[i]);
		add(fixture, i < 5 ? BOOT_1 : BOOT_2, times[i], fields);
	}
	input = open_bounded(fixture, T0 + 4 * S, UINT64_MAX);
	assert_int_equal(input_listen(input, logs, 2), 0);
	expect_messages(input, "t5 t6 t7 t8 t9 t10");
}

enum { N_ENTRIES = 20 };

static void add_entries(struct fixture *fixture, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		char fields[128];

		snprintf(fields, sizeof fields,
			 KERNEL "_SOURCE_MONOTONIC_TIMESTAMP=%" PRIu64 "\nMESSAGE=m%" PRIu64 "\n",
			 i * S, i);
		add(fixture, i < n / 2 ? BOOT_1 : BOOT_2, i, fields);
	}
	write_journal(fixture);
}

static void add_many(struct fixture *fixture)
{
	add_entries(fixture, N_ENTRIES);
}

/* Reads what there is and looks at every byte of it. Returns the number of records. Where the file
 * can be opened and some are missing, that is said if `is_told`. */
static size_t read_damaged(const struct fixture *fixture, uint64_t since_us, bool is_told)
{
	struct input *input = NULL;
	unsigned sum = 0;
	struct record record;
	size_t n = 0;

	alarm(30); /* it may hang, too */
	if (input_new_journal(NULL, fixture->journal, since_us, UINT64_MAX, &input) == 0) {
		for (; n <= 10 * N_ENTRIES && input_next(input, &record) == INPUT_RECORD; n++)
			for (size_t i = 0; i < record.length; i++)
				sum += (unsigned char)record.text[i];
		if (is_told)
			assert_true(input_lost(input) == (n < N_ENTRIES));
		input_free(input);
	}
	alarm(0);
	assert_true(sum < UINT32_MAX);
	return n;
}

static void test_truncated(void **state)
{
	struct fixture *fixture = needed(state);
	size_t length = 0, used, n_last = N_ENTRIES;
	char *data;

	add_many(fixture);
	assert_int_equal(read_damaged(fixture, 0, true), N_ENTRIES);
	data = support_read(fixture->journal, &length);
	for (used = length; used > 0 && data[used - 1] == '\0';)
		used--;
	free(data);
	for (size_t i = 0; i <= 200; i++) {
		size_t n;

		assert_int_equal(
			truncate(fixture->journal, (off_t)(i < 100 ? used - i * (used / 5000)
								   : (200 - i) * (used / 100))),
			0);
		n = read_damaged(fixture, 0, true);
		assert_true(n <= n_last);
		n_last = n;
		read_damaged(fixture, T0 + 7 * S, false);
	}
	assert_int_equal(n_last, 0);
}

/* Read in part, a file is looked at entry by entry: more of them than one read brings. The library
 * is not asked for those that are too old. */
static void test_whole_in_part(void **state)
{
	struct fixture *fixture = needed(state);
	struct input *input = NULL;
	struct record record;
	size_t n = 0;

	add_entries(fixture, 5000);
	assert_int_equal(input_new_journal(NULL, fixture->journal, T0 + 7 * S, UINT64_MAX, &input),
			 0);
	while (input_next(input, &record) == INPUT_RECORD)
		n++;
	assert_int_equal(n, 5000 - 7);
	assert_int_equal(n_times, n);
	assert_false(input_lost(input));
	input_free(input);
}

/* One byte that is not zero turned into another, all through the file. */
static void test_corrupted(void **state)
{
	struct fixture *fixture = needed(state);
	size_t length = 0, n_damaged = 0;
	char *data;
	int fd;

	add_many(fixture);
	data = support_read(fixture->journal, &length);
	fd = open(fixture->journal, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	for (size_t i = 0; i < length; i++) {
		char damaged = (char)~data[i];

		if (data[i] == '\0')
			continue;
		assert_int_equal(pwrite(fd, &damaged, 1, (off_t)i), 1);
		if (read_damaged(fixture, n_damaged % 2 ? T0 + 7 * S : 0, false) > N_ENTRIES)
			fail_msg("more records than there were, with byte %zu turned", i);
		assert_int_equal(pwrite(fd, &data[i], 1, (off_t)i), 1);
		n_damaged++;
	}
	assert_true(n_damaged > 1000);
	assert_int_equal(read_damaged(fixture, 0, true), N_ENTRIES);
	close(fd);
	free(data);
}

static void write_u64(const struct fixture *fixture, uint64_t offset, uint64_t value)
{
	int fd = open(fixture->journal, O_WRONLY | O_CLOEXEC);

	value = htole64(value);
	assert_int_equal(pwrite(fd, &value, sizeof value, (off_t)offset), sizeof value);
	close(fd);
}

static uint64_t read_u64(const struct fixture *fixture, uint64_t offset)
{
	uint64_t value = 0;
	int fd = open(fixture->journal, O_RDONLY | O_CLOEXEC);

	assert_int_equal(pread(fd, &value, sizeof value, (off_t)offset), sizeof value);
	close(fd);
	return le64toh(value);
}

/* Whatever leads from one entry to the next and leads nowhere: some libraries take that for the end
 * of the file. */
static void test_led_nowhere(void **state)
{
	enum { ENTRY_ARRAY_OFFSET = 176, NEXT_ARRAY_OFFSET = 16 };
	struct fixture *fixture = needed(state);
	uint64_t places[5], array;

	add_many(fixture);
	array = read_u64(fixture, ENTRY_ARRAY_OFFSET);
	places[0] = ENTRY_ARRAY_OFFSET;
	places[1] = array; /* what kind of object it is */
	places[2] = array + NEXT_ARRAY_OFFSET;
	places[3] = array + NEXT_ARRAY_OFFSET + 8;	    /* the first entry */
	places[4] = (uint32_t)read_u64(fixture, places[3]); /* what kind of object that is */
	for (size_t i = 0; i < 5; i++) {
		uint64_t was = read_u64(fixture, places[i]);

		write_u64(fixture, places[i], array + 8);
		assert_true(read_damaged(fixture, 0, true) < N_ENTRIES);
		write_u64(fixture, places[i], was);
	}
	assert_int_equal(read_damaged(fixture, 0, true), N_ENTRIES);
}

/* What sd-journal says of one entry ends nothing; memory and disks are another matter. */
static void test_whose_an_error_is(void **state)
{
	static const int lost[] = {ENOENT, EBADMSG, E2BIG, ENOBUFS, EADDRNOTAVAIL, EPROTONOSUPPORT},
			 others[] = {0, ENOMEM, EIO, ESTALE, EACCES, EMFILE};

	(void)state;
	for (size_t i = 0; i < sizeof lost / sizeof lost[0]; i++)
		assert_true(entry_is_lost(-lost[i]));
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		assert_false(entry_is_lost(-others[i]));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_fields),
		TEST(test_belief),
		TEST(test_among_many_others),
		TEST(test_among_few_others),
		TEST(test_other_logs),
		TEST(test_listening_to_others),
		TEST(test_listening_among_many),
		TEST(test_kernel_time),
		TEST(test_messages),
		TEST(test_what_cannot_be_read),
		TEST(test_boots),
		TEST(test_bounds),
		TEST(test_since_and_a_clock_set_back),
		TEST(test_directory),
		TEST(test_no_journal),
		TEST(test_no_memory),
		TEST(test_truncated),
		TEST(test_whole_in_part),
		TEST(test_corrupted),
		TEST(test_led_nowhere),
		cmocka_unit_test(test_whose_an_error_is),
		TEST(test_this_machine),
	};

	writer = journal_writer();
	return cmocka_run_group_tests_name("journal", tests, NULL, NULL);
}
