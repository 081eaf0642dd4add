/* The life of grants, with commands that are real and a clock that is not. */
#include "grant/grants.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmocka-all.h"
#include "core/address.h"
#include "core/door.h"
#include "core/visitor.h"
#include "firewall/firewall.h"
#include "support.h"
#include "util/clock.h"

#define S UINT64_C(1000000)

/* When every test begins. */
#define T0 (1000 * S)

#define COMMAND(...)  ((char *[]){__VA_ARGS__, NULL})
#define TEXT(literal) ((char *)(literal))

static const char boot_id[] = "11111111111111111111111111111111";
static const char A[] = "192.0.2.1", B[] = "192.0.2.2", C6[] = "2001:db8::1";

static bool permitted; /* to have a network of one's own */

struct fixture {
	char *directory; /* for whatever a test needs; the records are in its "grants" */
	char *records;
	char *mark;  /* what doors of mark_door() make */
	char *count; /* grows by a byte each time their start command runs */
	struct grants *grants;
	char news[32768]; /* not yet expected */
};

static const char *const event_names[] = {
	[EVENT_OPENED] = "opened",
	[EVENT_RENEWED] = "renewed",
	[EVENT_CLOSED] = "closed",
	[EVENT_REFUSED] = "refused",
	[EVENT_CLOSE_FAILED] = "close-failed",
	[EVENT_ADOPTED] = "adopted",
	[EVENT_RESTORED] = "restored",
	[EVENT_MISSING] = "missing",
	[EVENT_LOST] = "lost",
	[EVENT_STALE] = "stale",
};

/* "EVENT DOOR SOURCE LEFT[: REASON]", a line each. */
static void on_news(void *userdata, const struct event *event)
{
	struct fixture *fixture = userdata;
	char *end = fixture->news + strlen(fixture->news), source[ADDRESS_TEXT_MAX];
	size_t room = (size_t)(fixture->news + sizeof fixture->news - end);

	if (event->kind == EVENT_LOST) {
		snprintf(end, room, "lost: %s\n", event->reason);
		return;
	}
	snprintf(end, room, "%s %s %s %" PRIu64 "%s%s\n", event_names[event->kind], event->door,
		 address_format(&event->source, source), event->left_us / S,
		 event->reason ? ": " : "", event->reason ? event->reason : "");
}

static void make_grants(struct fixture *fixture, const char *boot)
{
	const struct grants_options options = {
		.directory = fixture->records,
		.boot_id = boot,
		.on_event = on_news,
		.userdata = fixture,
	};

	assert_int_equal(grants_new(&options, &fixture->grants), 0);
}

static int set_up(void **state)
{
	static struct fixture fixture;

	fixture = (struct fixture){.directory = support_directory()};
	fixture.records = support_path(fixture.directory, "grants");
	fixture.mark = support_path(fixture.directory, "mark");
	fixture.count = support_path(fixture.directory, "count");
	*state = &fixture;
	make_grants(&fixture, boot_id);
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	grants_free(fixture->grants);
	free(fixture->records);
	free(fixture->mark);
	free(fixture->count);
	support_remove(fixture->directory);
	return 0;
}

static struct address address(const char *text)
{
	struct address address;

	assert_int_equal(address_parse(text, &address), 0);
	return address;
}

/* A door of commands for both families. */
static struct door command_door(const char *name, uint64_t timeout_s, char **start, char **stop)
{
	struct door door = {
		.timeout_us = timeout_s * S,
		.max_open = 100,
		.opening.backend = BACKEND_COMMAND,
		.opening.start_command = {start, start},
		.opening.stop_command = {stop, stop},
	};

	snprintf(door.name, sizeof door.name, "%s", name);
	return door;
}

static struct door true_door(const char *name, uint64_t timeout_s)
{
	static char *command[] = {(char *)"/bin/true", NULL};

	return command_door(name, timeout_s, command, command);
}

/* Opening it makes the file `mark`, closing it removes it and fails if it is not there. */
static struct door mark_door(const struct fixture *fixture, uint64_t timeout_s)
{
	static char open_script[512];
	static char *start[] = {(char *)"/bin/sh", (char *)"-c", open_script, NULL};
	static char *stop[3];

	snprintf(open_script, sizeof open_script, "printf x >>%s; touch %s", fixture->count,
		 fixture->mark);
	stop[0] = TEXT("/bin/rm");
	stop[1] = fixture->mark;
	return command_door("mark", timeout_s, start, stop);
}

static void open_door(struct fixture *fixture, const struct door *door, const char *source,
		      uint64_t now_us)
{
	grants_open(fixture->grants, door, &(struct visitor){.source = address(source)}, now_us);
}

/* All the news since the last time. A pattern's last line may end in "..." for any reason. */
static void expect_news(struct fixture *fixture, const char *expected)
{
	size_t length = strlen(expected);

	if (length > 4 && strcmp(expected + length - 4, "...\n") == 0) {
		char *end = fixture->news + strlen(fixture->news);

		if (strncmp(fixture->news, expected, length - 4) != 0 ||
		    strchr(fixture->news + length - 4, '\n') != end - 1)
			fail_msg("expected\n%sgot\n%s", expected, fixture->news);
	} else if (strcmp(fixture->news, expected) != 0) {
		fail_msg("expected\n%sgot\n%s", expected, fixture->news);
	}
	fixture->news[0] = '\0';
}

/* Runs until so many lines of news are there, with the clock standing still. */
static void await_news(struct fixture *fixture, size_t n, uint64_t now_us)
{
	for (;;) {
		size_t have = 0;

		grants_run(fixture->grants, now_us);
		for (const char *c = fixture->news; *c; c++)
			have += *c == '\n';
		if (have >= n)
			return;
		support_wait(grants_fd(fixture->grants));
	}
}

static void await_count(struct fixture *fixture, size_t n, uint64_t now_us)
{
	for (;;) {
		grants_run(fixture->grants, now_us);
		if (grants_count(fixture->grants) == n)
			return;
		support_wait(grants_fd(fixture->grants));
	}
}

static bool has_record(const struct fixture *fixture, const char *name)
{
	char *path = support_path(fixture->records, name);
	bool exists = support_exists(path);

	free(path);
	return exists;
}

static uint64_t recorded_deadline(const struct fixture *fixture, const char *name)
{
	char *path = support_path(fixture->records, name), *text = support_read(path, NULL), *at;
	uint64_t deadline_us;

	assert_non_null(text);
	at = strstr(text, "\ndeadline_us=");
	assert_non_null(at);
	deadline_us = strtoull(at + strlen("\ndeadline_us="), NULL, 10);
	free(text);
	free(path);
	return deadline_us;
}

static void put_record(const struct fixture *fixture, const char *name, const char *text)
{
	char *path = support_path(fixture->records, name);

	support_write(path, text, strlen(text));
	free(path);
}

static size_t count_starts(const struct fixture *fixture)
{
	size_t length = 0;
	char *text = support_read(fixture->count, &length);

	free(text);
	return length;
}

struct grant_loop {
	const struct door *doors;
	size_t n;
};

/* Users whose names begin with x may open nothing any more. */
static const struct door *find_door(void *userdata, const char *name, const char *user)
{
	const struct grant_loop *doors = userdata;

	if (user[0] == 'x')
		return NULL;
	for (size_t i = 0; i < doors->n; i++)
		if (strcmp(doors->doors[i].name, name) == 0)
			return &doors->doors[i];
	return NULL;
}

/* Takes over what is on record, with no door in the configuration. */
static int inherit(struct grants *grants, uint64_t now_us)
{
	return grants_inherit(grants, find_door, &(struct grant_loop){NULL, 0}, now_us);
}

static void test_nothing(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(grants_count(fixture->grants), 0);
	assert_true(grants_next_us(fixture->grants) == UINT64_MAX);
	grants_run(fixture->grants, T0);
	grants_suspend(fixture->grants, T0);
	assert_int_equal(inherit(fixture->grants, T0), 0);
	expect_news(fixture, "");
	assert_null(grants_free(NULL));
}

static void test_opens_and_closes(void **state)
{
	struct fixture *fixture = *state;
	struct door door = mark_door(fixture, 30);

	open_door(fixture, &door, A, T0);
	expect_news(fixture, "");
	assert_int_equal(grants_count(fixture->grants), 1);
	assert_true(recorded_deadline(fixture, "mark@192.0.2.1") == T0 + 30 * S);
	await_news(fixture, 1, T0);
	expect_news(fixture, "opened mark 192.0.2.1 30\n");
	assert_true(support_exists(fixture->mark));
	assert_true(grants_next_us(fixture->grants) == T0 + 30 * S);

	grants_run(fixture->grants, T0 + 30 * S - 1);
	assert_true(grants_next_us(fixture->grants) == T0 + 30 * S);
	expect_news(fixture, "");
	grants_run(fixture->grants, T0 + 30 * S);
	expect_news(fixture, "");
	assert_true(has_record(fixture, "mark@192.0.2.1"));
	await_news(fixture, 1, T0 + 30 * S);
	expect_news(fixture, "closed mark 192.0.2.1 0\n");
	assert_false(support_exists(fixture->mark));
	assert_false(has_record(fixture, "mark@192.0.2.1"));
	assert_int_equal(grants_count(fixture->grants), 0);
	assert_true(grants_next_us(fixture->grants) == UINT64_MAX);
}

/* Both commands look for the record: it is there before the one and until after the other. */
static void test_record_comes_first(void **state)
{
	struct fixture *fixture = *state;
	char *path = support_path(fixture->records, "ssh@192.0.2.1");
	char **look = COMMAND(TEXT("/usr/bin/test"), TEXT("-s"), path);
	struct door door = command_door("ssh", 30, look, look);

	open_door(fixture, &door, A, T0);
	await_news(fixture, 1, T0);
	expect_news(fixture, "opened ssh 192.0.2.1 30\n");
	await_news(fixture, 1, T0 + 30 * S);
	expect_news(fixture, "closed ssh 192.0.2.1 0\n");
	assert_false(support_exists(path));
	free(path);
}

static void test_renews(void **state)
{
	struct fixture *fixture = *state;
	struct door door = mark_door(fixture, 30);

	open_door(fixture, &door, A, T0);
	await_news(fixture, 1, T0);
	expect_news(fixture, "opened mark 192.0.2.1 30\n");
	for (unsigned i = 1; i <= 5; i++) {
		open_door(fixture, &door, A, T0 + i * 20 * S);
		expect_news(fixture, "renewed mark 192.0.2.1 30\n");
		assert_true(grants_next_us(fixture->grants) == T0 + (i * 20 + 30) * S);
		assert_true(recorded_deadline(fixture, "mark@192.0.2.1") == T0 + (i * 20 + 30) * S);
		grants_run(fixture->grants, T0 + (i * 20 + 10) * S);
		expect_news(fixture, "");
	}
	assert_int_equal(grants_count(fixture->grants), 1);
	assert_int_equal(count_starts(fixture), 1);
	await_news(fixture, 1, T0 + 130 * S);
	expect_news(fixture, "closed mark 192.0.2.1 0\n");
	assert_int_equal(count_starts(fixture), 1);
}

/* A second knock while the start command still runs moves the deadline, and that is all. */
static void test_renews_while_opening(void **state)
{
	struct fixture *fixture = *state;
	struct door door = mark_door(fixture, 30);

	open_door(fixture, &door, A, T0);
	open_door(fixture, &door, A, T0 + 5 * S);
	await_news(fixture, 1, T0 + 5 * S);
	expect_news(fixture, "opened mark 192.0.2.1 30\n");
	assert_int_equal(count_starts(fixture), 1);
	assert_true(grants_next_us(fixture->grants) == T0 + 35 * S);
	assert_true(recorded_deadline(fixture, "mark@192.0.2.1") == T0 + 35 * S);
}

