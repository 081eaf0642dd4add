/* The journal as it grows, in a directory of its own: systemd-journal-remote writes in journald's
 * place, and the test moves its files about as journald and others do. */
#include "input/input.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <systemd/sd-journal.h>
#include <time.h>
#include <unistd.h>

#include "cmocka-all.h"
#include "core/other-log.h"
#include "core/record.h"
#include "input/entry.h"
#include "shortage.h"
#include "support-journal.h"
#include "support.h"

#define S  UINT64_C(1000000)
#define T0 UINT64_C(4000000000000000) /* later than the clock of any test run */

#define BOOT_1 "11111111111111111111111111111111"
#define BOOT_2 "22222222222222222222222222222222"

#define KERNEL "_TRANSPORT=kernel\nSYSLOG_FACILITY=0\n_SOURCE_MONOTONIC_TIMESTAMP=1\n"
#define MISSED "MESSAGE_ID=e9bf28e6e834481bb6f48f548ad13606\n"

static const char *writer; /* or NULL */

/* By how much this program's clock is ahead, and the file that somebody deletes at the moment when
 * the library is about to look what has become of the files. */
static time_t ahead_s;
static const char *deleted_then;

/* How often the library was asked to go back. */
static unsigned n_back;

/* A page of a file turns out to be missing, once. */
static bool page_is_missing;

int __real_clock_gettime(clockid_t clock, struct timespec *ret);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret);
bool __real_sigbus_happened(void);
bool __wrap_sigbus_happened(void);
int __real_sd_journal_previous(sd_journal *journal);
int __wrap_sd_journal_previous(sd_journal *journal);
int __real_sd_journal_process(sd_journal *journal);
int __wrap_sd_journal_process(sd_journal *journal);

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret)
{
	int r = __real_clock_gettime(clock, ret);

	ret->tv_sec += ahead_s;
	return r;
}

bool __wrap_sigbus_happened(void)
{
	bool happened = __real_sigbus_happened() || page_is_missing;

	page_is_missing = false;
	return happened;
}

int __wrap_sd_journal_previous(sd_journal *journal)
{
	n_back++;
	return __real_sd_journal_previous(journal);
}

int __wrap_sd_journal_process(sd_journal *journal)
{
	if (deleted_then)
		unlink(deleted_then);
	return __real_sd_journal_process(journal);
}

struct fixture {
	char *directory, *journal;
	struct input *input;
	FILE *pipe; /* to a writer that runs */
	pid_t pid;
};

