#include "grant/store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmocka-all.h"
#include "core/address.h"
#include "firewall/backends.h"
#include "firewall/firewall.h"
#include "firewall/passage.h"
#include "grant/holders.h"
#include "support.h"

#define DEADLINE_US UINT64_C(123456789)

static const char boot_id[] = "11111111111111111111111111111111";

struct fixture {
	char *directory;
	struct store *store;
};

/* What the last store_read() found, the last of it in full. */
struct found {
	struct store *store;
	size_t n_records, n_lost, n_unreadable;
	char lost[300];
	char door[DOOR_NAME_MAX + 1];
	struct address source;
	uint64_t deadline_us;
	char *passage;
};

static int set_up(void **state)
{
	static struct fixture fixture;

	fixture.directory = support_directory();
	*state = &fixture;
	return store_new(fixture.directory, boot_id, &fixture.store);
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	store_free(fixture->store);
	support_remove(fixture->directory);
	return 0;
}

static struct address address(const char *text)
{
	struct address address;

	assert_int_equal(address_parse(text, &address), 0);
	return address;
}

static struct passage *new_rule(void)
{
	struct passage *passage = NULL;

	assert_int_equal(passage_read_line("backend", "command", &passage), 0);
	assert_int_equal(passage_read_line("stop", "/bin/shut", &passage), 0);
	assert_int_equal(passage_read_line("stop", "192.0.2.1", &passage), 0);
	return passage;
}

static void write_record(struct store *store, const char *door, const char *source,
			 uint64_t deadline_us)
{
	struct stored_grant stored = {
		.source = address(source),
		.deadline_us = deadline_us,
		.state = STORED_OPEN,
		.n_opened = 1,
		.passage = new_rule(),
	};

	strcpy(stored.door, door);
	assert_int_equal(store_write(store, &stored), 0);
	passage_free(stored.passage);
}

static void on_found(void *userdata, const char *name, struct stored_grant *stored, int error)
{
	struct found *found = userdata;
	FILE *file;
	size_t size;

	assert_non_null(name);
	assert_true((stored && stored->state != STORED_DAMAGED) == (error == 0));
	if (error < 0 && error != -EINVAL) {
		found->n_unreadable++;
		return;
	}
	if (stored && error < 0) {
		char source[ADDRESS_TEXT_MAX], own_name[128];

		snprintf(own_name, sizeof own_name, "%s@%s", stored->door,
			 address_format(&stored->source, source));
		assert_string_equal(name, own_name);
		assert_null(stored->passage);
		assert_int_equal(store_remove(found->store, stored->door, &stored->source), 0);
	}
	if (error < 0) {
		found->n_lost++;
		snprintf(found->lost, sizeof found->lost, "%s", name);
		return;
	}
	found->n_records++;
	strcpy(found->door, stored->door);
	found->source = stored->source;
	found->deadline_us = stored->deadline_us;
	free(found->passage);
	file = open_memstream(&found->passage, &size);
	assert_non_null(file);
	passage_write(stored->passage, file);
	fclose(file);
	passage_free(stored->passage);
}

static struct found read_all(struct store *store)
{
	struct found found = {.store = store};

	assert_int_equal(store_read(store, on_found, &found), 0);
	return found;
}

/* Puts a file into the directory, or is asked whether it is there. */
static void put(const struct fixture *fixture, const char *name, const char *data, size_t length)
{
	char *path = support_path(fixture->directory, name);

	support_write(path, data, length);
	free(path);
}

static bool has(const struct fixture *fixture, const char *name)
{
	char *path = support_path(fixture->directory, name);
	bool exists = support_exists(path);

	free(path);
	return exists;
}

static char *take(const struct fixture *fixture, const char *name, size_t *ret_length)
{
	char *path = support_path(fixture->directory, name);
	char *data = support_read(path, ret_length);

	assert_non_null(data);
	free(path);
	return data;
}