static void test_two_sources_and_doors(void **state)
{
	struct fixture *fixture = *state;
	struct door ssh = true_door("ssh", 30), web = true_door("web", 20);

	open_door(fixture, &ssh, A, T0);
	await_news(fixture, 1, T0);
	open_door(fixture, &ssh, B, T0 + 5 * S);
	await_news(fixture, 2, T0 + 5 * S);
	open_door(fixture, &ssh, C6, T0 + 5 * S);
	await_news(fixture, 3, T0 + 5 * S);
	open_door(fixture, &web, A, T0 + 5 * S);
	await_news(fixture, 4, T0 + 5 * S);
	expect_news(fixture, "opened ssh 192.0.2.1 30\n"
			     "opened ssh 192.0.2.2 30\n"
			     "opened ssh 2001:db8::1 30\n"
			     "opened web 192.0.2.1 20\n");
	assert_int_equal(grants_count(fixture->grants), 4);
	assert_true(has_record(fixture, "ssh@2001:db8::1"));
	assert_true(grants_next_us(fixture->grants) == T0 + 25 * S);
	await_news(fixture, 1, T0 + 25 * S);
	expect_news(fixture, "closed web 192.0.2.1 0\n");
	await_news(fixture, 1, T0 + 30 * S);
	expect_news(fixture, "closed ssh 192.0.2.1 0\n");
	await_count(fixture, 0, T0 + 35 * S);
}

/* So many that buckets are shared and the queue grows; each closes at its own time. */
static void test_many(void **state)
{
	enum { N = 6000 };
	struct fixture *fixture = *state;

	/* Records without a stop command, so that this need not start thousands of programs. */
	for (unsigned i = 0; i < N; i++) {
		char text[512], name[64];

		snprintf(name, sizeof name, "ssh@10.0.%u.%u", i >> 8, i & 255);
		snprintf(text, sizeof text,
			 "door=ssh\nsource=10.0.%u.%u\nboot=%s\ndeadline_us=%" PRIu64
			 "\nstate=open\nopened=1\nbackend=command\nend=yes\n",
			 i >> 8, i & 255, boot_id, T0 + (1 + (i * 7919) % N) * S);
		put_record(fixture, name, text);
	}
	assert_int_equal(inherit(fixture->grants, T0), 0);
	assert_int_equal(grants_count(fixture->grants), N);
	for (unsigned i = 1; i <= N; i++) {
		fixture->news[0] = '\0';
		assert_true(grants_next_us(fixture->grants) == T0 + i * S);
		grants_run(fixture->grants, T0 + i * S);
		assert_int_equal(grants_count(fixture->grants), N - i);
		assert_memory_equal(fixture->news, "closed ssh 10.0.", 16);
	}
	fixture->news[0] = '\0';
}

static void test_max_open_of_a_door(void **state)
{
	struct fixture *fixture = *state;
	struct door ssh = true_door("ssh", 30), web = true_door("web", 30);

	ssh.max_open = 2;
	open_door(fixture, &ssh, A, T0);
	open_door(fixture, &ssh, B, T0);
	open_door(fixture, &ssh, C6, T0);
	expect_news(fixture, "refused ssh 2001:db8::1 0: the door is open for max_open sources\n");
	assert_false(has_record(fixture, "ssh@2001:db8::1"));
	open_door(fixture, &web, C6, T0);
	await_news(fixture, 3, T0);
	fixture->news[0] = '\0';

	/* Those that are in may stay longer, and who leaves makes room. */
	open_door(fixture, &ssh, A, T0 + 10 * S);
	expect_news(fixture, "renewed ssh 192.0.2.1 30\n");
	await_count(fixture, 1, T0 + 30 * S);
	fixture->news[0] = '\0';
	open_door(fixture, &ssh, C6, T0 + 30 * S);
	await_news(fixture, 1, T0 + 30 * S);
	expect_news(fixture, "opened ssh 2001:db8::1 30\n");
}

static void test_max_open_of_all(void **state)
{
	struct fixture *fixture = *state;
	struct door ssh = true_door("ssh", 30), web = true_door("web", 30);

	grants_limit(fixture->grants, 2);
	open_door(fixture, &ssh, A, T0);
	open_door(fixture, &web, A, T0);
	await_news(fixture, 2, T0);
	fixture->news[0] = '\0';
	open_door(fixture, &web, B, T0);
	expect_news(fixture, "refused web 192.0.2.2 0: max_open doors are open\n");

	/* A lower limit closes nothing. */
	grants_limit(fixture->grants, 1);
	grants_run(fixture->grants, T0);
	assert_int_equal(grants_count(fixture->grants), 2);
	open_door(fixture, &ssh, A, T0);
	expect_news(fixture, "renewed ssh 192.0.2.1 30\n");
	grants_limit(fixture->grants, 3);
	open_door(fixture, &web, B, T0);
	await_news(fixture, 1, T0);
	expect_news(fixture, "opened web 192.0.2.2 30\n");
}

static void test_no_command_for_the_family(void **state)
{
	struct fixture *fixture = *state;
	struct door door = true_door("ssh", 30);

	door.opening.start_command[FAMILY_IPV6] = NULL;
	open_door(fixture, &door, C6, T0);
	expect_news(fixture,
		    "refused ssh 2001:db8::1 0: the door has no set_6 or start_command_6\n");
	door = true_door("ssh", 30);
	door.opening.start_command[FAMILY_IPV4] = NULL;
	open_door(fixture, &door, A, T0);
	expect_news(fixture, "refused ssh 192.0.2.1 0: the door has no set or start_command\n");
	assert_int_equal(grants_count(fixture->grants), 0);
}

static void test_failing_start(void **state)
{
	struct fixture *fixture = *state;
	struct door door = command_door(
		"ssh", 30,
		COMMAND(TEXT("/bin/sh"), TEXT("-c"), TEXT("echo no such rule >&2; exit 3")),
		COMMAND(TEXT("/usr/bin/touch"), fixture->mark));

	open_door(fixture, &door, A, T0);
	await_count(fixture, 0, T0);
	expect_news(fixture, "refused ssh 192.0.2.1 0: the command exited with status 3: no such "
			     "rule\n");
	assert_false(has_record(fixture, "ssh@192.0.2.1"));
	/* It may have come half the way. */
	assert_true(support_exists(fixture->mark));
}

/* What a failed command left is taken back once: there may be nothing to take back. */
static void test_failing_start_and_stop(void **state)
{
	struct fixture *fixture = *state;
	struct door door =
		command_door("ssh", 30, COMMAND(TEXT("/bin/false")), COMMAND(TEXT("/bin/false")));

	open_door(fixture, &door, A, T0);
	await_count(fixture, 0, T0);
	expect_news(fixture, "refused ssh 192.0.2.1 0: the command exited with status 1\n");
	assert_false(has_record(fixture, "ssh@192.0.2.1"));
}

static void test_start_that_is_not_there(void **state)
{
	struct fixture *fixture = *state;
	struct door door = true_door("ssh", 30);

	door.opening.start_command[FAMILY_IPV4] = COMMAND(TEXT("/nonexistent/start"));
	assert_int_equal(firewall_check(grants_firewall(fixture->grants), &door.opening), -ENOENT);
	open_door(fixture, &door, A, T0);
	expect_news(fixture, "refused ssh 192.0.2.1 0: cannot run /nonexistent/start: No such "
			     "file or directory\n");
	assert_int_equal(grants_count(fixture->grants), 0);
	assert_false(has_record(fixture, "ssh@192.0.2.1"));
	door = true_door("ssh", 30);
	assert_int_equal(firewall_check(grants_firewall(fixture->grants), &door.opening), 0);
	door.opening.stop_command[FAMILY_IPV6] = COMMAND(TEXT("/etc/passwd"));
	assert_int_equal(firewall_check(grants_firewall(fixture->grants), &door.opening), -EACCES);
}

/* Nobody knows how far it came, so the stop command runs. The grant was never announced. */
static void test_start_that_hangs(void **state)
{
	struct fixture *fixture = *state;
	char script[512];
	struct door door = command_door("ssh", 30, COMMAND(TEXT("/bin/sleep"), TEXT("1000")),
					COMMAND(TEXT("/bin/sh"), TEXT("-c"), script));

	snprintf(script, sizeof script, "test -s %s/ssh@192.0.2.1 && touch %s", fixture->records,
		 fixture->mark);
	open_door(fixture, &door, A, T0);
	assert_true(grants_next_us(fixture->grants) == T0 + FIREWALL_COMMAND_LIMIT_US);
	grants_run(fixture->grants, T0 + FIREWALL_COMMAND_LIMIT_US - 1);
	expect_news(fixture, "");
	await_count(fixture, 0, T0 + FIREWALL_COMMAND_LIMIT_US);
	expect_news(fixture, "refused ssh 192.0.2.1 0: the command took too long and was killed\n");
	assert_true(support_exists(fixture->mark));
	assert_false(has_record(fixture, "ssh@192.0.2.1"));
}

static void test_start_that_is_killed(void **state)
{
	struct fixture *fixture = *state;
	struct door door =
		command_door("ssh", 30, COMMAND(TEXT("/bin/sh"), TEXT("-c"), TEXT("kill -KILL $$")),
			     COMMAND(TEXT("/usr/bin/touch"), fixture->mark));

	open_door(fixture, &door, A, T0);
	await_count(fixture, 0, T0);
	expect_news(fixture, "refused ssh 192.0.2.1 0: the command was killed by signal 9 "
			     "(Killed)\n");
	assert_true(support_exists(fixture->mark));
}

/* The deadline comes before the command's own limit. */
static void test_start_past_the_deadline(void **state)
{
	struct fixture *fixture = *state;
	struct door door = command_door("ssh", 5, COMMAND(TEXT("/bin/sleep"), TEXT("1000")),
					COMMAND(TEXT("/usr/bin/touch"), fixture->mark));

	open_door(fixture, &door, A, T0);
	assert_true(grants_next_us(fixture->grants) == T0 + 5 * S);
	grants_run(fixture->grants, T0 + 5 * S);
	assert_true(grants_next_us(fixture->grants) <= T0 + 5 * S);
	await_count(fixture, 0, T0 + 5 * S);
	expect_news(fixture, "refused ssh 192.0.2.1 0: the command took too long and was killed\n");
	assert_true(support_exists(fixture->mark));
	assert_false(has_record(fixture, "ssh@192.0.2.1"));
}

/* One second, then twice as long each time, but never more than a minute; told every time. */
static void test_failing_stop(void **state)
{
	static const unsigned waits_s[] = {1, 2, 4, 8, 16, 32};
	struct fixture *fixture = *state;
	struct door door = mark_door(fixture, 30);
	uint64_t now_us = T0 + 30 * S;

	open_door(fixture, &door, A, T0);
	await_news(fixture, 1, T0);
	expect_news(fixture, "opened mark 192.0.2.1 30\n");
	assert_int_equal(unlink(fixture->mark), 0);
	for (size_t i = 0; i < 40; i++) {
		uint64_t wait_us = (i < sizeof(waits_s) / sizeof(waits_s[0]) ? waits_s[i] : 60) * S;

		await_news(fixture, 1, now_us);
		expect_news(
			fixture,
			"close-failed mark 192.0.2.1 0: the command exited with status 1: ...\n");
		assert_true(grants_next_us(fixture->grants) == now_us + wait_us);
		grants_run(fixture->grants, now_us + wait_us - 1);
		assert_true(grants_next_us(fixture->grants) == now_us + wait_us);
		expect_news(fixture, "");
		assert_int_equal(grants_count(fixture->grants), 1);
		assert_true(has_record(fixture, "mark@192.0.2.1"));
		now_us += wait_us;
	}
	support_write(fixture->mark, "", 0);
	await_news(fixture, 1, now_us);
	expect_news(fixture, "closed mark 192.0.2.1 0\n");
	assert_false(has_record(fixture, "mark@192.0.2.1"));
	assert_int_equal(grants_count(fixture->grants), 0);
}

static void test_stop_that_hangs(void **state)
{
	struct fixture *fixture = *state;
	struct door door = command_door("ssh", 30, COMMAND(TEXT("/bin/true")),
					COMMAND(TEXT("/bin/sleep"), TEXT("1000")));

	open_door(fixture, &door, A, T0);
	await_news(fixture, 1, T0);
	grants_run(fixture->grants, T0 + 30 * S);
	assert_true(grants_next_us(fixture->grants) == T0 + 30 * S + FIREWALL_COMMAND_LIMIT_US);
	fixture->news[0] = '\0';
	await_news(fixture, 1, T0 + 30 * S + FIREWALL_COMMAND_LIMIT_US);
	expect_news(fixture,
		    "close-failed ssh 192.0.2.1 0: the command took too long and was killed\n");
	assert_true(has_record(fixture, "ssh@192.0.2.1"));
	assert_true(grants_next_us(fixture->grants) == T0 + 31 * S + FIREWALL_COMMAND_LIMIT_US);
}