static int set_up(void **state)
{
	static struct fixture fixture;

	if (!writer)
		return 0;
	memset(&fixture, 0, sizeof fixture);
	ahead_s = 0;
	deleted_then = NULL;
	journal_threshold = 0;
	page_is_missing = false;
	fixture.directory = support_directory();
	fixture.journal = support_path(fixture.directory, "system.journal");
	*state = &fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	if (!fixture)
		return 0;
	input_free(fixture->input);
	if (fixture->pipe)
		fclose(fixture->pipe); /* which ends the writer */
	if (fixture->pid > 0)
		waitpid(fixture->pid, NULL, 0);
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

/* Has a writer append to that file until stop_writer(). One that is there is renamed, and a new one
 * takes its place. */
static void start_writer(struct fixture *fixture)
{
	char *const argv[] = {
		(char *)writer, (char *)"-o", fixture->journal, (char *)"--split-mode=none",
		(char *)"-",	NULL,
	};
	posix_spawn_file_actions_t actions;
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
	posix_spawn_file_actions_adddup2(&actions, fds[0], STDIN_FILENO);
	posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	assert_int_equal(posix_spawn(&fixture->pid, argv[0], &actions, NULL, argv, environ), 0);
	posix_spawn_file_actions_destroy(&actions);
	close(fds[0]);
	fixture->pipe = fdopen(fds[1], "we");
	assert_non_null(fixture->pipe);
}

static void stop_writer(struct fixture *fixture)
{
	if (!fixture->pipe)
		return;
	fclose(fixture->pipe);
	fixture->pipe = NULL;
	assert_int_equal(waitpid(fixture->pid, NULL, 0), fixture->pid);
	fixture->pid = 0;
}

static void add_at(struct fixture *fixture, const char *boot, uint64_t realtime_us,
		   uint64_t monotonic_us, const char *fields)
{
	if (!fixture->pipe)
		start_writer(fixture);
	fprintf(fixture->pipe,
		"__REALTIME_TIMESTAMP=%" PRIu64 "\n__MONOTONIC_TIMESTAMP=%" PRIu64
		"\n_BOOT_ID=%s\n%s\n",
		realtime_us, monotonic_us, boot, fields);
	assert_int_equal(fflush(fixture->pipe), 0);
}

/* An entry, stored that many seconds after T0 and the boot. */
static void add_fields(struct fixture *fixture, const char *boot, uint64_t s, const char *fields)
{
	add_at(fixture, boot, T0 + s * S, s * S, fields);
}

static void add(struct fixture *fixture, uint64_t s)
{
	char fields[128];

	snprintf(fields, sizeof fields, KERNEL "MESSAGE=m%" PRIu64 "\n", s);
	add_fields(fixture, BOOT_1, s, fields);
}

/* What a test begins with: all of it is on file when this returns. */
static void add_past(struct fixture *fixture, uint64_t first_s, uint64_t last_s)
{
	for (uint64_t s = first_s; s <= last_s; s++)
		add(fixture, s);
	stop_writer(fixture);
}

static void open_now(struct fixture *fixture)
{
	assert_int_equal(input_new_live(&(struct input_live){.directory = fixture->directory},
					&fixture->input),
			 0);
}

static int resume(struct fixture *fixture, const struct input_position *place, uint64_t since_us,
		  size_t n_max)
{
	return input_new_live(
		&(struct input_live){
			.directory = fixture->directory,
			.place = place,
			.since_us = since_us,
			.n_max = n_max,
		},
		&fixture->input);
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* What comes, until it is as long as what is expected, with a blank between messages and a minus
 * before past ones. */
static void expect(struct fixture *fixture, const char *expected)
{
	double end = seconds() + 20;
	char messages[1024] = "";
	size_t length = 0;

	do {
		struct record record;
		int r;

		assert_int_equal(input_follow(fixture->input), 0);
		while ((r = input_next(fixture->input, &record)) == INPUT_RECORD)
			length += (size_t)snprintf(messages + length, sizeof messages - length,
						   "%s%s%.*s", length > 0 ? " " : "",
						   record.past ? "-" : "", (int)record.length,
						   record.text);
		assert_int_equal(r, INPUT_DRAINED);
	} while (length < strlen(expected) && seconds() < end);
	assert_string_equal(messages, expected);
}

/* Past the first entry, and having read the second. */
static void follow(struct fixture *fixture)
{
	add_past(fixture, 1, 1);
	open_now(fixture);
	add(fixture, 2);
	expect(fixture, "m2");
}

static struct input_position place_of(struct fixture *fixture)
{
	struct input_position place;

	assert_true(input_position(fixture->input, &place));
	return place;
}

static struct input_position place_at(uint64_t s)
{
	return (struct input_position){.boot = BOOT_1, .monotonic_us = s * S, .cursor = "none"};
}

static void move_away(struct fixture *fixture, const char *name)
{
	char *path = support_path(fixture->directory, name);

	assert_int_equal(rename(fixture->journal, path), 0);
	free(path);
}

static void test_from_now_on(void **state)
{
	struct fixture *fixture = needed(state);
	struct input_position place;

	add_past(fixture, 1, 2);
	open_now(fixture);
	expect(fixture, "");
	add(fixture, 3);
	expect(fixture, "m3");
	add(fixture, 4);
	add(fixture, 5);
	expect(fixture, "m4 m5");
	expect(fixture, "");
	place = place_of(fixture);
	assert_string_equal(place.boot, BOOT_1);
	assert_true(place.monotonic_us == 5 * S);
}

/* Looked for at every moment while they are being added. */
static void test_each_entry_is_seen(void **state)
{
	struct fixture *fixture = needed(state);

	add_past(fixture, 1, 1);
	open_now(fixture);
	for (uint64_t s = 2; s <= 2000; s++) {
		char expected[16];

		snprintf(expected, sizeof expected, "m%" PRIu64, s);
		add(fixture, s);
		expect(fixture, expected);
	}
}

/* Where the file counts the entries of a field: 0 while journald is about to link the first one. */
static off_t find_count(const char *content, size_t size, const char *field)
{
	enum { FLAGS_OFFSET = 12, FLAG_COMPACT = 1 << 4, COUNT_OFFSET = 56 };
	const off_t head = content[FLAGS_OFFSET] & FLAG_COMPACT ? 72 : 64;
	const char *payload = memmem(content, size, field, strlen(field));

	assert_non_null(payload);
	return payload - content - head + COUNT_OFFSET;
}

/* What a reader finds that looks while journald adds an entry: it is counted already, and the
 * library does not see its new fields yet. */
static void test_an_entry_in_the_making(void **state)
{
	static const struct {
		const char *field, *without; /* what there is if that one is damaged for good */
	} cases[] = {
		{"_TRANSPORT=kernel", ""},
		{"SYSLOG_FACILITY=0", ""},
		{"_SOURCE_MONOTONIC_TIMESTAMP=7", "x m3"},
		{"MESSAGE=x", "m3"},
	};
	enum outcome { ALONE, WITH_ANOTHER, DAMAGED, REOPENED, N_OUTCOMES };
	struct fixture *fixture = needed(state);
	struct input_position place = place_at(0);
	char *before, *after;
	size_t size;

	open_now(fixture);
	add_fields(fixture, BOOT_1, 1, "_TRANSPORT=driver\nMESSAGE=other\n");
	add_fields(fixture, BOOT_1, 2,
		   "_TRANSPORT=kernel\nSYSLOG_FACILITY=0\n"
		   "_SOURCE_MONOTONIC_TIMESTAMP=7\nMESSAGE=x\n");
	expect(fixture, "x");
	before = support_read(fixture->journal, &size);
	add(fixture, 3);
	expect(fixture, "m3");
	stop_writer(fixture);
	after = support_read(fixture->journal, &size);

	for (size_t i = 0; i < N_OUTCOMES * sizeof cases / sizeof cases[0]; i++) {
		static const uint64_t none = 0;
		const char *field = cases[i / N_OUTCOMES].field;
		const off_t count = find_count(before, size, field);
		const enum outcome outcome = i % N_OUTCOMES;
		struct input_position stands;
		struct record record;
		int fd;

		fixture->input = input_free(fixture->input);
		support_write(fixture->journal, before, size);
		fd = open(fixture->journal, O_WRONLY | O_CLOEXEC);
		assert_true(fd >= 0);
		assert_int_equal(pwrite(fd, &none, sizeof none, count), sizeof none);
		assert_int_equal(resume(fixture, &place, 0, 100), 0);
		n_back = 0;
		for (int look = 0; look < 3; look++)
			expect(fixture, "");
		assert_int_equal(input_counts(fixture->input)->kernel, 0);
		assert_false(input_position(fixture->input, &stands) && stands.monotonic_us != S);
		page_is_missing = outcome == REOPENED;
		assert_int_equal(input_follow(fixture->input), outcome == REOPENED ? -EIO : 0);
		assert_int_equal(
			pwrite(fd, outcome == WITH_ANOTHER || outcome == DAMAGED ? after : before,
			       size, 0),
			size);
		if (outcome == DAMAGED) {
			assert_int_equal(pwrite(fd, &none, sizeof none, count), sizeof none);
			expect(fixture, cases[i / N_OUTCOMES].without);
		} else {
			assert_int_equal(input_follow(fixture->input), 0);
			assert_int_equal(input_next(fixture->input, &record), INPUT_RECORD);
			assert_memory_equal(record.text, "x", record.length);
			assert_true(record.kernel_us == 7);
			assert_int_equal(input_counts(fixture->input)->kernel, 1);
			expect(fixture, outcome == WITH_ANOTHER ? "m3" : "");
		}
		assert_int_equal(n_back, outcome == DAMAGED);
		close(fd);
	}
	free(before);
	free(after);
}

static void test_no_journal_yet(void **state)
{
	struct fixture *fixture = needed(state);
	struct input_position place;

	open_now(fixture);
	assert_int_equal(journal_threshold, ENTRY_TEXT_MAX);
	assert_false(input_sees_files(fixture->input));
	assert_false(input_position(fixture->input, &place));
	expect(fixture, "");
	add(fixture, 1);
	expect(fixture, "m1");
	add(fixture, 2);
	expect(fixture, "m2");
}

static void test_no_memory(void **state)
{
	struct fixture *fixture = needed(state);
	const struct input_live options = {.directory = fixture->directory};

	for (size_t i = 0; i < 3; i++) {
		shortage_left = i;
		assert_int_equal(input_new_live(&options, &fixture->input), -ENOMEM);
		shortage_left = SIZE_MAX;
	}
}

/* A file that comes later may bring what was stored long ago. */
static void test_old_entries_of_a_new_file(void **state)
{
	struct fixture *fixture = needed(state);

	open_now(fixture);
	add_at(fixture, BOOT_1, S, S, KERNEL "MESSAGE=old\n");
	add(fixture, 2);
	expect(fixture, "m2");
}

/* Its name is there before its beginning is. */
static void test_a_file_in_the_making(void **state)
{
	struct fixture *fixture = needed(state);
	char *made = support_path(fixture->directory, "made"), *content;
	size_t size;

	add_past(fixture, 1, 2);
	move_away(fixture, "made");
	content = support_read(made, &size);
	support_write(fixture->journal, "", 0);
	open_now(fixture);
	expect(fixture, "");
	support_write(fixture->journal, content, size);
	expect(fixture, "m1 m2");
	free(content);
	free(made);
}

static void test_rotation(void **state)
{
	struct fixture *fixture = needed(state);

	follow(fixture);
	move_away(fixture, "system@1.journal");
	expect(fixture, "");
	add(fixture, 3); /* to the renamed one */
	expect(fixture, "m3");
	add(fixture, 4);
	stop_writer(fixture);
	add(fixture, 5);
	expect(fixture, "m4 m5");
	assert_true(input_counts(fixture->input)->gaps == 0);
}

/* What an earlier boot has left in the file is not read for the sake of the new one. */
static void test_rotation_after_a_boot(void **state)
{
	struct fixture *fixture = needed(state);

	add_fields(fixture, BOOT_1, 1, KERNEL "MESSAGE=other\n");
	add_fields(fixture, BOOT_2, 2, KERNEL "MESSAGE=a\n");
	stop_writer(fixture);
	open_now(fixture);
	add_fields(fixture, BOOT_2, 3, KERNEL "MESSAGE=b\n");
	expect(fixture, "b");
}

/* Nor is it when the journal is reopened and the newest entry was not finished. */
static void test_an_unfinished_entry_after_a_boot(void **state)
{
	struct fixture *fixture = needed(state);
	struct input_position place = {.boot = BOOT_2, .monotonic_us = S, .cursor = "none"};

	add_fields(fixture, BOOT_1, 1, KERNEL "MESSAGE=other\n");
	add_fields(fixture, BOOT_2, 2, "_TRANSPORT=kernel\n");
	stop_writer(fixture);
	assert_int_equal(resume(fixture, &place, 0, 100), 0);
	expect(fixture, "");
	page_is_missing = true;
	assert_int_equal(input_follow(fixture->input), -EIO);
	expect(fixture, "");
	add_fields(fixture, BOOT_2, 3, KERNEL "MESSAGE=a\n");
	expect(fixture, "a");
}

/* Several times between two looks. */
static void test_rotations(void **state)
{
	struct fixture *fixture = needed(state);

	add_past(fixture, 1, 1);
	open_now(fixture);
	for (uint64_t s = 2; s <= 6; s++)
		add_past(fixture, s, s);
	expect(fixture, "m2 m3 m4 m5 m6");
	add_past(fixture, 7, 7);
	expect(fixture, "m7");
}

/* The file is deleted, and journald, who does not know yet, goes on writing to it. */
static void test_deletion(void **state)
{
	struct fixture *fixture = needed(state);

	follow(fixture);
	assert_int_equal(unlink(fixture->journal), 0);
	expect(fixture, "");
	add(fixture, 3);
	expect(fixture, "m3");
	add(fixture, 4);
	stop_writer(fixture);
	add(fixture, 5);
	expect(fixture, "m4 m5");
	assert_true(input_counts(fixture->input)->gaps == 0);
}

/* All of it between two looks: what was written to the deleted file is not lost. */
static void test_deletion_unseen(void **state)
{
	struct fixture *fixture = needed(state);

	follow(fixture);
	add(fixture, 3);
	stop_writer(fixture);
	assert_int_equal(unlink(fixture->journal), 0);
	add_past(fixture, 4, 4);
	expect(fixture, "m3 m4");
}

/* Just after a look at the name. */
static void test_deletion_meanwhile(void **state)
{
	struct fixture *fixture = needed(state);

	follow(fixture);
	deleted_then = fixture->journal;
	for (unsigned i = 0; i < 10; i++)
		expect(fixture, "");
	unlink(fixture->journal);
	add(fixture, 3);
	expect(fixture, "m3");
}

static size_t count_deleted_files(void)
{
	struct dirent *entry;
	DIR *directory = opendir("/proc/self/fd");
	size_t n = 0;

	assert_non_null(directory);
	while ((entry = readdir(directory))) {
		char target[4096] = "";

		if (readlinkat(dirfd(directory), entry->d_name, target, sizeof target - 1) > 0)
			n += strstr(target, ".journal (deleted)") != NULL;
	}
	closedir(directory);
	return n;
}

/* As journald does to keep to SystemMaxUse=: what it takes is to be free again. */
static void test_deletion_of_an_old_file(void **state)
{
	static const char *const names[] = {"system@1.journal", "system@2.journal"};
	struct fixture *fixture = needed(state);

	for (size_t i = 0; i < 2; i++) {
		add_past(fixture, 1 + i, 1 + i);
		move_away(fixture, names[i]);
	}
	add_past(fixture, 3, 3);
	open_now(fixture);
	for (time_t i = 0; i < 2; i++) {
		char *old = support_path(fixture->directory, names[i]);

		assert_int_equal(unlink(old), 0);
		free(old);
		expect(fixture, "");
		assert_int_equal(count_deleted_files(), 1);
		ahead_s = 60 * i + 59;
		expect(fixture, "");
		assert_int_equal(count_deleted_files(), 1);
		ahead_s = 60 * i + 61;
		expect(fixture, "");
		assert_int_equal(count_deleted_files(), 0);
	}
	add(fixture, 4);
	expect(fixture, "m4");
}

/* The same entries once more, in another file, as when journald moves from memory to disk. */
static void test_copies(void **state)
{
	struct fixture *fixture = needed(state);

	add_past(fixture, 1, 1);
	open_now(fixture);
	add(fixture, 2);
	add(fixture, 3);
	expect(fixture, "m2 m3");
	assert_int_equal(unlink(fixture->journal), 0);
	stop_writer(fixture);
	add_past(fixture, 1, 4);
	expect(fixture, "m4");
}

static void test_resumption(void **state)
{
	struct fixture *fixture = needed(state);
	struct input_position place;

	add_past(fixture, 1, 3);
	open_now(fixture);
	add(fixture, 4);
	expect(fixture, "m4");
	place = place_of(fixture);
	fixture->input = input_free(fixture->input);
	add(fixture, 5);
	stop_writer(fixture);

	assert_int_equal(resume(fixture, &place, 3 * S, 100), 0);
	expect(fixture, "-m3 -m4 m5");
	add(fixture, 6);
	expect(fixture, "m6");
	assert_true(place_of(fixture).monotonic_us == 6 * S);
}

/* Until it has got there again, a successor stands where its predecessor stood, not before. */
static void test_the_place_does_not_go_back(void **state)
{
	struct fixture *fixture = needed(state);
	struct input_position place = place_at(3);
	struct record record;

	add_past(fixture, 1, 4);
	assert_int_equal(resume(fixture, &place, 0, 100), 0);
	for (int i = 0; i < 3; i++) {
		assert_true(place_of(fixture).monotonic_us == 3 * S);
		assert_int_equal(input_next(fixture->input, &record), INPUT_RECORD);
	}
	assert_int_equal(input_next(fixture->input, &record), INPUT_RECORD);
	assert_false(record.past);
	assert_true(place_of(fixture).monotonic_us == 4 * S);
}

/* What does not count is behind the place all the same. */
static void test_the_place_is_left_behind(void **state)
{
	struct fixture *fixture = needed(state);
	struct input_position place = place_at(2);

	add(fixture, 1);
	add(fixture, 2);
	add_fields(fixture, BOOT_1, 3, "_TRANSPORT=syslog\nMESSAGE=other\n");
	stop_writer(fixture);
	assert_int_equal(resume(fixture, &place, 0, 100), 0);
	expect(fixture, "-m1 -m2");
	assert_true(place_of(fixture).monotonic_us == 3 * S);
}

static void test_a_resumption_is_bounded(void **state)
{
	static const struct {
		uint64_t place_s, since_s;
		size_t n_max;
		const char *messages;
	} cases[] = {
		{3, 0, 100, "-m1 -m2 -m3 m4 m5"},
		{3, 4, 100, "m4 m5"},
		{3, 9, 100, ""},
		{0, 0, 100, "m1 m2 m3 m4 m5"},
		{5, 3, 100, "-m3 -m4 -m5"},
		{3, 0, 3, "-m3 m4 m5"},
		{3, 0, 1, "m5"},
	};
	struct fixture *fixture = needed(state);

	add_past(fixture, 1, 5);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct input_position place = place_at(cases[i].place_s);

		assert_int_equal(resume(fixture, &place, cases[i].since_s * S, cases[i].n_max), 0);
		expect(fixture, cases[i].messages);
		fixture->input = input_free(fixture->input);
	}
}

/* Behind the place, all of what is there was read, whatever the files are called by then. */
static void test_a_resumption_and_a_rotation(void **state)
{
	struct fixture *fixture = needed(state);
	struct input_position place = place_at(3);

	add_past(fixture, 1, 5);
	assert_int_equal(resume(fixture, &place, 9 * S, 100), 0);
	add_past(fixture, 6, 6);
	expect(fixture, "m6");
}

/* Two entries of one microsecond: the cursor tells which is the place. */
static void test_the_place_among_equals(void **state)
{
	struct fixture *fixture = needed(state);
	struct input_position place;

	add_past(fixture, 1, 1);
	open_now(fixture);
	add_fields(fixture, BOOT_1, 2, KERNEL "MESSAGE=a\n");
	expect(fixture, "a");
	place = place_of(fixture);
	fixture->input = input_free(fixture->input);
	add_fields(fixture, BOOT_1, 2, KERNEL "MESSAGE=b\n");
	stop_writer(fixture);
	assert_int_equal(resume(fixture, &place, 0, 100), 0);
	expect(fixture, "-m1 -a b");
	place = place_of(fixture);
	fixture->input = input_free(fixture->input);
	assert_int_equal(resume(fixture, &place, 0, 100), 0);
	expect(fixture, "-m1 -a -b");
}

static void test_another_boot(void **state)
{
	struct fixture *fixture = needed(state);
	struct input_position place = place_at(1), nonsense = {.boot = "x"};

	add(fixture, 1);
	add_fields(fixture, BOOT_2, 2, KERNEL "MESSAGE=other\n");
	stop_writer(fixture);
	assert_int_equal(resume(fixture, &place, 0, 100), -ESTALE);
	assert_int_equal(resume(fixture, &nonsense, 0, 100), -ESTALE);
	/* An earlier boot is not gone back to. */
	memcpy(place.boot, BOOT_2, sizeof BOOT_2);
	assert_int_equal(resume(fixture, &place, 0, 100), 0);
	expect(fixture, "other");
}

/* The clock that this machine has now says nothing of another boot. */
static void test_this_boot(void **state)
{
	struct fixture *fixture = needed(state);
	char this_boot[SD_ID128_STRING_MAX];
	struct record record;
	sd_id128_t id;

	assert_int_equal(sd_id128_get_boot(&id), 0);
	sd_id128_to_string(id, this_boot);
	add_past(fixture, 1, 1);
	open_now(fixture);
	add_fields(fixture, BOOT_1, 2, KERNEL "MESSAGE=x\n");
	add_fields(fixture, this_boot, 3, KERNEL "MESSAGE=x\n");
	stop_writer(fixture);
	assert_int_equal(input_follow(fixture->input), 0);
	assert_int_equal(input_next(fixture->input, &record), INPUT_RECORD);
	assert_true(record.monotonic_us == 0);
	assert_int_equal(input_next(fixture->input, &record), INPUT_RECORD);
	assert_true(record.monotonic_us == 3 * S);
}

/* An entry comes once for each log that it belongs to. One that belongs to none needs no text. */
static void test_other_logs(void **state)
{
	static const char *const matches[] = {"TAG=x", NULL};
	const struct other_log logs[] = {{.matches = (char **)matches},
					 {.matches = (char **)matches}};
	struct fixture *fixture = needed(state);

	add_past(fixture, 1, 1);
	open_now(fixture);
	assert_int_equal(input_listen(fixture->input, logs, 2), 0);
	n_back = 0;
	add_fields(fixture, BOOT_1, 2, "_TRANSPORT=journal\nTAG=x\nMESSAGE=a\n");
	add_fields(fixture, BOOT_1, 3, "_TRANSPORT=journal\nTAG=y\n");
	add(fixture, 4);
	expect(fixture, "a a m4");
	assert_int_equal(n_back, 0);
	add(fixture, 5);
	add_fields(fixture, BOOT_1, 6, "_TRANSPORT=journal\nTAG=x\n");
	add(fixture, 7);
	expect(fixture, "m5 m7");
}

static void test_missed(void **state)
{
	static const struct {
		const char *fields;
		uint64_t missed;
	} cases[] = {
		{"_TRANSPORT=driver\n" MISSED "MESSAGE=Missed 12 kernel messages\n", 12},
		{"_TRANSPORT=driver\n" MISSED "MESSAGE=Missed 345 kernel messages\n", 345},
		{"_TRANSPORT=driver\n" MISSED "MESSAGE=Missed 67\n", 67},
		{"_TRANSPORT=driver\n" MISSED "MESSAGE=Missed \n", 1},
		{"_TRANSPORT=driver\n" MISSED "MESSAGE=Messed 12\n", 1},
		{"_TRANSPORT=driver\n" MISSED "MESSAGE=Missed x\n", 1},
		{"_TRANSPORT=driver\n" MISSED "MESSAGE=\n", 1},
		{"_TRANSPORT=driver\nMESSAGE=Missed 12 kernel messages\n", 0},
		{"_TRANSPORT=journal\n" MISSED "MESSAGE=Missed 12 kernel messages\n", 0},
		{"_TRANSPORT=stdout\n" MISSED "MESSAGE=Missed 12 kernel messages\n", 0},
		{"_TRANSPORT=driver\nSYSLOG_FACILITY=0\nMESSAGE=Missed 12 kernel messages\n", 0},
	};
	struct fixture *fixture = needed(state);
	uint64_t sum = 0;

	add_past(fixture, 1, 1);
	open_now(fixture);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char expected[16];

		snprintf(expected, sizeof expected, "m%zu", 3 + 2 * i);
		add_fields(fixture, BOOT_1, 2 + 2 * i, cases[i].fields);
		add(fixture, 3 + 2 * i);
		expect(fixture, expected);
		sum += cases[i].missed;
		assert_true(input_counts(fixture->input)->missed == sum);
	}
}