static void test_round_trip(void **state)
{
	static const struct {
		const char *door, *source, *name;
		uint64_t deadline_us;
	} cases[] = {
		{"ssh", "192.0.2.1", "ssh@192.0.2.1", 1},
		{"ssh", "2001:db8::1", "ssh@2001:db8::1", DEADLINE_US},
		{"a-b_0123456789012345678901234567", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		 "a-b_0123456789012345678901234567@ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		 999999999999999999},
	};
	struct fixture *fixture = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct address source = address(cases[i].source);
		struct found found;

		write_record(fixture->store, cases[i].door, cases[i].source, cases[i].deadline_us);
		assert_true(has(fixture, cases[i].name));
		found = read_all(fixture->store);
		assert_int_equal(found.n_records, 1);
		assert_int_equal(found.n_lost, 0);
		assert_string_equal(found.door, cases[i].door);
		assert_true(address_equal(&found.source, &source));
		assert_true(found.deadline_us == cases[i].deadline_us);
		assert_string_equal(found.passage,
				    "backend=command\nstop=/bin/shut\nstop=192.0.2.1\n");
		free(found.passage);
		assert_int_equal(store_remove(fixture->store, cases[i].door, &source), 0);
		assert_false(has(fixture, cases[i].name));
		assert_int_equal(store_remove(fixture->store, cases[i].door, &source), 0);
	}
	assert_null(store_free(NULL));
}

static void test_replaces(void **state)
{
	struct fixture *fixture = *state;
	struct found found;

	write_record(fixture->store, "ssh", "192.0.2.1", DEADLINE_US);
	write_record(fixture->store, "ssh", "192.0.2.1", 7);
	write_record(fixture->store, "ssh", "192.0.2.2", 7);
	write_record(fixture->store, "web", "192.0.2.1", 7);
	found = read_all(fixture->store);
	assert_int_equal(found.n_records, 3);
	assert_true(found.deadline_us == 7);
	free(found.passage);
	assert_false(has(fixture, ".new"));
}