static void test_stop_that_is_not_there(void **state)
{
	struct fixture *fixture = *state;
	struct door door = true_door("ssh", 30);

	door.opening.stop_command[FAMILY_IPV4] = COMMAND(TEXT("/nonexistent/stop"));
	open_door(fixture, &door, A, T0);
	await_news(fixture, 1, T0);
	fixture->news[0] = '\0';
	grants_run(fixture->grants, T0 + 30 * S);
	expect_news(fixture, "close-failed ssh 192.0.2.1 0: cannot run /nonexistent/stop: No such "
			     "file or directory\n");
	assert_true(grants_next_us(fixture->grants) == T0 + 31 * S);
	assert_true(has_record(fixture, "ssh@192.0.2.1"));
}

/* Nothing to run is nothing to wait for. */
static void test_no_stop(void **state)
{
	struct fixture *fixture = *state;
	struct door door = true_door("ssh", 30);

	door.opening.stop_command[FAMILY_IPV4] = NULL;
	open_door(fixture, &door, A, T0);
	await_news(fixture, 1, T0);
	grants_run(fixture->grants, T0 + 30 * S);
	expect_news(fixture, "opened ssh 192.0.2.1 30\nclosed ssh 192.0.2.1 0\n");
	assert_int_equal(grants_count(fixture->grants), 0);
}

static void test_knock_while_closing(void **state)
{
	struct fixture *fixture = *state;
	struct door door = mark_door(fixture, 30);

	open_door(fixture, &door, A, T0);
	await_news(fixture, 1, T0);
	grants_run(fixture->grants, T0 + 30 * S);
	open_door(fixture, &door, A, T0 + 31 * S);
	open_door(fixture, &door, A, T0 + 32 * S);
	await_news(fixture, 3, T0 + 32 * S);
	expect_news(fixture, "opened mark 192.0.2.1 30\n"
			     "closed mark 192.0.2.1 30\n"
			     "opened mark 192.0.2.1 30\n");
	assert_int_equal(count_starts(fixture), 2);
	assert_true(support_exists(fixture->mark));
	assert_int_equal(grants_count(fixture->grants), 1);
	assert_true(recorded_deadline(fixture, "mark@192.0.2.1") == T0 + 62 * S);
	assert_true(grants_next_us(fixture->grants) == T0 + 62 * S);
	await_news(fixture, 1, T0 + 62 * S);
	expect_news(fixture, "closed mark 192.0.2.1 0\n");
	assert_int_equal(grants_count(fixture->grants), 0);
}

/* The deadline counts while it is being opened again. */
static void test_slow_start_after_closing(void **state)
{
	struct fixture *fixture = *state;
	char *go = support_path(fixture->directory, "go"), script[512];
	struct door door = command_door("ssh", 5, COMMAND(TEXT("/bin/sh"), TEXT("-c"), script),
					COMMAND(TEXT("/usr/bin/touch"), go));

	snprintf(script, sizeof script, "test ! -e %s || exec sleep 1000", go);
	open_door(fixture, &door, A, T0);
	await_news(fixture, 1, T0);
	grants_run(fixture->grants, T0 + 5 * S);
	open_door(fixture, &door, A, T0 + 5 * S);
	await_news(fixture, 2, T0 + 5 * S);
	expect_news(fixture, "opened ssh 192.0.2.1 5\nclosed ssh 192.0.2.1 5\n");
	assert_true(grants_next_us(fixture->grants) == T0 + 10 * S);
	grants_run(fixture->grants, T0 + 10 * S);
	await_count(fixture, 0, T0 + 10 * S);
	expect_news(fixture, "refused ssh 192.0.2.1 0: the command took too long and was killed\n");
	free(go);
}

/* And while it waits to be closed again; the next failure begins anew at one second. */
static void test_knock_while_unclosed(void **state)
{
	struct fixture *fixture = *state;
	struct door door = mark_door(fixture, 30);

	open_door(fixture, &door, A, T0);
	await_news(fixture, 1, T0);
	assert_int_equal(unlink(fixture->mark), 0);
	await_news(fixture, 2, T0 + 30 * S);
	await_news(fixture, 3, T0 + 31 * S);
	fixture->news[0] = '\0';
	open_door(fixture, &door, A, T0 + 32 * S);
	expect_news(fixture, "");
	support_write(fixture->mark, "", 0);
	await_news(fixture, 2, T0 + 33 * S);
	expect_news(fixture, "closed mark 192.0.2.1 29\nopened mark 192.0.2.1 29\n");
	assert_int_equal(unlink(fixture->mark), 0);
	await_news(fixture, 1, T0 + 62 * S);
	expect_news(fixture, "close-failed mark ...\n");
	assert_true(grants_next_us(fixture->grants) == T0 + 63 * S);
}

/* It could not be closed, it was knocked for again, and opening it once more fails: it is still to
 * be closed. */
static void test_failing_start_while_unclosed(void **state)
{
	struct fixture *fixture = *state;
	char *go = support_path(fixture->directory, "go");
	struct door door = command_door("ssh", 30, COMMAND(TEXT("/bin/mkdir"), fixture->mark),
					COMMAND(TEXT("/usr/bin/test"), TEXT("-e"), go));

	open_door(fixture, &door, A, T0);
	await_news(fixture, 1, T0);
	await_news(fixture, 2, T0 + 30 * S);
	open_door(fixture, &door, A, T0 + 30 * S);
	await_news(fixture, 4, T0 + 31 * S);
	support_write(go, "", 0);
	await_count(fixture, 0, T0 + 100 * S);
	assert_non_null(strstr(fixture->news, "closed ssh 192.0.2.1 0\n"));
	assert_false(has_record(fixture, "ssh@192.0.2.1"));
	free(go);
}

/* The closing took longer than the new grant would have lasted: that is told, too. */
static void test_knock_while_closing_too_long(void **state)
{
	struct fixture *fixture = *state;
	struct door door = mark_door(fixture, 3);

	open_door(fixture, &door, A, T0);
	await_news(fixture, 1, T0);
	grants_run(fixture->grants, T0 + 3 * S);
	open_door(fixture, &door, A, T0 + 3 * S);
	fixture->news[0] = '\0';
	await_count(fixture, 0, T0 + 6 * S);
	expect_news(fixture, "closed mark 192.0.2.1 0\nrefused mark 192.0.2.1 ...\n");
	assert_int_equal(count_starts(fixture), 1);
	assert_false(has_record(fixture, "mark@192.0.2.1"));
}

/* The configuration changes while the door is being closed. A knock then opens what the door is
 * now, not what it was. */
static void test_knock_while_closing_a_changed_door(void **state)
{
	struct fixture *fixture = *state;
	char *other = support_path(fixture->directory, "other");
	struct door door = mark_door(fixture, 30);

	open_door(fixture, &door, A, T0);
	await_news(fixture, 1, T0);
	grants_run(fixture->grants, T0 + 30 * S);
	door.opening.start_command[FAMILY_IPV4] = COMMAND(TEXT("/usr/bin/touch"), other);
	door.opening.stop_command[FAMILY_IPV4] = COMMAND(TEXT("/bin/rm"), other);
	open_door(fixture, &door, A, T0 + 30 * S);
	await_news(fixture, 3, T0 + 30 * S);
	assert_true(support_exists(other));
	assert_false(support_exists(fixture->mark));
	await_news(fixture, 4, T0 + 60 * S);
	expect_news(fixture, "opened mark 192.0.2.1 30\n"
			     "closed mark 192.0.2.1 30\n"
			     "opened mark 192.0.2.1 30\n"
			     "closed mark 192.0.2.1 0\n");
	assert_false(support_exists(other));
	free(other);
}

/* A record knows how to close, not how to open: the door of the knock does. */
static void test_knock_while_closing_an_inherited(void **state)
{
	struct fixture *fixture = *state;
	struct door door = mark_door(fixture, 30);

	open_door(fixture, &door, A, T0);
	await_news(fixture, 1, T0);
	grants_free(fixture->grants);
	make_grants(fixture, boot_id);
	assert_int_equal(inherit(fixture->grants, T0 + 40 * S), 0);
	open_door(fixture, &door, A, T0 + 40 * S);
	await_news(fixture, 3, T0 + 40 * S);
	expect_news(fixture, "opened mark 192.0.2.1 30\n"
			     "closed mark 192.0.2.1 30\n"
			     "opened mark 192.0.2.1 30\n");
	assert_true(support_exists(fixture->mark));
	assert_int_equal(count_starts(fixture), 2);
}

/* The daemon died while the command ran that opens the door: nobody knows, so it is undone, and the
 * next knock opens it properly. */
static void test_inherits_what_was_being_opened(void **state)
{
	struct fixture *fixture = *state;
	struct door door = mark_door(fixture, 30);
	char text[512];

	snprintf(text, sizeof text,
		 "door=mark\nsource=192.0.2.1\nboot=%s\ndeadline_us=%" PRIu64
		 "\nstate=opening\nopened=1\nbackend=command\nstop=/bin/rm\nstop=%s\nend=yes\n",
		 boot_id, T0 + 30 * S, fixture->mark);
	put_record(fixture, "mark@192.0.2.1", text);
	support_write(fixture->mark, "", 0);
	assert_int_equal(inherit(fixture->grants, T0), 0);
	await_count(fixture, 0, T0);
	assert_false(support_exists(fixture->mark));
	fixture->news[0] = '\0';
	open_door(fixture, &door, A, T0 + S);
	await_news(fixture, 1, T0 + S);
	expect_news(fixture, "opened mark 192.0.2.1 30\n");
	assert_int_equal(count_starts(fixture), 1);
}

static void test_suspend(void **state)
{
	struct fixture *fixture = *state;
	struct door ssh = true_door("ssh", 30), web = true_door("web", 30);

	open_door(fixture, &ssh, A, T0);
	await_news(fixture, 1, T0);
	open_door(fixture, &web, B, T0);
	await_news(fixture, 2, T0);
	fixture->news[0] = '\0';
	grants_suspend(fixture->grants, T0 + S);
	assert_int_equal(grants_count(fixture->grants), 2);
	await_count(fixture, 0, T0 + S);
	assert_non_null(strstr(fixture->news, "closed ssh 192.0.2.1 0\n"));
	assert_non_null(strstr(fixture->news, "closed web 192.0.2.2 0\n"));
}

/* What a clean stop has closed is open again after the next start, until the old deadline, if its
 * door is still the same. A sweep in between leaves it. */
static void test_suspend_and_resume(void **state)
{
	struct fixture *fixture = *state;
	struct door doors[] = {mark_door(fixture, 30), true_door("changed", 30),
			       true_door("gone", 30), true_door("over", 5)};

	for (size_t i = 0; i < 4; i++) {
		open_door(fixture, &doors[i], A, T0);
		await_news(fixture, i + 1, T0);
	}
	grants_suspend(fixture->grants, T0 + S);
	await_count(fixture, 0, T0 + S);
	assert_false(support_exists(fixture->mark));
	assert_true(recorded_deadline(fixture, "mark@192.0.2.1") == T0 + 30 * S);
	grants_free(fixture->grants);

	make_grants(fixture, boot_id);
	fixture->news[0] = '\0';
	assert_int_equal(grants_sweep(fixture->grants, T0 + 10 * S), 0);
	expect_news(fixture, "");
	assert_true(has_record(fixture, "mark@192.0.2.1"));
	assert_false(has_record(fixture, "over@192.0.2.1"));

	doors[1].opening.stop_command[FAMILY_IPV4] = COMMAND(TEXT("/bin/false"));
	assert_int_equal(grants_inherit(fixture->grants, find_door, &(struct grant_loop){doors, 2},
					T0 + 10 * S),
			 0);
	await_news(fixture, 1, T0 + 10 * S);
	expect_news(fixture, "restored mark 192.0.2.1 20: a clean stop had closed it\n");
	assert_int_equal(grants_count(fixture->grants), 1);
	assert_true(support_exists(fixture->mark));
	assert_int_equal(count_starts(fixture), 2);
	assert_false(has_record(fixture, "changed@192.0.2.1"));
	assert_false(has_record(fixture, "gone@192.0.2.1"));
	await_news(fixture, 1, T0 + 30 * S);
	expect_news(fixture, "closed mark 192.0.2.1 0\n");
	assert_false(support_exists(fixture->mark));
	assert_false(has_record(fixture, "mark@192.0.2.1"));
}