/* The newest entry is not done before it says how many; when there is a newer one, it is. */
static void test_missed_without_a_number(void **state)
{
	struct fixture *fixture = needed(state);
	struct input_position place = place_at(1);

	add(fixture, 1);
	add_fields(fixture, BOOT_1, 2, "_TRANSPORT=driver\n" MISSED);
	stop_writer(fixture);
	assert_int_equal(resume(fixture, &place, 0, 100), 0);
	expect(fixture, "-m1");
	assert_int_equal(input_counts(fixture->input)->missed, 0);
	add(fixture, 3); /* to another file */
	expect(fixture, "m3");
	assert_int_equal(input_counts(fixture->input)->missed, 1);
}

/* Whatever rings a doorbell, be it a record or not. */
static void test_the_kernels_log_is_counted(void **state)
{
	static const struct {
		const char *fields;
		uint64_t n;
	} cases[] = {
		{KERNEL "MESSAGE=x\n", 1},
		{KERNEL "PRIORITY=4\n", 1},
		{"_TRANSPORT=kernel\nSYSLOG_FACILITY=1\nMESSAGE=x\n", 1},
		{"_TRANSPORT=kernel\nMESSAGE=x\n", 1},
		{"_TRANSPORT=driver\n" MISSED "MESSAGE=Missed 12 kernel messages\n", 0},
		{"_TRANSPORT=journal\nSYSLOG_FACILITY=0\nMESSAGE=x\n", 0},
		{"MESSAGE=x\n", 0},
	};
	struct fixture *fixture = needed(state);
	uint64_t sum = 0;

	add_past(fixture, 1, 1);
	open_now(fixture);
	assert_int_equal(input_counts(fixture->input)->kernel, 0);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char expected[16];

		snprintf(expected, sizeof expected, "%sm%zu", i == 0 ? "x " : "", 3 + 2 * i);
		add_fields(fixture, BOOT_1, 2 + 2 * i, cases[i].fields);
		add(fixture, 3 + 2 * i);
		expect(fixture, expected);
		sum += cases[i].n + 1;
		assert_int_equal(input_counts(fixture->input)->kernel, sum);
	}
}