static void test_private(void **state)
{
	struct fixture *fixture = *state;
	char *made = support_path(fixture->directory, "made"), *path;
	struct store *store = NULL;
	struct stat st;

	assert_int_equal(store_new(made, boot_id, &store), 0);
	assert_int_equal(stat(made, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	write_record(store, "ssh", "192.0.2.1", 1);
	path = support_path(made, "ssh@192.0.2.1");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	store_free(store);
	free(path);
	free(made);
}

static void test_bad_directory(void **state)
{
	struct fixture *fixture = *state;
	char *file = support_path(fixture->directory, "file");
	char *link = support_path(fixture->directory, "link");
	char *deep = support_path(fixture->directory, "absent/deep");
	char long_id[100];
	struct store *store = NULL;

	support_write(file, "", 0);
	assert_int_equal(symlink("/tmp", link), 0);
	memset(long_id, 'a', sizeof long_id - 1);
	long_id[sizeof long_id - 1] = '\0';
	assert_int_equal(store_new(file, boot_id, &store), -ENOTDIR);
	assert_true(store_new(link, boot_id, &store) < 0);
	assert_int_equal(store_new(deep, boot_id, &store), -ENOENT);
	assert_int_equal(store_new(fixture->directory, long_id, &store), -EINVAL);
	assert_null(store);
	free(file);
	free(link);
	free(deep);
}

/* What cannot be written leaves the old record alone. */
static void test_failing_write(void **state)
{
	struct fixture *fixture = *state;
	struct stored_grant stored = {
		.door = "ssh",
		.source = address("192.0.2.1"),
		.deadline_us = 7,
		.passage = new_rule(),
	};
	char *leftover = support_path(fixture->directory, ".new");
	struct found found;

	write_record(fixture->store, "ssh", "192.0.2.1", DEADLINE_US);
	assert_int_equal(mkdir(leftover, 0700), 0);
	assert_true(store_write(fixture->store, &stored) < 0);
	assert_int_equal(rmdir(leftover), 0);
	found = read_all(fixture->store);
	assert_int_equal(found.n_records, 1);
	assert_true(found.deadline_us == DEADLINE_US);
	free(found.passage);
	free(leftover);
	passage_free(stored.passage);
}

/* Two daemons would close each other's doors. */
static void test_one_user(void **state)
{
	struct fixture *fixture = *state;
	struct store *store = NULL;

	assert_int_equal(store_new(fixture->directory, boot_id, &store), -EBUSY);
	fixture->store = store_free(fixture->store);
	assert_int_equal(store_new(fixture->directory, boot_id, &store), 0);
	store_free(store);
}

static void test_another_boot(void **state)
{
	static const char *const others[] = {
		"22222222222222222222222222222222",
		"1111111111111111111111111111111",
		"111111111111111111111111111111111",
		"unknown",
		"",
	};
	struct fixture *fixture = *state;

	write_record(fixture->store, "ssh", "192.0.2.1", DEADLINE_US);
	fixture->store = store_free(fixture->store);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		struct store *store = NULL;
		struct found found;

		assert_int_equal(store_new(fixture->directory, others[i], &store), 0);
		found = read_all(store);
		assert_int_equal(found.n_records, 1);
		assert_true(found.deadline_us == 0);
		assert_string_equal(found.passage,
				    "backend=command\nstop=/bin/shut\nstop=192.0.2.1\n");
		free(found.passage);
		store_free(store);
	}
}

/* A writer that died in the middle leaves a temporary file, which is no record. */
static void test_leftover(void **state)
{
	struct fixture *fixture = *state;
	char leftover[1000];
	struct found found;

	memset(leftover, '\n', sizeof leftover);
	put(fixture, ".new", leftover, sizeof leftover);
	found = read_all(fixture->store);
	assert_int_equal(found.n_records + found.n_lost, 0);
	write_record(fixture->store, "ssh", "192.0.2.1", DEADLINE_US);
	found = read_all(fixture->store);
	assert_int_equal(found.n_records, 1);
	assert_int_equal(found.n_lost, 0);
	assert_true(found.deadline_us == DEADLINE_US);
	free(found.passage);
}

/* A record under another's name, and things that are not even files. */
static void test_strangers(void **state)
{
	static const char *const names[] = {
		"ssh@192.0.2.2", "web@192.0.2.1", "ssh@192.0.2.1~", "ssh@::ffff:192.0.2.1", "x",
	};
	struct fixture *fixture = *state;
	struct found found;
	size_t length;
	char *data, *path;

	write_record(fixture->store, "ssh", "192.0.2.1", DEADLINE_US);
	data = take(fixture, "ssh@192.0.2.1", &length);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		put(fixture, names[i], data, length);
		found = read_all(fixture->store);
		assert_int_equal(found.n_records, 1);
		assert_int_equal(found.n_lost, 1);
		assert_string_equal(found.lost, names[i]);
		assert_false(has(fixture, names[i]));
		assert_true(has(fixture, "ssh@192.0.2.1"));
		free(found.passage);
	}

	/* A link is not followed, and only the link goes. */
	put(fixture, ".target", data, length);
	path = support_path(fixture->directory, "ssh@192.0.2.1");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink(".target", path), 0);
	found = read_all(fixture->store);
	assert_int_equal(found.n_records, 0);
	assert_int_equal(found.n_lost, 1);
	assert_false(has(fixture, "ssh@192.0.2.1"));
	assert_true(has(fixture, ".target"));

	/* A pipe without a writer is not waited for. */
	assert_int_equal(mkfifo(path, 0600), 0);
	found = read_all(fixture->store);
	assert_int_equal(found.n_records, 0);
	assert_int_equal(found.n_lost, 1);
	assert_false(has(fixture, "ssh@192.0.2.1"));
	free(path);
	free(data);
}

/* Cut off anywhere, it is no record. */
static void test_truncated(void **state)
{
	static const char name[] = "ssh@192.0.2.1";
	struct fixture *fixture = *state;
	size_t length;
	char *data;

	write_record(fixture->store, "ssh", "192.0.2.1", DEADLINE_US);
	data = take(fixture, name, &length);
	for (size_t n = 0; n < length; n++) {
		struct found found;

		put(fixture, name, data, n);
		found = read_all(fixture->store);
		if (found.n_records != 0 || found.n_lost != 1 || has(fixture, name))
			fail_msg("a record of %zu bytes was taken", n);
	}
	free(data);
}

static bool is_in(const char *at, const char *data, const char *key)
{
	const char *value = strstr(data, key) + strlen(key);

	return at >= value && at < value + strcspn(value, "\n");
}