/* After a reboot nothing is opened again. */
static void test_no_resume_after_a_reboot(void **state)
{
	struct fixture *fixture = *state;
	struct door door = mark_door(fixture, 30);

	open_door(fixture, &door, A, T0);
	await_news(fixture, 1, T0);
	grants_suspend(fixture->grants, T0 + S);
	await_count(fixture, 0, T0 + S);
	grants_free(fixture->grants);
	make_grants(fixture, "22222222222222222222222222222222");
	assert_int_equal(
		grants_inherit(fixture->grants, find_door, &(struct grant_loop){&door, 1}, S), 0);
	assert_int_equal(grants_count(fixture->grants), 0);
	assert_false(has_record(fixture, "mark@192.0.2.1"));
	assert_false(support_exists(fixture->mark));
}

static void test_close(void **state)
{
	struct fixture *fixture = *state;
	struct door ssh = true_door("ssh", 30), web = true_door("web", 30);
	struct address b = address(B), c = address(C6);

	open_door(fixture, &ssh, A, T0);
	await_news(fixture, 1, T0);
	open_door(fixture, &ssh, B, T0);
	await_news(fixture, 2, T0);
	open_door(fixture, &web, B, T0);
	await_news(fixture, 3, T0);
	fixture->news[0] = '\0';
	assert_int_equal(grants_close(fixture->grants, "ssh", &c, T0 + S), 0);
	assert_int_equal(grants_close(fixture->grants, "none", NULL, T0 + S), 0);
	assert_int_equal(grants_close(fixture->grants, "ssh", &b, T0 + S), 1);
	await_count(fixture, 2, T0 + S);
	expect_news(fixture, "closed ssh 192.0.2.2 0\n");
	assert_false(has_record(fixture, "ssh@192.0.2.2"));
	assert_int_equal(grants_close(fixture->grants, "ssh", NULL, T0 + S), 1);
	await_count(fixture, 1, T0 + S);
	expect_news(fixture, "closed ssh 192.0.2.1 0\n");
}

static void on_view(void *userdata, const struct grant_view *view)
{
	char source[ADDRESS_TEXT_MAX];

	snprintf(userdata, 128, "%s %s %" PRIu64 "%s", view->door,
		 address_format(&view->source, source), view->left_us / S,
		 view->missing ? " missing" : "");
}

static void test_each(void **state)
{
	struct fixture *fixture = *state;
	struct door door = true_door("ssh", 30);
	char seen[128] = "";

	open_door(fixture, &door, A, T0);
	grants_each(fixture->grants, T0, on_view, seen);
	assert_string_equal(seen, ""); /* being opened */
	await_news(fixture, 1, T0);
	grants_each(fixture->grants, T0 + 5 * S, on_view, seen);
	assert_string_equal(seen, "ssh 192.0.2.1 25");
	seen[0] = '\0';
	grants_each(fixture->grants, T0 + 30 * S, on_view, seen);
	assert_string_equal(seen, "");
}

/* In every state: opening, closing with a knock that waits, not closed yet. */
static void test_suspend_in_every_state(void **state)
{
	struct fixture *fixture = *state;
	struct door opening = true_door("opening", 30), closing = true_door("closing", 10),
		    unclosed = mark_door(fixture, 10);
	char script[512];

	snprintf(script, sizeof script, "printf x >>%s", fixture->count);
	closing.opening.stop_command[FAMILY_IPV4] = COMMAND(TEXT("/bin/sh"), TEXT("-c"), script);
	closing.timeout_us += S / 2;
	open_door(fixture, &closing, A, T0);
	await_news(fixture, 1, T0);
	open_door(fixture, &unclosed, A, T0);
	await_news(fixture, 2, T0);
	assert_int_equal(unlink(fixture->mark), 0);
	fixture->news[0] = '\0';
	await_news(fixture, 1, T0 + 10 * S);
	expect_news(fixture,
		    "close-failed mark 192.0.2.1 0: the command exited with status 1: ...\n");
	support_write(fixture->mark, "", 0);
	grants_run(fixture->grants, T0 + 10 * S + S / 2);
	expect_news(fixture, "");
	open_door(fixture, &closing, A, T0 + 10 * S + S / 2);
	open_door(fixture, &unclosed, A, T0 + 10 * S + S / 2);
	open_door(fixture, &opening, A, T0 + 10 * S + S / 2);
	grants_suspend(fixture->grants, T0 + 10 * S + S / 2);
	await_count(fixture, 0, T0 + 10 * S + S / 2);
	assert_non_null(strstr(fixture->news, "closed closing "));
	assert_non_null(strstr(fixture->news, "closed mark "));
	assert_non_null(strstr(fixture->news, "opened opening 192.0.2.1 0\n"));
	assert_non_null(strstr(fixture->news, "closed opening "));
	assert_null(strstr(fixture->news, "opened closing "));
	assert_null(strstr(fixture->news, "opened mark "));
	assert_false(support_exists(fixture->mark));
	assert_int_equal(count_starts(fixture), 2); /* one start, one stop */
}

/* What waits to be closed again is closed now. */
static void test_suspend_unclosed(void **state)
{
	struct fixture *fixture = *state;
	struct door door = mark_door(fixture, 30);

	open_door(fixture, &door, A, T0);
	await_news(fixture, 1, T0);
	assert_int_equal(unlink(fixture->mark), 0);
	await_news(fixture, 2, T0 + 30 * S);
	support_write(fixture->mark, "", 0);
	grants_suspend(fixture->grants, T0 + 30 * S);
	await_count(fixture, 0, T0 + 30 * S);
	assert_false(support_exists(fixture->mark));
}

static void test_review(void **state)
{
	struct fixture *fixture = *state;
	struct door doors[5] = {
		true_door("same", 30),	  true_door("gone", 30),   true_door("stop", 30),
		true_door("allowed", 30), true_door("family", 30),
	};
	struct network inside, outside;

	for (size_t i = 0; i < 5; i++) {
		open_door(fixture, &doors[i], A, T0);
		await_news(fixture, i + 1, T0);
	}
	fixture->news[0] = '\0';
	assert_int_equal(network_parse("192.0.2.0/24", &inside), 0);
	assert_int_equal(network_parse("198.51.100.0/24", &outside), 0);

	/* A start command and a timeout of another kind make no difference to who is in. */
	doors[0].opening.start_command[FAMILY_IPV4] = COMMAND(TEXT("/bin/false"));
	doors[0].timeout_us = 5 * S;
	doors[0].max_open = 0;
	doors[0].allow = &inside;
	doors[0].n_allow = 1;
	doors[2].opening.stop_command[FAMILY_IPV4] = COMMAND(TEXT("/bin/true"), TEXT("%IP%"));
	doors[3].allow = &outside;
	doors[3].n_allow = 1;
	doors[4].opening.start_command[FAMILY_IPV4] = NULL;
	strcpy(doors[1].name, "another");
	grants_review(fixture->grants, find_door, &(struct grant_loop){doors, 5}, T0 + S);
	assert_true(grants_next_us(fixture->grants) > T0 + S);
	await_count(fixture, 1, T0 + S);
	assert_non_null(strstr(fixture->news, "closed gone 192.0.2.1 0\n"));
	assert_non_null(strstr(fixture->news, "closed stop 192.0.2.1 0\n"));
	assert_non_null(strstr(fixture->news, "closed allowed 192.0.2.1 0\n"));
	assert_non_null(strstr(fixture->news, "closed family 192.0.2.1 0\n"));
	assert_null(strstr(fixture->news, "same"));
	assert_true(grants_next_us(fixture->grants) == T0 + 30 * S);
	grants_review(fixture->grants, find_door, &(struct grant_loop){NULL, 0}, T0 + 2 * S);
	await_count(fixture, 0, T0 + 2 * S);
}

/* What was opened with a changed door is closed as it was opened. */
static void test_review_closes_the_old_way(void **state)
{
	struct fixture *fixture = *state;
	struct door door = mark_door(fixture, 30);

	open_door(fixture, &door, A, T0);
	await_news(fixture, 1, T0);
	door.opening.stop_command[FAMILY_IPV4] = COMMAND(TEXT("/bin/true"));
	grants_review(fixture->grants, find_door, &(struct grant_loop){&door, 1}, T0 + S);
	await_news(fixture, 2, T0 + S);
	expect_news(fixture, "opened mark 192.0.2.1 30\nclosed mark 192.0.2.1 0\n");
	assert_false(support_exists(fixture->mark));
}

static void test_adopts(void **state)
{
	struct fixture *fixture = *state;
	struct door door = mark_door(fixture, 30);

	open_door(fixture, &door, A, T0);
	await_news(fixture, 1, T0);
	grants_free(fixture->grants);
	assert_true(has_record(fixture, "mark@192.0.2.1"));
	assert_true(support_exists(fixture->mark));

	make_grants(fixture, boot_id);
	assert_int_equal(inherit(fixture->grants, T0 + 10 * S), 0);
	expect_news(fixture, "opened mark 192.0.2.1 30\nadopted mark 192.0.2.1 20\n");
	assert_int_equal(grants_count(fixture->grants), 1);
	assert_true(grants_next_us(fixture->grants) == T0 + 30 * S);
	grants_review(fixture->grants, find_door, &(struct grant_loop){&door, 1}, T0 + 10 * S);
	expect_news(fixture, "");
	open_door(fixture, &door, A, T0 + 15 * S);
	expect_news(fixture, "renewed mark 192.0.2.1 30\n");
	assert_int_equal(count_starts(fixture), 1);
	assert_true(recorded_deadline(fixture, "mark@192.0.2.1") == T0 + 45 * S);
	await_news(fixture, 1, T0 + 45 * S);
	expect_news(fixture, "closed mark 192.0.2.1 0\n");
	assert_false(support_exists(fixture->mark));
}

static char *any_user[] = {(char *)"*", NULL};

static void call(struct fixture *fixture, const struct door *door, const char *user,
		 uint32_t seconds, uint64_t now_us)
{
	grants_open(fixture->grants, door,
		    &(struct visitor){.source = address(A), .user = user, .seconds = seconds},
		    now_us);
	while (fixture->news[0] == '\0')
		await_news(fixture, 1, now_us);
}

static bool is_not_bob(void *userdata, const char *user)
{
	(void)userdata;
	return strcmp(user, "bob") != 0;
}

static void show_user(void *userdata, const struct grant_view *view)
{
	snprintf(userdata, 64, "%s %" PRIu64, view->user, view->left_us / S);
}

/* The last caller's it is; an earlier deadline than there is none makes. */
static void test_whose_it_is_and_for_how_long(void **state)
{
	struct fixture *fixture = *state;
	struct door door = mark_door(fixture, 30);
	char seen[64] = "";

	door.users = any_user;
	door.max_timeout_us = 100 * S;
	call(fixture, &door, "alice", 60, T0);
	expect_news(fixture, "opened mark 192.0.2.1 60\n");
	call(fixture, &door, "bob", 0, T0 + S);
	expect_news(fixture, "renewed mark 192.0.2.1 59\n");
	call(fixture, &door, "bob", 5000, T0 + S);
	expect_news(fixture, "renewed mark 192.0.2.1 100\n");
	grants_each(fixture->grants, T0 + S, show_user, seen);
	assert_string_equal(seen, "bob 100");
	grants_expel(fixture->grants, is_not_bob, NULL, T0 + 2 * S);
	await_news(fixture, 1, T0 + 2 * S);
	expect_news(fixture, "closed mark 192.0.2.1 0\n");
	door.users = NULL;
}

static void test_a_user_is_on_record(void **state)
{
	struct fixture *fixture = *state;
	struct door door = mark_door(fixture, 30);
	char seen[64] = "";
	char *path, *text;

	door.users = any_user;
	door.max_timeout_us = 100 * S;
	call(fixture, &door, "bob", 60, T0);
	path = support_path(fixture->records, "mark@192.0.2.1");
	text = support_read(path, NULL);
	assert_non_null(strstr(text, "\nuser=bob\nseconds=60\n"));
	free(text);
	free(path);
	grants_free(fixture->grants);
	make_grants(fixture, boot_id);
	fixture->news[0] = '\0';
	assert_int_equal(
		grants_inherit(fixture->grants, find_door, &(struct grant_loop){&door, 1}, T0 + S),
		0);
	expect_news(fixture, "adopted mark 192.0.2.1 59\n");
	grants_each(fixture->grants, T0 + S, show_user, seen);
	assert_string_equal(seen, "bob 59");
	/* Nobody who is not one of the door's users keeps it open. */
	grants_review(fixture->grants, find_door, &(struct grant_loop){&door, 1}, T0 + 2 * S);
	expect_news(fixture, "");
	door.users = NULL;
	grants_review(fixture->grants, find_door, &(struct grant_loop){&door, 1}, T0 + 2 * S);
	await_news(fixture, 1, T0 + 2 * S);
	expect_news(fixture, "closed mark 192.0.2.1 0\n");
}

