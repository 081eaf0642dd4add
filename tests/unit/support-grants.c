#include "support-grants.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka-all.h"
#include "core/address.h"
#include "core/door.h"
#include "core/visitor.h"
#include "support.h"

const char boot_id[] = "11111111111111111111111111111111";
const char A[] = "192.0.2.1", B[] = "192.0.2.2", C6[] = "2001:db8::1";

bool permitted;

const struct door ipset_door = {
	.name = "ip",
	.timeout_us = 30 * S,
	.max_open = 10,
	.opening.backend = BACKEND_IPSET,
	.opening.set = {TEXT("kt")},
	.opening.entry = TEXT("%IP%"),
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

	snprintf(fixture->own, sizeof fixture->own, "%s %" PRIu64 " %" PRIu64,
		 event->own_user ? event->own_user : "-", event->own_left_us / S,
		 event->own_stamp_us);
	fixture->hand = event->hand;
	if (event->kind == EVENT_HELD)
		return;
	if (event->kind == EVENT_LOST) {
		snprintf(end, room, "lost: %s%s%s\n", event->reason, event->door ? " of " : "",
			 event->door ? event->door : "");
		return;
	}
	snprintf(end, room, "%s %s %s %" PRIu64 "%s%s\n", event_names[event->kind], event->door,
		 address_format(&event->source, source), event->left_us / S,
		 event->reason ? ": " : "", event->reason ? event->reason : "");
}

void make_grants(struct fixture *fixture, const char *boot)
{
	const struct grants_options options = {
		.directory = fixture->records,
		.boot_id = boot,
		.on_event = on_news,
		.userdata = fixture,
	};

	assert_int_equal(grants_new(&options, &fixture->grants), 0);
}

int set_up(void **state)
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

int tear_down(void **state)
{
	struct fixture *fixture = *state;

	grants_free(fixture->grants);
	free(fixture->records);
	free(fixture->mark);
	free(fixture->count);
	support_remove(fixture->directory);
	return 0;
}

struct address address(const char *text)
{
	struct address address;

	assert_int_equal(address_parse(text, &address), 0);
	return address;
}

struct door command_door(const char *name, uint64_t timeout_s, char **start, char **stop)
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

struct door true_door(const char *name, uint64_t timeout_s)
{
	static char *command[] = {(char *)"/bin/true", NULL};

	return command_door(name, timeout_s, command, command);
}

struct door mark_door(const struct fixture *fixture, uint64_t timeout_s)
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

void open_door(struct fixture *fixture, const struct door *door, const char *source,
	       uint64_t now_us)
{
	grants_open(fixture->grants, door, &(struct visitor){.source = address(source)}, now_us);
}

void expect_news(struct fixture *fixture, const char *expected)
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

void await_news(struct fixture *fixture, size_t n, uint64_t now_us)
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

void await_count(struct fixture *fixture, size_t n, uint64_t now_us)
{
	for (;;) {
		grants_run(fixture->grants, now_us);
		if (grants_count(fixture->grants) == n)
			return;
		support_wait(grants_fd(fixture->grants));
	}
}

bool has_record(const struct fixture *fixture, const char *name)
{
	char *path = support_path(fixture->records, name);
	bool exists = support_exists(path);

	free(path);
	return exists;
}

uint64_t recorded_deadline(const struct fixture *fixture, const char *name)
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

void put_record(const struct fixture *fixture, const char *name, const char *text)
{
	char *path = support_path(fixture->records, name);

	support_write(path, text, strlen(text));
	free(path);
}

size_t count_starts(const struct fixture *fixture)
{
	size_t length = 0;
	char *text = support_read(fixture->count, &length);

	free(text);
	return length;
}

const struct door *find_door(void *userdata, const char *name, const char *user,
			     const struct key_id *key)
{
	const struct door_list *doors = userdata;

	(void)key;
	if (user[0] == 'x')
		return NULL;
	for (size_t i = 0; i < doors->n; i++)
		if (strcmp(doors->doors[i].name, name) == 0)
			return &doors->doors[i];
	return NULL;
}

int inherit(struct grants *grants, uint64_t now_us)
{
	return grants_inherit(grants, find_door, &(struct door_list){NULL, 0}, now_us);
}

struct fixture *with_sets(void **state)
{
	if (!permitted)
		skip();
	support_ipset("destroy");
	assert_int_equal(support_ipset("create kt hash:ip timeout 0"), 0);
	return *state;
}