/* Any byte replaced by any other. What is taken has the door and the source of its name, and
 * another deadline only where a digit became another digit, which nobody can see, or an earlier one
 * because it seems to be of another boot. */
static void test_damaged(void **state)
{
	static const char name[] = "ssh@192.0.2.1";
	struct fixture *fixture = *state;
	struct address source = address("192.0.2.1");
	size_t length;
	char *data, *damaged;

	write_record(fixture->store, "ssh", "192.0.2.1", DEADLINE_US);
	data = take(fixture, name, &length);
	damaged = strdup(data);
	assert_non_null(damaged);
	for (size_t n = 0; n < length; n++) {
		for (unsigned byte = 0; byte < 256; byte++) {
			struct found found;
			bool right;

			damaged[n] = (char)byte;
			put(fixture, name, damaged, length);
			found = read_all(fixture->store);
			assert_int_equal(found.n_records + found.n_lost, 1);
			right = found.n_lost == 1 || byte == (unsigned char)data[n];
			if (!right && is_in(data + n, data, "\ndeadline_us="))
				right = byte >= '0' && byte <= '9';
			else if (!right && is_in(data + n, data, "\nboot="))
				right = found.deadline_us == 0;
			else if (!right)
				right = found.deadline_us == DEADLINE_US;
			if (found.n_records == 1)
				right = right && strcmp(found.door, "ssh") == 0 &&
					address_equal(&found.source, &source);
			if (!right)
				fail_msg("byte %zu as %u: deadline %" PRIu64, n, byte,
					 found.deadline_us);
			free(found.passage);
		}
		damaged[n] = data[n];
	}
	free(damaged);
	free(data);
}

static const char whole[] = "door=ssh\n"
			    "source=192.0.2.1\n"
			    "boot=11111111111111111111111111111111\n"
			    "deadline_us=123456789\n"
			    "state=open\n"
			    "opened=1\n"
			    "backend=ipset\n"
			    "set=s\n"
			    "element=192.0.2.1\n"
			    "end=yes\n";

/* Each line is needed, and once. */
static void test_lines(void **state)
{
	static const char no_source[] =
		"door=ssh\nboot=1\ndeadline_us=1\nstate=open\nopened=1\nbackend=command\nend=yes\n";
	static const char name[] = "ssh@192.0.2.1";
	struct fixture *fixture = *state;
	size_t n_failed = 0;
	struct found found;

	put(fixture, name, whole, strlen(whole));
	found = read_all(fixture->store);
	assert_int_equal(found.n_records, 1);
	assert_true(found.deadline_us == DEADLINE_US);
	free(found.passage);
	for (const char *line = whole; *line; line += strcspn(line, "\n") + 1) {
		int before = (int)(line - whole), length = (int)strcspn(line, "\n") + 1;

		for (int twice = 0; twice < 2; twice++) {
			char text[sizeof whole * 2];

			snprintf(text, sizeof text, "%.*s%.*s%.*s%s", before, whole,
				 twice ? length : 0, line, twice ? length : 0, line, line + length);
			put(fixture, name, text, strlen(text));
			found = read_all(fixture->store);
			assert_int_equal(found.n_records + found.n_lost, 1);
			n_failed += found.n_records;
			if (found.n_records > 0)
				print_message("%s was taken: %.*s", twice ? "twice" : "without",
					      length, line);
			free(found.passage);
		}
	}
	assert_int_equal(n_failed, 0);

	/* No source is none, even if the name says so. */
	put(fixture, "ssh@::", no_source, strlen(no_source));
	found = read_all(fixture->store);
	assert_int_equal(found.n_records, 0);
	assert_int_equal(found.n_lost, 1);
}