typedef int (*inherit_fn)(struct grants *grants, uint64_t now_us);

static void inherit_after(struct fixture *fixture, const char *boot, inherit_fn inherit_all,
			  uint64_t now_us)
{
	struct door door = mark_door(fixture, 30);

	open_door(fixture, &door, A, T0);
	await_news(fixture, 1, T0);
	expect_news(fixture, "opened mark 192.0.2.1 30\n");
	grants_free(fixture->grants);
	make_grants(fixture, boot);
	assert_int_equal(inherit_all(fixture->grants, now_us), 0);
	expect_news(fixture, "");
	await_news(fixture, 1, now_us);
	expect_news(fixture, "closed mark 192.0.2.1 0\n");
	assert_false(support_exists(fixture->mark));
	assert_false(has_record(fixture, "mark@192.0.2.1"));
	assert_int_equal(grants_count(fixture->grants), 0);
}

static void test_adopts_overdue(void **state)
{
	inherit_after(*state, boot_id, inherit, T0 + 30 * S);
}

static void test_adopts_of_another_boot(void **state)
{
	inherit_after(*state, "22222222222222222222222222222222", inherit, 5 * S);
}

/* What a sweep has closed before its time, a successor opens again. */
static void test_sweeps(void **state)
{
	struct fixture *fixture = *state;
	struct door door = mark_door(fixture, 30);

	open_door(fixture, &door, A, T0);
	await_news(fixture, 1, T0);
	grants_free(fixture->grants);
	make_grants(fixture, boot_id);
	fixture->news[0] = '\0';
	assert_int_equal(grants_sweep(fixture->grants, T0 + S), 0);
	await_count(fixture, 0, T0 + S);
	expect_news(fixture, "closed mark 192.0.2.1 0\n");
	assert_false(support_exists(fixture->mark));
	grants_free(fixture->grants);

	make_grants(fixture, boot_id);
	assert_int_equal(grants_inherit(fixture->grants, find_door, &(struct grant_loop){&door, 1},
					T0 + 2 * S),
			 0);
	await_news(fixture, 1, T0 + 2 * S);
	expect_news(fixture, "restored mark 192.0.2.1 28: a clean stop had closed it\n");
	assert_true(support_exists(fixture->mark));
	await_count(fixture, 0, T0 + 30 * S);
	assert_false(support_exists(fixture->mark));
}

static void test_sweeps_overdue(void **state)
{
	inherit_after(*state, boot_id, grants_sweep, T0 + 30 * S);
}

static void test_sweeps_of_another_boot(void **state)
{
	inherit_after(*state, "22222222222222222222222222222222", grants_sweep, 5 * S);
}

/* Records that are none: a stranger's, a temporary file of a writer that died, and damaged ones. */
static void test_inherits_garbage(void **state)
{
	struct fixture *fixture = *state;
	struct door door = mark_door(fixture, 30);

	put_record(fixture, "stranger", "\xff\xfe garbled");
	put_record(fixture, ".new", "door=ssh\nsource=192.0.2.1\n");
	put_record(fixture, "gone@192.0.2.1", "garbled");
	put_record(fixture, "mark@192.0.2.2",
		   "door=mark\nsource=192.0.2.2\nboot=11111111111111111111111111111111\n"
		   "deadline_us=1030000000\nbackend=command\nstop=/bin/tr");
	support_write(fixture->mark, "", 0);

	/* A sweep knows no doors: it leaves what a successor may make something of. */
	assert_int_equal(grants_sweep(fixture->grants, T0), 0);
	assert_non_null(strstr(fixture->news, "lost: stranger\n"));
	assert_non_null(strstr(fixture->news, "lost: mark@192.0.2.2\n"));
	assert_false(has_record(fixture, "stranger"));
	assert_true(has_record(fixture, "mark@192.0.2.2"));
	assert_true(support_exists(fixture->mark));
	fixture->news[0] = '\0';

	/* The name says which door may be open for whom; what opened it may not be known. */
	assert_int_equal(
		grants_inherit(fixture->grants, find_door, &(struct grant_loop){&door, 1}, T0), 0);
	await_count(fixture, 0, T0);
	assert_non_null(strstr(fixture->news, "lost: gone@192.0.2.1\n"));
	assert_non_null(strstr(fixture->news, "lost: mark@192.0.2.2\n"));
	assert_non_null(strstr(fixture->news, "closed mark 192.0.2.2 0\n"));
	assert_false(support_exists(fixture->mark));
	assert_false(has_record(fixture, "gone@192.0.2.1"));
	assert_false(has_record(fixture, "mark@192.0.2.2"));
}

/* Twice is as once. */
static void test_inherits_twice(void **state)
{
	struct fixture *fixture = *state;
	struct door door = mark_door(fixture, 30);

	open_door(fixture, &door, A, T0);
	await_news(fixture, 1, T0);
	assert_int_equal(inherit(fixture->grants, T0 + S), 0);
	expect_news(fixture, "opened mark 192.0.2.1 30\n");
	assert_int_equal(grants_count(fixture->grants), 1);
}

/* A start command that runs when the daemon ends is killed; its record stays for the successor. */
static void test_free_while_opening(void **state)
{
	struct fixture *fixture = *state;
	struct door door = command_door("ssh", 30, COMMAND(TEXT("/bin/sleep"), TEXT("1000")),
					COMMAND(TEXT("/usr/bin/touch"), fixture->mark));

	open_door(fixture, &door, A, T0);
	grants_free(fixture->grants);
	assert_true(has_record(fixture, "ssh@192.0.2.1"));
	make_grants(fixture, boot_id);
	assert_int_equal(grants_sweep(fixture->grants, T0 + S), 0);
	await_news(fixture, 1, T0 + S);
	expect_news(fixture, "closed ssh 192.0.2.1 0\n");
	assert_true(support_exists(fixture->mark));
}

/* Without a record nothing opens, and what is open keeps its deadline. */
static void test_unwritable_directory(void **state)
{
	struct fixture *fixture = *state;
	struct door door = mark_door(fixture, 30);
	char *record = support_path(fixture->records, "mark@192.0.2.1");

	open_door(fixture, &door, A, T0);
	await_news(fixture, 1, T0);
	expect_news(fixture, "opened mark 192.0.2.1 30\n");
	assert_int_equal(unlink(record), 0);
	assert_int_equal(rmdir(fixture->records), 0);
	open_door(fixture, &door, A, T0 + 10 * S);
	expect_news(fixture, "refused mark 192.0.2.1 0: cannot write its state file\n");
	assert_true(grants_next_us(fixture->grants) == T0 + 30 * S);
	open_door(fixture, &door, B, T0 + 10 * S);
	expect_news(fixture, "refused mark 192.0.2.2 0: cannot write its state file\n");
	assert_int_equal(count_starts(fixture), 1);
	assert_int_equal(grants_count(fixture->grants), 1);
	await_news(fixture, 1, T0 + 30 * S);
	expect_news(fixture, "closed mark 192.0.2.1 0\n");
	free(record);
}

static void test_no_directory(void **state)
{
	struct fixture *fixture = *state;
	struct grants_options options = {.directory = "/nonexistent/a/b", .boot_id = boot_id};
	struct grants *grants = NULL;

	(void)fixture;
	assert_int_equal(grants_new(&options, &grants), -ENOENT);
	assert_null(grants);
}

/* A door whose commands hang takes its share of the places, and no more: others open and close, and
 * what waits gets its turn. */
static void test_no_place_for_a_command(void **state)
{
	enum { N = 200 };
	struct fixture *fixture = *state;
	struct door quick = command_door("quick", 5, COMMAND(TEXT("/bin/true")), NULL);
	struct door slow = command_door("slow", 30, COMMAND(TEXT("/bin/sleep"), TEXT("1000")),
					COMMAND(TEXT("/bin/true")));

	quick.max_open = slow.max_open = 1000;
	quick.opening.stop_command[FAMILY_IPV4] = COMMAND(TEXT("/usr/bin/touch"), fixture->mark);
	for (unsigned i = 1; i <= N; i++) {
		char source[32];

		snprintf(source, sizeof source, "10.0.0.%u", i);
		open_door(fixture, &slow, source, T0);
	}
	expect_news(fixture, "");
	assert_int_equal(grants_count(fixture->grants), N);
	open_door(fixture, &quick, A, T0);
	await_news(fixture, 1, T0);
	expect_news(fixture, "opened quick 192.0.2.1 5\n");
	open_door(fixture, &slow, "10.0.0.199", T0 + S); /* it waits, and knocks again */
	await_news(fixture, 1, T0 + 5 * S);
	expect_news(fixture, "closed quick 192.0.2.1 0\n");
	assert_true(support_exists(fixture->mark));

	/* When the first are killed, others take their places. */
	for (uint64_t now_us = T0 + 10 * S; grants_count(fixture->grants) > 0; now_us += S / 10) {
		grants_run(fixture->grants, now_us);
		poll(&(struct pollfd){.fd = grants_fd(fixture->grants), .events = POLLIN}, 1, 10);
		assert_true(now_us < T0 + 60 * S);
		assert_null(strstr(fixture->news, "close-failed"));
		if (now_us > T0 + 29 * S && now_us < T0 + 30 * S)
			assert_null(strstr(fixture->news, "too many commands are running"));
		fixture->news[0] = '\0';
	}
}

/* The same life in a set of the kernel's. */

static struct fixture *with_sets(void **state)
{
	if (!permitted)
		skip();
	support_ipset("destroy");
	assert_int_equal(support_ipset("create kt hash:ip timeout 0"), 0);
	return *state;
}

/* A door that could not be closed was opened twice: whoever closes it in the end does so twice,
 * even after a crash. */
static void test_inherits_how_often_it_was_opened(void **state)
{
	struct fixture *fixture = *state;
	char *go = support_path(fixture->directory, "go");
	struct door door = command_door(
		"twice", 30,
		COMMAND(TEXT("/bin/sh"), TEXT("-c"), TEXT("printf x >>$0"), fixture->mark),
		COMMAND(TEXT("/bin/sh"), TEXT("-c"), TEXT("test -e $0 && sed -i s/x// $1"), go,
			fixture->mark));
	size_t length;
	char *text;

	open_door(fixture, &door, A, T0);
	await_news(fixture, 1, T0);
	await_news(fixture, 2, T0 + 30 * S);
	open_door(fixture, &door, A, T0 + 30 * S);
	await_news(fixture, 4, T0 + 31 * S);
	assert_non_null(strstr(fixture->news, "close-failed"));
	grants_free(fixture->grants);
	support_write(go, "", 0);
	make_grants(fixture, boot_id);
	assert_int_equal(grants_sweep(fixture->grants, T0 + 32 * S), 0);
	await_count(fixture, 0, T0 + 32 * S);
	text = support_read(fixture->mark, &length);
	assert_int_equal(length, 0);
	free(text);
	free(go);
}

/* Its door changed while the command ran that opens it, and it was knocked for again: the old rule
 * goes, the new one comes. */
static void test_review_while_opening(void **state)
{
	struct fixture *fixture = *state;
	char *other = support_path(fixture->directory, "other");
	struct door door = mark_door(fixture, 30);

	open_door(fixture, &door, A, T0);
	grants_review(fixture->grants, find_door, &(struct grant_loop){NULL, 0}, T0);
	door.opening.start_command[FAMILY_IPV4] = COMMAND(TEXT("/usr/bin/touch"), other);
	door.opening.stop_command[FAMILY_IPV4] = COMMAND(TEXT("/bin/rm"), other);
	open_door(fixture, &door, A, T0 + S);
	await_news(fixture, 3, T0 + S);
	assert_true(support_exists(other));
	assert_false(support_exists(fixture->mark));
	free(other);
}

static const struct door ipset_door = {
	.name = "ip",
	.timeout_us = 30 * S,
	.max_open = 10,
	.opening.backend = BACKEND_IPSET,
	.opening.set = {TEXT("kt")},
	.opening.entry = TEXT("%IP%"),
};