/* An entry without a field is read once more; a disk without an answer is an error, and the journal
 * is reopened. */
static void test_what_cannot_be_read(void **state)
{
	struct fixture *fixture = needed(state);
	struct record record;

	follow(fixture);
	add(fixture, 3);
	add(fixture, 4);
	stop_writer(fixture);
	journal_field_error = -EBADMSG;
	expect(fixture, "m3 m4");
	assert_true(input_counts(fixture->input)->gaps == 0);
	add_past(fixture, 5, 6);
	assert_int_equal(input_follow(fixture->input), 0);
	journal_field_error = -EIO;
	assert_int_equal(input_next(fixture->input, &record), -EIO);
	assert_true(input_counts(fixture->input)->gaps == 1);
	journal_threshold_error = -EIO;
	assert_int_equal(input_follow(fixture->input), -EIO);
	assert_int_equal(input_next(fixture->input, &record), INPUT_DRAINED);
	expect(fixture, "m6");
}

/* Cut short while it is mapped: it is given up, and reading goes on with the next file. */
static void test_truncation(void **state)
{
	struct fixture *fixture = needed(state);
	struct record record;
	int r = 0;

	follow(fixture);
	stop_writer(fixture);
	assert_int_equal(truncate(fixture->journal, 0), 0);
	for (int i = 0; i < 3 && r == 0; i++) {
		r = input_follow(fixture->input);
		if (r == 0)
			r = input_next(fixture->input, &record);
	}
	assert_true(r < 0);
	assert_true(input_counts(fixture->input)->gaps == 1);
	expect(fixture, "");
	add(fixture, 3);
	expect(fixture, "m3");
	assert_true(input_counts(fixture->input)->gaps == 1);
}