static void test_bad_values(void **state)
{
	static const struct {
		const char *line, *instead;
	} cases[] = {
		{"deadline_us=123456789\n", "deadline_us=\n"},
		{"deadline_us=123456789\n", "deadline_us=-1\n"},
		{"deadline_us=123456789\n", "deadline_us=+1\n"},
		{"deadline_us=123456789\n", "deadline_us= 1\n"},
		{"deadline_us=123456789\n", "deadline_us=1 \n"},
		{"deadline_us=123456789\n", "deadline_us=0x1\n"},
		{"deadline_us=123456789\n", "deadline_us=18446744073709551616\n"},
		{"deadline_us=123456789\n", "deadline_us=1000000000000000000\n"},
		{"source=192.0.2.1\n", "source=192.0.2.01\n"},
		{"source=192.0.2.1\n", "source=::ffff:192.0.2.1\n"},
		{"source=192.0.2.1\n", "source=192.0.2.1/32\n"},
		{"door=ssh\n", "door=\n"},
		{"door=ssh\n", "door=ssh0123456789012345678901234567890123456789\n"},
		{"door=ssh\n", "door=../ssh\n"},
		{"door=ssh\n", "ssh\n"},
		{"door=ssh\n", "=ssh\n"},
		{"door=ssh\n", "\ndoor=ssh\n"},
		{"door=ssh\n", "door=ssh\r\n"},
		{"end=yes\n", "end=yes\n\n"},
		{"end=yes\n", "end=yes\nset=t\n"},
		{"end=yes\n", "end=yes"},
		{"backend=ipset\n", "backend=pf\n"},
		{"set=s\n", "Set=s\n"},
		{"state=open\n", "state=\n"},
		{"state=open\n", "state=ajar\n"},
		{"opened=1\n", "opened=-1\n"},
	};
	static const char name[] = "ssh@192.0.2.1";
	struct fixture *fixture = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *at = strstr(whole, cases[i].line);
		struct found found;
		char text[512];

		assert_non_null(at);
		snprintf(text, sizeof text, "%.*s%s%s", (int)(at - whole), whole, cases[i].instead,
			 at + strlen(cases[i].line));
		put(fixture, name, text, strlen(text));
		found = read_all(fixture->store);
		if (found.n_records != 0 || found.n_lost != 1 || has(fixture, name))
			fail_msg("\"%s\" was taken", cases[i].instead);
	}
}

/* To the last bit of a key's name. */
static void test_holders_are_written_as_they_were_read(void **state)
{
	char text[200] = "alice/";
	struct holders holders = {0};
	char *written = NULL;
	size_t size;
	FILE *file = open_memstream(&written, &size);

	(void)state;
	for (int i = 0; i < KEY_ID_SIZE; i++)
		sprintf(text + strlen(text), "%02x", (unsigned)(0xff - 0x25 * i) & 0xff);
	strcat(text, ":5:6,bob@host:7");
	assert_non_null(file);
	assert_int_equal(holders_parse(text, &holders), 0);
	holders_write(&holders, file);
	assert_int_equal(fclose(file), 0);
	assert_string_equal(written, text);
	holders_done(&holders);
	free(written);
}

/* Longer than all that a record is read into. */
static void test_an_endless_name_of_a_door(void **state)
{
	struct fixture *fixture = *state;
	struct found found;
	char text[5000];

	snprintf(text, sizeof text, "door=%04000d\n%s", 0, whole + strlen("door=ssh\n"));
	put(fixture, "ssh@192.0.2.1", text, strlen(text));
	found = read_all(fixture->store);
	assert_int_equal(found.n_records, 0);
	assert_int_equal(found.n_lost, 1);
}

/* A record that cannot be read at the moment, for want of a descriptor, is not lost for good. */
static void test_short_of_descriptors(void **state)
{
	struct fixture *fixture = *state;
	struct rlimit old, scarce;
	struct found found = {0};
	int fd;

	write_record(fixture->store, "ssh", "192.0.2.1", DEADLINE_US);
	fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	scarce = old;
	scarce.rlim_cur = (rlim_t)fd + 1;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &scarce), 0);
	assert_int_equal(store_read(fixture->store, on_found, &found), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(found.n_unreadable, 1);
	assert_int_equal(found.n_records, 0);
	assert_true(has(fixture, "ssh@192.0.2.1"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_round_trip, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_replaces, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_private, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bad_directory, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_failing_write, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_one_user, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_another_boot, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_leftover, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_strangers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_truncated, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_damaged, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_lines, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bad_values, set_up, tear_down),
		cmocka_unit_test(test_holders_are_written_as_they_were_read),
		cmocka_unit_test_setup_teardown(test_an_endless_name_of_a_door, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_short_of_descriptors, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