static void test_ipset(void **state)
{
	struct fixture *fixture = with_sets(state);

	open_door(fixture, &ipset_door, A, T0);
	expect_news(fixture, "opened ip 192.0.2.1 30\n");
	assert_int_equal(support_ipset("test kt 192.0.2.1"), 0);
	open_door(fixture, &ipset_door, A, T0 + 10 * S);
	expect_news(fixture, "renewed ip 192.0.2.1 30\n");
	open_door(fixture, &ipset_door, C6, T0);
	expect_news(fixture,
		    "refused ip 2001:db8::1 0: the door has no set_6 or start_command_6\n");
	grants_run(fixture->grants, T0 + 40 * S);
	expect_news(fixture, "closed ip 192.0.2.1 0\n");
	assert_int_equal(support_ipset("test kt 192.0.2.1"), 1);
	assert_false(has_record(fixture, "ip@192.0.2.1"));
}

/* How many seconds the kernel will keep the address in the set; 0: it is not there. */
static int seconds_in_set(struct fixture *fixture, const char *address)
{
	char *const argv[] = {TEXT("/usr/sbin/ipset"), TEXT("list"), TEXT("kt"), NULL};
	char *path = support_path(fixture->directory, "set"), *text;
	int seconds = 0;
	const char *at;
	size_t length;

	assert_int_equal(support_run(argv, NULL, path), 0);
	text = support_read(path, &length);
	at = strstr(text, address);
	if (at)
		assert_int_equal(sscanf(at + strlen(address), " timeout %d", &seconds), 1);
	free(text);
	free(path);
	return seconds;
}

/* Two doors share a set: neither closes what the other has opened, nor cuts it short. */
static void test_ipset_twins(void **state)
{
	struct fixture *fixture = with_sets(state);
	struct door longer = ipset_door;

	strcpy(longer.name, "longer");
	longer.timeout_us = 60 * S;
	open_door(fixture, &longer, A, T0);
	open_door(fixture, &ipset_door, A, T0);
	assert_int_equal(grants_count(fixture->grants), 2);
	assert_in_range(seconds_in_set(fixture, "192.0.2.1"), 55, 60);
	open_door(fixture, &ipset_door, A, T0 + S);
	assert_in_range(seconds_in_set(fixture, "192.0.2.1"), 54, 60);
	fixture->news[0] = '\0';
	grants_run(fixture->grants, T0 + 31 * S);
	expect_news(fixture, "closed ip 192.0.2.1 0\n");
	assert_int_equal(support_ipset("test kt 192.0.2.1"), 0);
	grants_run(fixture->grants, T0 + 60 * S);
	expect_news(fixture, "closed longer 192.0.2.1 0\n");
	assert_int_equal(support_ipset("test kt 192.0.2.1"), 1);
}

/* Of three doors it is the longest that counts. */
static void test_ipset_triplets(void **state)
{
	struct fixture *fixture = with_sets(state);
	struct door longest = ipset_door, longer = ipset_door;

	strcpy(longest.name, "longest");
	longest.timeout_us = 60 * S;
	strcpy(longer.name, "longer");
	longer.timeout_us = 45 * S;
	open_door(fixture, &longest, A, T0);
	open_door(fixture, &ipset_door, A, T0);
	open_door(fixture, &longer, A, T0);
	grants_run(fixture->grants, T0 + 31 * S);
	assert_in_range(seconds_in_set(fixture, "192.0.2.1"), 24, 29);
	grants_run(fixture->grants, T0 + 46 * S);
	assert_in_range(seconds_in_set(fixture, "192.0.2.1"), 9, 14);
	grants_run(fixture->grants, T0 + 61 * S);
	assert_int_equal(grants_count(fixture->grants), 0);
	assert_int_equal(support_ipset("test kt 192.0.2.1"), 1);
}

/* What cannot be closed is over when the kernel has ended it. */
static void test_ipset_closing_fails(void **state)
{
	struct fixture *fixture = with_sets(state);

	open_door(fixture, &ipset_door, A, T0);
	fixture->news[0] = '\0';
	assert_int_equal(support_ipset("destroy kt"), 0);
	assert_int_equal(support_ipset("create kt hash:ip family inet6 timeout 0"), 0);
	assert_int_equal(grants_close(fixture->grants, "ip", NULL, T0 + 10 * S), 1);
	expect_news(fixture, "close-failed ip 192.0.2.1 0: ipset kt: ...\n");
	grants_run(fixture->grants, T0 + 29 * S);
	assert_int_equal(grants_count(fixture->grants), 1);
	assert_true(has_record(fixture, "ip@192.0.2.1"));
	fixture->news[0] = '\0';
	grants_run(fixture->grants, T0 + 60 * S);
	assert_non_null(strstr(fixture->news, "closed ip 192.0.2.1 0\n"));
	assert_int_equal(grants_count(fixture->grants), 0);
	assert_false(has_record(fixture, "ip@192.0.2.1"));
}

static void test_ipset_without_the_set(void **state)
{
	struct fixture *fixture = with_sets(state);

	open_door(fixture, &ipset_door, A, T0);
	expect_news(fixture, "opened ip 192.0.2.1 30\n");
	assert_int_equal(support_ipset("destroy kt"), 0);

	/* What cannot be renewed keeps its deadline, on record, too. */
	open_door(fixture, &ipset_door, A, T0 + 10 * S);
	expect_news(fixture, "refused ip 192.0.2.1 0: ipset kt: ...\n");
	assert_true(recorded_deadline(fixture, "ip@192.0.2.1") == T0 + 30 * S);
	open_door(fixture, &ipset_door, B, T0 + 10 * S);
	expect_news(fixture, "refused ip 192.0.2.2 0: ipset kt: ...\n");
	assert_false(has_record(fixture, "ip@192.0.2.2"));

	/* Where there is no set, nothing is open in it. */
	grants_close(fixture->grants, "ip", NULL, T0 + 20 * S);
	expect_news(fixture, "closed ip 192.0.2.1 0\n");
	assert_int_equal(grants_count(fixture->grants), 0);
	assert_false(has_record(fixture, "ip@192.0.2.1"));
}

/* Whatever somebody does to the set, it is put right by the next survey, or told. */
static void test_ipset_survey(void **state)
{
	struct fixture *fixture = with_sets(state);

	open_door(fixture, &ipset_door, A, T0);
	open_door(fixture, &ipset_door, B, T0);
	fixture->news[0] = '\0';
	assert_true(grants_next_us(fixture->grants) < T0 + S);
	grants_run(fixture->grants, T0 + S);
	expect_news(fixture, "");

	assert_int_equal(support_ipset("del kt 192.0.2.1"), 0);
	assert_true(grants_next_us(fixture->grants) < T0 + 2 * S);
	grants_run(fixture->grants, T0 + 2 * S);
	expect_news(fixture, "restored ip 192.0.2.1 28: the firewall had lost it\n");
	assert_in_range(seconds_in_set(fixture, "192.0.2.1"), 20, 28);

	assert_int_equal(support_ipset("flush kt"), 0);
	grants_run(fixture->grants, T0 + 3 * S);
	assert_non_null(strstr(fixture->news, "restored ip 192.0.2.1 27"));
	assert_non_null(strstr(fixture->news, "restored ip 192.0.2.2 27"));
	fixture->news[0] = '\0';
	assert_int_equal(support_ipset("test kt 192.0.2.2"), 0);

	/* The kernel has another deadline: nothing to tell. */
	assert_int_equal(support_ipset("-exist add kt 192.0.2.1 timeout 1000"), 0);
	assert_int_equal(support_ipset("-exist add kt 192.0.2.2 timeout 5"), 0);
	grants_run(fixture->grants, T0 + 4 * S);
	expect_news(fixture, "");
	assert_in_range(seconds_in_set(fixture, "192.0.2.1"), 20, 26);
	assert_in_range(seconds_in_set(fixture, "192.0.2.2"), 20, 26);
	assert_int_equal(support_ipset("-exist add kt 192.0.2.1 timeout 0"), 0);
	grants_run(fixture->grants, T0 + 5 * S);
	assert_in_range(seconds_in_set(fixture, "192.0.2.1"), 20, 25);

	/* Told once, tried again and again. */
	assert_int_equal(grants_close(fixture->grants, "ip", &(struct address){{0}}, T0), 0);
	assert_int_equal(support_ipset("destroy kt"), 0);
	grants_run(fixture->grants, T0 + 6 * S);
	assert_non_null(strstr(fixture->news, "missing ip 192.0.2.1 24: ipset kt: "));
	assert_non_null(strstr(fixture->news, "missing ip 192.0.2.2 24: ipset kt: "));
	fixture->news[0] = '\0';
	grants_run(fixture->grants, T0 + 7 * S);
	expect_news(fixture, "");
	assert_int_equal(support_ipset("create kt hash:ip timeout 0"), 0);
	grants_run(fixture->grants, T0 + 8 * S);
	assert_non_null(strstr(fixture->news, "restored ip 192.0.2.1 22"));
	assert_int_equal(support_ipset("test kt 192.0.2.1"), 0);

	/* Missing to the end: closing it is no failure. */
	assert_int_equal(support_ipset("destroy kt"), 0);
	grants_run(fixture->grants, T0 + 9 * S);
	fixture->news[0] = '\0';
	grants_run(fixture->grants, T0 + 30 * S);
	assert_null(strstr(fixture->news, "close-failed"));
	assert_int_equal(grants_count(fixture->grants), 0);
	grants_run(fixture->grants, T0 + 31 * S);
	assert_true(grants_next_us(fixture->grants) == UINT64_MAX);
}

/* An element that the kernel shows in another spelling than the configuration. */
static void test_ipset_survey_spelled(void **state)
{
	struct fixture *fixture = with_sets(state);
	struct door door = ipset_door;

	assert_int_equal(support_ipset("create ktp hash:ip,port timeout 0"), 0);
	door.opening.set[FAMILY_IPV4] = TEXT("ktp");
	door.opening.entry = TEXT("%IP%,22");
	open_door(fixture, &door, A, T0);
	expect_news(fixture, "opened ip 192.0.2.1 30\n");
	grants_run(fixture->grants, T0 + S);
	expect_news(fixture, "");
	assert_int_equal(support_ipset("flush ktp"), 0);
	grants_run(fixture->grants, T0 + 2 * S);
	expect_news(fixture, "restored ip 192.0.2.1 28: the firewall had lost it\n");
	assert_int_equal(support_ipset("test ktp 192.0.2.1,tcp:22"), 0);
	assert_int_equal(support_ipset("destroy ktp"), 0);
}

/* Records of as many grants, which end one after the other from T0 + 30 s on. */
static void put_many(const struct fixture *fixture, const char *backend, const char *set,
		     unsigned n, const char *rest)
{
	for (unsigned i = 0; i < n; i++) {
		char text[512], name[64];

		snprintf(name, sizeof name, "ip@10.0.%u.%u", i >> 8, i & 255);
		snprintf(text, sizeof text,
			 "door=ip\nsource=10.0.%u.%u\nboot=%s\ndeadline_us=%" PRIu64
			 "\nstate=open\nopened=1\nbackend=%s\nset=%s\nelement=10.0.%u.%u%s\n"
			 "end=yes\n",
			 i >> 8, i & 255, boot_id, T0 + 30 * S + i * 100, backend, set, i >> 8,
			 i & 255, rest);
		put_record(fixture, name, text);
	}
}

/* Runs with the clock standing still until all is done; the steps that it took, none of which did
 * more than its share. */
static unsigned run_all(struct fixture *fixture, uint64_t now_us)
{
	unsigned n_steps = 0;

	while (grants_next_us(fixture->grants) <= now_us) {
		size_t n_lines = 0;

		fixture->news[0] = '\0';
		grants_run(fixture->grants, now_us);
		for (const char *c = fixture->news; *c; c++)
			n_lines += *c == '\n';
		assert_true(n_lines <= 256);
		n_steps++;
	}
	fixture->news[0] = '\0';
	return n_steps;
}

/* Thousands that end in one second: in bounded steps, so that other work is done in between. */
static void test_ipset_ten_thousand(void **state)
{
	enum { N = 10000 };
	struct fixture *fixture = with_sets(state);

	put_many(fixture, "ipset", "kt", N, "");
	assert_int_equal(inherit(fixture->grants, T0), 0);
	assert_int_equal(grants_count(fixture->grants), N);
	run_all(fixture, T0);
	assert_int_equal(support_ipset("test kt 10.0.0.0"), 0);
	assert_int_equal(support_ipset("test kt 10.0.39.15"), 0);
	assert_in_range(run_all(fixture, T0 + 31 * S), 10, 100);
	assert_int_equal(grants_count(fixture->grants), 0);
	assert_int_equal(support_ipset("test kt 10.0.0.0"), 1);
	assert_int_equal(support_ipset("test kt 10.0.39.15"), 1);
	assert_false(has_record(fixture, "ip@10.0.39.15"));
}