/* One that will not get better is not given up again and again: once a minute. */
static void test_a_file_torn_for_good(void **state)
{
	static const struct {
		time_t s;
		bool is_missing;
		int error;
		uint64_t gaps;
	} cases[] = {
		{0, false, 0, 0},      {0, true, -EIO, 1},   {0, false, 0, 1},	 {59, true, 0, 1},
		{59, false, 0, 1},     {61, false, -EIO, 2}, {61, false, 0, 2},	 {120, true, 0, 2},
		{122, false, -EIO, 3}, {122, false, 0, 3},   {183, false, 0, 3},
	};
	struct fixture *fixture = needed(state);

	follow(fixture);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		ahead_s = cases[i].s;
		page_is_missing = cases[i].is_missing;
		assert_int_equal(input_follow(fixture->input), cases[i].error);
		assert_true(input_counts(fixture->input)->gaps == cases[i].gaps);
	}
	add(fixture, 3);
	expect(fixture, "m3");
}

/* This machine's own journal, in both of its places: that one of the files is gone is seen while
 * the other is what it was, and the memory that it took is free again. Users' files are left alone.
 * Changes what the process sees of the machine. */
static void test_from_memory_to_disk(void **state)
{
	struct fixture *fixture = needed(state);
	const struct input_live here = {0};
	char *memory, *disk;

	if (!journal_private_homes(&memory, &disk))
		skip();
	free(fixture->journal);
	fixture->journal = memory;
	add_past(fixture, 1, 1);
	assert_int_equal(input_new_live(&here, &fixture->input), 0);
	assert_true(input_sees_files(fixture->input));
	fixture->input = input_free(fixture->input);
	fixture->journal = disk;
	add_past(fixture, 2, 2);
	for (size_t i = 0; i < 3; i++) {
		shortage_left = i;
		assert_int_equal(input_new_live(&here, &fixture->input), -ENOMEM);
		shortage_left = SIZE_MAX;
	}
	assert_int_equal(input_new_live(&here, &fixture->input), 0);
	expect(fixture, "");
	assert_int_equal(unlink(memory), 0);
	free(memory);
	expect(fixture, "");
	assert_int_equal(count_deleted_files(), 0);
	assert_true(input_sees_files(fixture->input));
	add(fixture, 3);
	expect(fixture, "m3");

	stop_writer(fixture);
	fixture->journal = journal_of_user(disk);
	add_past(fixture, 4, 4);
	free(fixture->journal);
	fixture->journal = disk;
	add(fixture, 5);
	expect(fixture, "m5");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_from_now_on),
		TEST(test_each_entry_is_seen),
		TEST(test_an_entry_in_the_making),
		TEST(test_no_journal_yet),
		TEST(test_no_memory),
		TEST(test_old_entries_of_a_new_file),
		TEST(test_a_file_in_the_making),
		TEST(test_rotation),
		TEST(test_rotation_after_a_boot),
		TEST(test_an_unfinished_entry_after_a_boot),
		TEST(test_rotations),
		TEST(test_deletion),
		TEST(test_deletion_unseen),
		TEST(test_deletion_meanwhile),
		TEST(test_deletion_of_an_old_file),
		TEST(test_copies),
		TEST(test_resumption),
		TEST(test_the_place_does_not_go_back),
		TEST(test_the_place_is_left_behind),
		TEST(test_a_resumption_is_bounded),
		TEST(test_a_resumption_and_a_rotation),
		TEST(test_the_place_among_equals),
		TEST(test_another_boot),
		TEST(test_this_boot),
		TEST(test_other_logs),
		TEST(test_missed),
		TEST(test_missed_without_a_number),
		TEST(test_the_kernels_log_is_counted),
		TEST(test_what_cannot_be_read),
		TEST(test_truncation),
		TEST(test_a_file_torn_for_good),
		TEST(test_from_memory_to_disk),
	};

	writer = journal_writer();
	return cmocka_run_group_tests_name("live", tests, NULL, NULL);
}