static int run_nft(const struct fixture *fixture, const char *command)
{
	char *const argv[] = {TEXT("/usr/sbin/nft"), TEXT(command), NULL};
	char *output = support_path(fixture->directory, "set");
	int status = support_run(argv, NULL, output);

	free(output);
	return status;
}

static struct fixture *with_nft_set(void **state, const char *command)
{
	struct fixture *fixture = *state;

	if (!permitted)
		skip();
	run_nft(fixture, "delete table inet kt");
	if (run_nft(fixture, "add table inet kt") != 0)
		skip();
	assert_int_equal(run_nft(fixture, command), 0);
	return fixture;
}

/* How many elements nft shows in the set. */
static size_t count_elements(const struct fixture *fixture)
{
	char *path = support_path(fixture->directory, "set"), *text;
	size_t n = 0;

	assert_int_equal(run_nft(fixture, "list set inet kt kt"), 0);
	text = support_read(path, NULL);
	for (const char *at = text; (at = strstr(at, " expires ")); at++)
		n++;
	free(text);
	free(path);
	return n;
}

static void test_nft_ten_thousand(void **state)
{
	enum { N = 10000 };
	struct fixture *fixture =
		with_nft_set(state, "add set inet kt kt { type ipv4_addr; flags timeout; }");

	put_many(fixture, "nft", "inet kt kt", N, "");
	assert_int_equal(inherit(fixture->grants, T0), 0);
	run_all(fixture, T0);
	assert_int_equal(count_elements(fixture), N);
	assert_in_range(run_all(fixture, T0 + 31 * S), 10, 100);
	assert_int_equal(grants_count(fixture->grants), 0);
	assert_int_equal(count_elements(fixture), 0);
	assert_false(has_record(fixture, "ip@10.0.39.15"));
}

/* A thousand that somebody has flushed are put back in bounded steps, whatever their spelling, and
 * so are some of them. The clock goes on with the kernel's from there: however long the steps take,
 * both have the same time left. */
static void test_nft_put_back(void **state)
{
	enum { N = 1000 };
	struct fixture *fixture = with_nft_set(
		state, "add set inet kt kt { type ipv4_addr . inet_service; flags timeout; }");
	uint64_t offset_us;
	unsigned n_steps = 0;

	put_many(fixture, "nft", "inet kt kt", N, " . ssh");
	assert_int_equal(inherit(fixture->grants, T0), 0);
	run_all(fixture, T0);
	assert_int_equal(count_elements(fixture), N);
	assert_int_equal(run_nft(fixture, "flush set inet kt kt"), 0);
	offset_us = T0 + 5 * S - clock_us(CLOCK_BOOTTIME);
	do {
		fixture->news[0] = '\0';
		grants_run(fixture->grants, offset_us + clock_us(CLOCK_BOOTTIME));
		assert_in_range(++n_steps, 1, 20);
	} while (count_elements(fixture) < N);
	assert_in_range(n_steps, 4, 20);
	fixture->news[0] = '\0';
	assert_int_equal(run_nft(fixture, "delete element inet kt kt { 10.0.0.7 . 22 }"), 0);
	while (!fixture->news[0]) {
		uint64_t now_us = offset_us + clock_us(CLOCK_BOOTTIME);

		assert_true(now_us < T0 + 29 * S);
		grants_run(fixture->grants, now_us);
		poll(NULL, 0, 10);
	}
	expect_news(fixture, "restored ip 10.0.0.7 ...\n");
	assert_int_equal(count_elements(fixture), N);
}

/* The larger the set, the more seldom it is asked for; but it is. */
static void test_survey_of_a_large_set(void **state)
{
	struct fixture *fixture =
		with_nft_set(state, "add set inet kt kt { type ipv4_addr; flags timeout; }");
	char *command = malloc(200000), *end = command;
	struct door door = ipset_door;
	uint64_t next_us;

	door.opening.backend = BACKEND_NFT;
	door.opening.set[FAMILY_IPV4] = TEXT("inet kt kt");
	open_door(fixture, &door, A, T0);
	run_all(fixture, T0 + S);
	assert_true(grants_next_us(fixture->grants) <= T0 + 2 * S);
	end += sprintf(end, "add element inet kt kt { 10.9.9.9");
	for (unsigned i = 0; i < 8000; i++)
		end += sprintf(end, ", 10.0.%u.%u", i >> 8, i & 255);
	sprintf(end, " }");
	assert_int_equal(run_nft(fixture, command), 0);
	free(command);
	run_all(fixture, T0 + 2 * S);
	next_us = grants_next_us(fixture->grants);
	assert_in_range((next_us - T0) / S, 4, 10);

	/* A knock does not bring it forward. */
	open_door(fixture, &door, B, T0 + 2 * S);
	run_all(fixture, T0 + 3 * S);
	assert_true(grants_next_us(fixture->grants) == next_us);
	fixture->news[0] = '\0';
	assert_int_equal(run_nft(fixture, "flush set inet kt kt"), 0);
	run_all(fixture, next_us);
	assert_int_equal(count_elements(fixture), 2);
	assert_true(grants_next_us(fixture->grants) < next_us + S);
}

static void test_ipset_inherited(void **state)
{
	struct fixture *fixture = with_sets(state);

	open_door(fixture, &ipset_door, A, T0);
	open_door(fixture, &ipset_door, B, T0);
	fixture->news[0] = '\0';
	grants_free(fixture->grants);

	/* The predecessor died before it told the kernel. */
	assert_int_equal(support_ipset("del kt 192.0.2.1"), 0);
	assert_int_equal(support_ipset("del kt 192.0.2.2"), 0);
	make_grants(fixture, boot_id);
	assert_int_equal(inherit(fixture->grants, T0 + 10 * S), 0);
	assert_non_null(strstr(fixture->news, "restored ip 192.0.2.1 20: "));
	assert_non_null(strstr(fixture->news, "restored ip 192.0.2.2 20: "));
	fixture->news[0] = '\0';
	assert_int_equal(support_ipset("test kt 192.0.2.1"), 0);
	assert_int_equal(support_ipset("test kt 192.0.2.2"), 0);
	grants_free(fixture->grants);

	/* Or it died in peace. */
	make_grants(fixture, boot_id);
	assert_int_equal(inherit(fixture->grants, T0 + 11 * S), 0);
	assert_non_null(strstr(fixture->news, "adopted ip 192.0.2.1 19\n"));
	assert_non_null(strstr(fixture->news, "adopted ip 192.0.2.2 19\n"));
	fixture->news[0] = '\0';
	grants_free(fixture->grants);
	assert_int_equal(support_ipset("-exist add kt 192.0.2.1 timeout 100"), 0);
	assert_int_equal(support_ipset("-exist add kt 192.0.2.2 timeout 100"), 0);

	/* A sweep leaves to the kernel what the kernel will end, with its record... */
	make_grants(fixture, boot_id);
	assert_int_equal(grants_sweep(fixture->grants, T0 + 20 * S), 0);
	expect_news(fixture, "");
	assert_int_equal(grants_count(fixture->grants), 0);
	assert_int_equal(support_ipset("test kt 192.0.2.1"), 0);
	assert_true(has_record(fixture, "ip@192.0.2.1"));

	/* ... which is for the successor to remove: another door may share the element. */
	assert_int_equal(grants_sweep(fixture->grants, T0 + 30 * S), 0);
	assert_int_equal(support_ipset("test kt 192.0.2.1"), 0);
	assert_true(has_record(fixture, "ip@192.0.2.1"));
	assert_int_equal(inherit(fixture->grants, T0 + 30 * S), 0);
	assert_int_equal(support_ipset("test kt 192.0.2.1"), 1);
	assert_false(has_record(fixture, "ip@192.0.2.1"));
	assert_int_equal(grants_count(fixture->grants), 0);
	fixture->news[0] = '\0';

	/* And one whose set is gone for good. */
	open_door(fixture, &ipset_door, A, T0);
	grants_free(fixture->grants);
	assert_int_equal(support_ipset("destroy kt"), 0);
	fixture->news[0] = '\0';
	make_grants(fixture, boot_id);
	assert_int_equal(inherit(fixture->grants, T0 + 10 * S), 0);
	expect_news(fixture, "missing ip 192.0.2.1 20: ipset kt: ...\n");
	grants_run(fixture->grants, T0 + 30 * S);
	expect_news(fixture, "closed ip 192.0.2.1 0\n");
	assert_false(has_record(fixture, "ip@192.0.2.1"));
	assert_int_equal(grants_count(fixture->grants), 0);
}

static int run_tool(const struct fixture *fixture, const char *program, const char *line)
{
	char *copy = strdup(line), *rest = NULL, *argv[32] = {TEXT(program)};
	char *output = support_path(fixture->directory, "output");
	size_t n = 1;
	int status;

	for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
		argv[n++] = word;
	status = support_run(argv, NULL, output);
	free(output);
	free(copy);
	return status;
}

/* How many rules the chain has. */
static size_t count_rules(const struct fixture *fixture)
{
	char *output = support_path(fixture->directory, "output"), *text;
	size_t n = 0;

	assert_int_equal(run_tool(fixture, "/usr/sbin/iptables", "-S KNOCKTAIL"), 0);
	text = support_read(output, NULL);
	for (const char *at = text; (at = strstr(at, "-A KNOCKTAIL ")); at++)
		n++;
	free(text);
	free(output);
	return n;
}

static bool has_rule(const struct fixture *fixture, const char *words)
{
	char *output = support_path(fixture->directory, "output"), *text;
	bool has;

	assert_int_equal(run_tool(fixture, "/usr/sbin/iptables", "-S KNOCKTAIL"), 0);
	text = support_read(output, NULL);
	has = strstr(text, words);
	free(text);
	free(output);
	return has;
}

/* Where the kernel keeps deadlines, but a command has to tell it. */
static struct fixture *with_iptables(void **state)
{
	struct fixture *fixture = *state;

	if (!permitted || run_tool(fixture, "/usr/sbin/iptables", "-w 5 -S INPUT") != 0)
		skip();
	run_tool(fixture, "/usr/sbin/iptables", "-N KNOCKTAIL");
	run_tool(fixture, "/usr/sbin/iptables", "-F KNOCKTAIL");
	return fixture;
}

static const struct door iptables_door = {
	.name = "ipt",
	.timeout_us = 30 * S,
	.max_open = 1000,
	.opening.backend = BACKEND_IPTABLES,
	.opening.ports = {1, {{22, 6}}},
	.opening.chain = TEXT("KNOCKTAIL"),
};

static void test_iptables(void **state)
{
	struct fixture *fixture = with_iptables(state);

	open_door(fixture, &iptables_door, A, T0);
	expect_news(fixture, "");
	await_news(fixture, 1, T0);
	expect_news(fixture, "opened ipt 192.0.2.1 30\n");
	assert_int_equal(count_rules(fixture), 1);

	open_door(fixture, &iptables_door, A, T0 + 10 * S);
	expect_news(fixture, "");
	assert_true(recorded_deadline(fixture, "ipt@192.0.2.1") == T0 + 40 * S);
	await_news(fixture, 1, T0 + 10 * S);
	expect_news(fixture, "renewed ipt 192.0.2.1 30\n");
	assert_int_equal(count_rules(fixture), 1);

	await_news(fixture, 1, T0 + 40 * S);
	expect_news(fixture, "closed ipt 192.0.2.1 0\n");
	assert_int_equal(count_rules(fixture), 0);
	assert_false(has_record(fixture, "ipt@192.0.2.1"));
}

/* A knock while one of before is still being told to the kernel: that comes next. */
static void test_iptables_knocks_in_a_row(void **state)
{
	struct fixture *fixture = with_iptables(state);

	for (unsigned i = 0; i < 3; i++)
		open_door(fixture, &iptables_door, A, T0 + i * S);
	await_news(fixture, 2, T0 + 2 * S);
	expect_news(fixture, "opened ipt 192.0.2.1 30\nrenewed ipt 192.0.2.1 30\n");
	for (unsigned i = 3; i < 6; i++)
		open_door(fixture, &iptables_door, A, T0 + i * S);
	await_news(fixture, 1, T0 + 5 * S);
	expect_news(fixture, "renewed ipt 192.0.2.1 30\n");
	assert_int_equal(count_rules(fixture), 1);
	await_news(fixture, 1, T0 + 35 * S);
	expect_news(fixture, "closed ipt 192.0.2.1 0\n");
	assert_int_equal(count_rules(fixture), 0);
}

static void test_iptables_close_while_renewing(void **state)
{
	struct fixture *fixture = with_iptables(state);

	open_door(fixture, &iptables_door, A, T0);
	await_news(fixture, 1, T0);
	open_door(fixture, &iptables_door, A, T0 + 10 * S);
	grants_suspend(fixture->grants, T0 + 10 * S);
	await_count(fixture, 0, T0 + 10 * S);
	expect_news(fixture, "opened ipt 192.0.2.1 30\nclosed ipt 192.0.2.1 0\n");
	assert_int_equal(count_rules(fixture), 0);
}

/* The deadline comes while the kernel is being told of it. */
static void test_iptables_overdue_while_renewing(void **state)
{
	struct fixture *fixture = with_iptables(state);

	open_door(fixture, &iptables_door, A, T0);
	await_news(fixture, 1, T0);
	open_door(fixture, &iptables_door, A, T0 + 10 * S);
	await_count(fixture, 0, T0 + 40 * S);
	assert_non_null(strstr(fixture->news, "closed ipt 192.0.2.1 0\n"));
	assert_int_equal(count_rules(fixture), 0);
}

/* What cannot be renewed keeps its deadline. */
static void test_iptables_failing_renewal(void **state)
{
	struct fixture *fixture = with_iptables(state);

	open_door(fixture, &iptables_door, A, T0);
	await_news(fixture, 1, T0);
	fixture->news[0] = '\0';
	/* A chain of that name which is none of iptables'. */
	run_tool(fixture, "/usr/sbin/iptables", "-F KNOCKTAIL");
	run_tool(fixture, "/usr/sbin/iptables", "-D INPUT -j KNOCKTAIL");
	run_tool(fixture, "/usr/sbin/iptables", "-X KNOCKTAIL");
	if (run_tool(fixture, "/usr/sbin/nft",
		     "add chain ip filter KNOCKTAIL { type filter hook input priority 77 ; }") != 0)
		skip();
	open_door(fixture, &iptables_door, A, T0 + 10 * S);
	await_news(fixture, 1, T0 + 10 * S);
	expect_news(fixture, "refused ipt 192.0.2.1 0: iptables KNOCKTAIL: ...\n");
	assert_true(recorded_deadline(fixture, "ipt@192.0.2.1") == T0 + 30 * S);
	open_door(fixture, &iptables_door, B, T0 + 10 * S);
	await_news(fixture, 1, T0 + 10 * S);
	expect_news(fixture, "refused ipt 192.0.2.2 0: iptables KNOCKTAIL: ...\n");
	assert_int_equal(run_tool(fixture, "/usr/sbin/nft", "delete chain ip filter KNOCKTAIL"), 0);
	await_news(fixture, 1, T0 + 30 * S);
	expect_news(fixture, "closed ipt 192.0.2.1 0\n");
}

static void lose_and_restore(struct fixture *fixture, const char *command, uint64_t now_us)
{
	assert_int_equal(run_tool(fixture, "/usr/sbin/iptables", command), 0);
	await_news(fixture, 1, now_us);
	expect_news(fixture, "restored ipt 192.0.2.1 ...\n");
	assert_int_equal(count_rules(fixture), 1);
	assert_int_equal(run_tool(fixture, "/usr/sbin/iptables", "-C INPUT -j KNOCKTAIL"), 0);
}

/* Whatever somebody does to the chain, the rule and the jump to it come back. */
static void test_iptables_survey(void **state)
{
	struct fixture *fixture = with_iptables(state);
	const char *lonely = "-D INPUT -j KNOCKTAIL";

	run_tool(fixture, "/usr/sbin/iptables", "-F INPUT");
	run_tool(fixture, "/usr/sbin/iptables", "-X KNOCKTAIL");
	open_door(fixture, &iptables_door, A, T0);
	await_news(fixture, 1, T0);
	expect_news(fixture, "opened ipt 192.0.2.1 30\n");
	lose_and_restore(fixture, "-F KNOCKTAIL", T0 + S);
	lose_and_restore(fixture, "-F INPUT", T0 + 2 * S);
	lose_and_restore(fixture, lonely, T0 + 3 * S);
	assert_int_equal(run_tool(fixture, "/usr/sbin/iptables", "-F INPUT"), 0);
	assert_int_equal(run_tool(fixture, "/usr/sbin/iptables", "-F KNOCKTAIL"), 0);
	lose_and_restore(fixture, "-X KNOCKTAIL", T0 + 4 * S);
	/* The wall clock, by which the rule ends, was set back by an hour. */
	assert_int_equal(run_tool(fixture, "/usr/sbin/iptables", "-F KNOCKTAIL"), 0);
	assert_int_equal(run_tool(fixture, "/usr/sbin/iptables",
				  "-A KNOCKTAIL -s 192.0.2.1 -p tcp -m multiport --dports 22 "
				  "-m comment --comment knocktail:ipt:4000000000 -j ACCEPT"),
			 0);
	for (unsigned i = 0; i < 1000 && !has_rule(fixture, "--datestop"); i++) {
		grants_run(fixture->grants, T0 + 5 * S);
		poll(&(struct pollfd){.fd = grants_fd(fixture->grants), .events = POLLIN}, 1, 20);
	}
	assert_int_equal(count_rules(fixture), 1);
	assert_false(has_rule(fixture, "4000000000"));
	grants_run(fixture->grants, T0 + 5 * S);
	expect_news(fixture, "");
	/* A dying daemon's command has added the rule once more. */
	assert_int_equal(run_tool(fixture, "/usr/sbin/iptables",
				  "-A KNOCKTAIL -s 192.0.2.1 -p tcp -m multiport --dports 22 "
				  "-m comment --comment knocktail:ipt:4000000000 -j ACCEPT"),
			 0);
	for (unsigned i = 0; i < 1000 && count_rules(fixture) > 1; i++) {
		grants_run(fixture->grants, T0 + 6 * S);
		poll(&(struct pollfd){.fd = grants_fd(fixture->grants), .events = POLLIN}, 1, 20);
	}
	assert_int_equal(count_rules(fixture), 1);
	assert_false(has_rule(fixture, "4000000000"));
	grants_run(fixture->grants, T0 + 6 * S);
	/* Left alone, nothing happens: the second question is asked after the first is answered. */
	for (uint64_t now_us = T0 + 7 * S; now_us < T0 + 9 * S; now_us += S / 10) {
		grants_run(fixture->grants, now_us);
		if (firewall_next_us(grants_firewall(fixture->grants)) < UINT64_MAX)
			support_wait(grants_fd(fixture->grants));
	}
	expect_news(fixture, "");
	assert_int_equal(count_rules(fixture), 1);
}

/* Lets children end, while the clock stands still. */
static unsigned settle_iptables(struct fixture *fixture, uint64_t now_us)
{
	struct firewall *firewall = grants_firewall(fixture->grants);

	for (unsigned n = 1;; n++) {
		fixture->news[0] = '\0';
		grants_run(fixture->grants, now_us);
		if (firewall_next_us(firewall) == UINT64_MAX &&
		    (grants_next_us(fixture->grants) > now_us))
			return n;
		if (firewall_next_us(firewall) > now_us && grants_next_us(fixture->grants) > now_us)
			support_wait(grants_fd(fixture->grants));
	}
}

/* As after a crash, and then all of them end in one second: in bounded steps. */
static void test_iptables_thousand(void **state)
{
	enum { N = 1000 };
	struct fixture *fixture = with_iptables(state);

	for (unsigned i = 0; i < N; i++) {
		char text[512], name[64];

		snprintf(name, sizeof name, "ipt@10.0.%u.%u", i >> 8, i & 255);
		snprintf(text, sizeof text,
			 "door=ipt\nsource=10.0.%u.%u\nboot=%s\ndeadline_us=%" PRIu64
			 "\nstate=open\nopened=1\nbackend=iptables\nelement=10.0.%u.%u\nchain="
			 "KNOCKTAIL\n"
			 "comment=knocktail:ipt\nports=tcp 22\nend=yes\n",
			 i >> 8, i & 255, boot_id, T0 + 30 * S + i * 100, i >> 8, i & 255);
		put_record(fixture, name, text);
	}
	assert_int_equal(inherit(fixture->grants, T0), 0);
	assert_int_equal(grants_count(fixture->grants), N);
	assert_in_range(settle_iptables(fixture, T0), 0, 100);
	assert_int_equal(grants_count(fixture->grants), N);
	assert_int_equal(count_rules(fixture), N);

	/* Somebody flushes them. */
	assert_int_equal(run_tool(fixture, "/usr/sbin/iptables", "-F KNOCKTAIL"), 0);
	assert_in_range(settle_iptables(fixture, T0 + S), 0, 100);
	assert_int_equal(count_rules(fixture), N);

	assert_in_range(settle_iptables(fixture, T0 + 31 * S), 0, 100);
	assert_int_equal(grants_count(fixture->grants), 0);
	assert_int_equal(count_rules(fixture), 0);
	assert_false(has_record(fixture, "ipt@10.0.3.231"));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_nothing),
		TEST(test_opens_and_closes),
		TEST(test_record_comes_first),
		TEST(test_renews),
		TEST(test_renews_while_opening),
		TEST(test_two_sources_and_doors),
		TEST(test_many),
		TEST(test_max_open_of_a_door),
		TEST(test_max_open_of_all),
		TEST(test_no_command_for_the_family),
		TEST(test_failing_start),
		TEST(test_failing_start_and_stop),
		TEST(test_start_that_is_not_there),
		TEST(test_start_that_hangs),
		TEST(test_start_that_is_killed),
		TEST(test_start_past_the_deadline),
		TEST(test_failing_stop),
		TEST(test_stop_that_hangs),
		TEST(test_stop_that_is_not_there),
		TEST(test_no_stop),
		TEST(test_knock_while_closing),
		TEST(test_slow_start_after_closing),
		TEST(test_knock_while_unclosed),
		TEST(test_failing_start_while_unclosed),
		TEST(test_knock_while_closing_too_long),
		TEST(test_knock_while_closing_a_changed_door),
		TEST(test_knock_while_closing_an_inherited),
		TEST(test_inherits_what_was_being_opened),
		TEST(test_inherits_how_often_it_was_opened),
		TEST(test_review_while_opening),
		TEST(test_suspend),
		TEST(test_suspend_and_resume),
		TEST(test_no_resume_after_a_reboot),
		TEST(test_close),
		TEST(test_each),
		TEST(test_suspend_in_every_state),
		TEST(test_suspend_unclosed),
		TEST(test_review),
		TEST(test_review_closes_the_old_way),
		TEST(test_adopts),
		TEST(test_whose_it_is_and_for_how_long),
		TEST(test_a_user_is_on_record),
		TEST(test_adopts_overdue),
		TEST(test_adopts_of_another_boot),
		TEST(test_sweeps),
		TEST(test_sweeps_overdue),
		TEST(test_sweeps_of_another_boot),
		TEST(test_inherits_garbage),
		TEST(test_inherits_twice),
		TEST(test_free_while_opening),
		TEST(test_unwritable_directory),
		TEST(test_no_directory),
		TEST(test_no_place_for_a_command),
		TEST(test_ipset),
		TEST(test_ipset_twins),
		TEST(test_ipset_triplets),
		TEST(test_ipset_closing_fails),
		TEST(test_ipset_without_the_set),
		TEST(test_ipset_survey),
		TEST(test_ipset_survey_spelled),
		TEST(test_ipset_ten_thousand),
		TEST(test_nft_ten_thousand),
		TEST(test_nft_put_back),
		TEST(test_survey_of_a_large_set),
		TEST(test_ipset_inherited),
		TEST(test_iptables),
		TEST(test_iptables_knocks_in_a_row),
		TEST(test_iptables_close_while_renewing),
		TEST(test_iptables_overdue_while_renewing),
		TEST(test_iptables_failing_renewal),
		TEST(test_iptables_survey),
		TEST(test_iptables_thousand),
	};

	permitted = support_private_network();
	return cmocka_run_group_tests_name("grants", tests, NULL, NULL);
}
