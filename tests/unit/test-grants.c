/* The life of grants, with commands that are real and a clock that is not. */
#include "grant/grants.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmocka-all.h"
#include "core/address.h"
#include "core/door.h"
#include "core/visitor.h"
#include "support-grants.h"
#include "support.h"

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

	grants_limit(fixture->grants, 2, UINT32_MAX);
	open_door(fixture, &ssh, A, T0);
	open_door(fixture, &web, A, T0);
	await_news(fixture, 2, T0);
	fixture->news[0] = '\0';
	open_door(fixture, &web, B, T0);
	expect_news(fixture, "refused web 192.0.2.2 0: max_open doors are open\n");

	/* A lower limit closes nothing. */
	grants_limit(fixture->grants, 1, UINT32_MAX);
	grants_run(fixture->grants, T0);
	assert_int_equal(grants_count(fixture->grants), 2);
	open_door(fixture, &ssh, A, T0);
	expect_news(fixture, "renewed ssh 192.0.2.1 30\n");
	grants_limit(fixture->grants, 3, UINT32_MAX);
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
	assert_int_equal(grants_close(fixture->grants, "ssh", &c, &(struct hand){0}, T0 + S), 0);
	assert_int_equal(grants_close(fixture->grants, "none", NULL, &(struct hand){0}, T0 + S), 0);
	assert_int_equal(grants_close(fixture->grants, "ssh", &b, &(struct hand){0}, T0 + S), 1);
	await_count(fixture, 2, T0 + S);
	expect_news(fixture, "closed ssh 192.0.2.2 0\n");
	assert_false(has_record(fixture, "ssh@192.0.2.2"));
	assert_int_equal(grants_close(fixture->grants, "ssh", NULL, &(struct hand){0}, T0 + S), 1);
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
	grants_review(fixture->grants, find_door, &(struct door_list){doors, 5}, T0 + S);
	assert_true(grants_next_us(fixture->grants) > T0 + S);
	await_count(fixture, 1, T0 + S);
	assert_non_null(strstr(fixture->news, "closed gone 192.0.2.1 0\n"));
	assert_non_null(strstr(fixture->news, "closed stop 192.0.2.1 0\n"));
	assert_non_null(strstr(fixture->news, "closed allowed 192.0.2.1 0\n"));
	assert_non_null(strstr(fixture->news, "closed family 192.0.2.1 0\n"));
	assert_null(strstr(fixture->news, "same"));
	assert_true(grants_next_us(fixture->grants) == T0 + 30 * S);
	grants_review(fixture->grants, find_door, &(struct door_list){NULL, 0}, T0 + 2 * S);
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
	grants_review(fixture->grants, find_door, &(struct door_list){&door, 1}, T0 + S);
	await_news(fixture, 2, T0 + S);
	expect_news(fixture, "opened mark 192.0.2.1 30\nclosed mark 192.0.2.1 0\n");
	assert_false(support_exists(fixture->mark));
}

/* Its door changed while the command ran that opens it, and it was knocked for again: the old rule
 * goes, the new one comes. */
static void test_review_while_opening(void **state)
{
	struct fixture *fixture = *state;
	char *other = support_path(fixture->directory, "other");
	struct door door = mark_door(fixture, 30);

	open_door(fixture, &door, A, T0);
	grants_review(fixture->grants, find_door, &(struct door_list){NULL, 0}, T0);
	door.opening.start_command[FAMILY_IPV4] = COMMAND(TEXT("/usr/bin/touch"), other);
	door.opening.stop_command[FAMILY_IPV4] = COMMAND(TEXT("/bin/rm"), other);
	open_door(fixture, &door, A, T0 + S);
	await_news(fixture, 3, T0 + S);
	assert_true(support_exists(other));
	assert_false(support_exists(fixture->mark));
	free(other);
}

static char *any_user[] = {(char *)"*", NULL};

static void call_from(struct fixture *fixture, const struct door *door, const char *user,
		      const char *source, uint32_t seconds, uint64_t now_us)
{
	grants_open(fixture->grants, door,
		    &(struct visitor){.source = address(source), .user = user, .seconds = seconds},
		    now_us);
	while (fixture->news[0] == '\0')
		await_news(fixture, 1, now_us);
}

static void call(struct fixture *fixture, const struct door *door, const char *user,
		 uint32_t seconds, uint64_t now_us)
{
	call_from(fixture, door, user, A, seconds, now_us);
}

/* All but "USER", or "USER/N", the key of this number. */
static bool is_not(void *userdata, const char *user, const struct key_id *key)
{
	const char *other = userdata, *slash = strchr(other, '/');
	size_t length = slash ? (size_t)(slash - other) : strlen(other);

	return strlen(user) != length || memcmp(user, other, length) != 0 ||
	       (slash && key->bytes[0] != slash[1] - '0');
}

static void show_user(void *userdata, const struct grant_view *view)
{
	snprintf(userdata, 64, "%s %" PRIu64, view->user, view->left_us / S);
}

/* The last visitor's it is; an earlier deadline than there is none makes. Each user's knocks go
 * with the user, and nobody else's. */
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
	grants_expel(fixture->grants, is_not, TEXT("bob"), T0 + 2 * S);
	expect_news(fixture, "renewed mark 192.0.2.1 58\n");
	grants_each(fixture->grants, T0 + 2 * S, show_user, seen);
	assert_string_equal(seen, "alice 58");
	call(fixture, &door, "bob", 10, T0 + 3 * S);
	expect_news(fixture, "renewed mark 192.0.2.1 57\n");
	grants_expel(fixture->grants, is_not, TEXT("bob"), T0 + 4 * S);
	expect_news(fixture, "");
	grants_each(fixture->grants, T0 + 4 * S, show_user, seen);
	assert_string_equal(seen, "alice 56");
	call(fixture, &door, "bob", 10, T0 + 4 * S);
	expect_news(fixture, "renewed mark 192.0.2.1 56\n");
	grants_expel(fixture->grants, is_not, TEXT("alice"), T0 + 15 * S);
	await_news(fixture, 1, T0 + 15 * S);
	expect_news(fixture, "closed mark 192.0.2.1 0\n");
	door.users = NULL;
}

static void call_with_key(struct fixture *fixture, const struct door *door, uint8_t key,
			  uint32_t seconds, uint64_t now_us)
{
	grants_open(fixture->grants, door,
		    &(struct visitor){.source = address(A),
				      .user = "alice",
				      .key = {{key, 0xfe, [KEY_ID_SIZE - 1] = 0x09}},
				      .seconds = seconds},
		    now_us);
	while (fixture->news[0] == '\0')
		await_news(fixture, 1, now_us);
}

/* One of a user's two keys takes away what it has opened, and the other one's stays; the file says
 * which is whose. */
static void test_each_key_for_itself(void **state)
{
	struct fixture *fixture = *state;
	struct door door = mark_door(fixture, 30);
	char *path = support_path(fixture->records, "mark@192.0.2.1"), *text;

	door.users = any_user;
	door.max_timeout_us = 100 * S;
	call_with_key(fixture, &door, 1, 60, T0);
	expect_news(fixture, "opened mark 192.0.2.1 60\n");
	call_with_key(fixture, &door, 2, 100, T0);
	expect_news(fixture, "renewed mark 192.0.2.1 100\n");
	grants_limit(fixture->grants, 10, 1);
	call_with_key(fixture, &door, 1, 5, T0);
	expect_news(fixture, "renewed mark 192.0.2.1 100\n");
	text = support_read(path, NULL);
	assert_non_null(strstr(text, ",alice/01fe0000000000000000000000000009:"));
	assert_non_null(strstr(text, "alice/02fe0000000000000000000000000009:"));
	free(text);
	grants_free(fixture->grants);
	make_grants(fixture, boot_id);
	fixture->news[0] = '\0';
	assert_int_equal(
		grants_inherit(fixture->grants, find_door, &(struct door_list){&door, 1}, T0 + S),
		0);
	expect_news(fixture, "adopted mark 192.0.2.1 99\n");
	grants_expel(fixture->grants, is_not, TEXT("alice/2"), T0 + S);
	expect_news(fixture, "renewed mark 192.0.2.1 59\n");
	grants_expel(fixture->grants, is_not, TEXT("alice/1"), T0 + 2 * S);
	await_news(fixture, 1, T0 + 2 * S);
	expect_news(fixture, "closed mark 192.0.2.1 0\n");
	door.users = NULL;
	free(path);
}

/* Who holds what outlives the daemon. */
static void test_holders_are_on_record(void **state)
{
	struct fixture *fixture = *state;
	struct door door = mark_door(fixture, 30);
	char seen[64] = "";
	char *path, *text;

	door.users = any_user;
	door.max_timeout_us = 100 * S;
	call(fixture, &door, "alice", 60, T0);
	expect_news(fixture, "opened mark 192.0.2.1 60\n");
	call(fixture, &door, "bob", 100, T0 + S);
	expect_news(fixture, "renewed mark 192.0.2.1 100\n");
	call(fixture, &door, NULL, 5, T0 + S);
	expect_news(fixture, "renewed mark 192.0.2.1 100\n");
	path = support_path(fixture->records, "mark@192.0.2.1");
	text = support_read(path, NULL);
	assert_non_null(strstr(text, "\nholders=alice:"));
	assert_non_null(strstr(text, ",bob:"));
	assert_non_null(strstr(text, ",:"));
	free(text);
	free(path);
	grants_free(fixture->grants);
	make_grants(fixture, boot_id);
	fixture->news[0] = '\0';
	assert_int_equal(grants_inherit(fixture->grants, find_door, &(struct door_list){&door, 1},
					T0 + 2 * S),
			 0);
	expect_news(fixture, "adopted mark 192.0.2.1 99\n");
	grants_expel(fixture->grants, is_not, TEXT("bob"), T0 + 2 * S);
	expect_news(fixture, "renewed mark 192.0.2.1 58\n");
	grants_each(fixture->grants, T0 + 2 * S, show_user, seen);
	assert_string_equal(seen, " 58");
	grants_expel(fixture->grants, is_not, TEXT("alice"), T0 + 2 * S);
	expect_news(fixture, "renewed mark 192.0.2.1 4\n");
	door.users = NULL;
}

/* A user who may no longer open a door loses it, and others do not. */
static void test_a_door_is_no_longer_for_a_user(void **state)
{
	static char alice[] = "alice", *alice_alone[] = {alice, NULL};
	struct fixture *fixture = *state;
	struct door door = mark_door(fixture, 30);

	door.users = any_user;
	door.max_timeout_us = 100 * S;
	call(fixture, &door, "alice", 60, T0);
	call(fixture, &door, "bob", 100, T0);
	expect_news(fixture, "opened mark 192.0.2.1 60\nrenewed mark 192.0.2.1 100\n");
	door.users = alice_alone;
	grants_review(fixture->grants, find_door, &(struct door_list){&door, 1}, T0 + S);
	expect_news(fixture, "renewed mark 192.0.2.1 59\n");
	door.users = NULL;
}

static void test_opens_for_other_hosts_only(void **state)
{
	struct fixture *fixture = *state;
	struct door door = mark_door(fixture, 30);

	open_door(fixture, &door, "255.255.255.255", T0);
	open_door(fixture, &door, "ff02::1", T0);
	expect_news(fixture, "refused mark 255.255.255.255 0: no other host has this address\n"
			     "refused mark ff02::1 0: no other host has this address\n");
	assert_int_equal(grants_count(fixture->grants), 0);
}

/* What it opens for the one who stays is what it was opened for. */
static void test_who_stays_has_asked_for_as_long(void **state)
{
	struct fixture *fixture = *state;
	struct door door = mark_door(fixture, 30);

	door.users = any_user;
	door.max_timeout_us = 100 * S;
	door.opening.stop_command[FAMILY_IPV4] =
		COMMAND(TEXT("/bin/rm"), TEXT("-f"), fixture->mark, TEXT("%TIMEOUT%"));
	call(fixture, &door, "alice", 60, T0);
	call(fixture, &door, "bob", 60, T0 + S);
	expect_news(fixture, "opened mark 192.0.2.1 60\nrenewed mark 192.0.2.1 60\n");
	grants_expel(fixture->grants, is_not, TEXT("bob"), T0 + 2 * S);
	expect_news(fixture, "renewed mark 192.0.2.1 58\n");
	grants_review(fixture->grants, find_door, &(struct door_list){&door, 1}, T0 + 2 * S);
	assert_true(grants_next_us(fixture->grants) == T0 + 60 * S);
	door.users = NULL;
}

/* What a withdrawn key has opened does not stay open because there is no room to note that. */
static void test_unwritable_directory_when_a_holder_goes(void **state)
{
	struct fixture *fixture = *state;
	struct door door = mark_door(fixture, 30);
	char *record = support_path(fixture->records, "mark@192.0.2.1");

	door.users = any_user;
	door.max_timeout_us = 100 * S;
	call(fixture, &door, "alice", 60, T0);
	call(fixture, &door, "bob", 100, T0);
	expect_news(fixture, "opened mark 192.0.2.1 60\nrenewed mark 192.0.2.1 100\n");
	assert_int_equal(unlink(record), 0);
	assert_int_equal(rmdir(fixture->records), 0);
	grants_expel(fixture->grants, is_not, TEXT("bob"), T0 + 2 * S);
	expect_news(fixture, "renewed mark 192.0.2.1 58\n");
	assert_true(grants_next_us(fixture->grants) == T0 + 60 * S);
	await_news(fixture, 1, T0 + 60 * S);
	expect_news(fixture, "closed mark 192.0.2.1 0\n");
	free(record);
	door.users = NULL;
}

/* Who was refused holds nothing by that, and who had an earlier deadline has that one. */
static void test_refused_knocks_leave_nothing(void **state)
{
	struct fixture *fixture = *state;
	struct door door = mark_door(fixture, 30);
	char *record = support_path(fixture->records, "mark@192.0.2.1");

	door.users = any_user;
	door.max_timeout_us = 100 * S;
	call(fixture, &door, "alice", 30, T0);
	call(fixture, &door, "bob", 60, T0);
	expect_news(fixture, "opened mark 192.0.2.1 30\nrenewed mark 192.0.2.1 60\n");
	assert_int_equal(unlink(record), 0);
	assert_int_equal(rmdir(fixture->records), 0);
	call(fixture, &door, "alice", 100, T0 + S);
	call(fixture, &door, "carol", 90, T0 + S);
	expect_news(fixture, "refused mark 192.0.2.1 0: cannot write its state file\n"
			     "refused mark 192.0.2.1 0: cannot write its state file\n");
	assert_true(grants_next_us(fixture->grants) == T0 + 60 * S);
	grants_expel(fixture->grants, is_not, TEXT("bob"), T0 + 2 * S);
	expect_news(fixture, "renewed mark 192.0.2.1 28\n");
	grants_expel(fixture->grants, is_not, TEXT("alice"), T0 + 2 * S);
	await_news(fixture, 1, T0 + 2 * S);
	expect_news(fixture, "closed mark 192.0.2.1 0\n");
	free(record);
	door.users = NULL;
}

/* What other hosts of the fleet hold is theirs: it is not for users of the door, ends with their
 * word alone, and this host never takes it for its own. */
static void test_what_other_hosts_hold(void **state)
{
	struct fixture *fixture = *state;
	struct door door = mark_door(fixture, 30);

	door.users = any_user;
	door.max_timeout_us = 100 * S;
	call(fixture, &door, "alice@b", 100, T0);
	expect_news(fixture, "opened mark 192.0.2.1 100\n");
	assert_string_equal(fixture->own, "- 0 0");
	call(fixture, &door, "alice", 60, T0);
	expect_news(fixture, "renewed mark 192.0.2.1 100\n");
	assert_string_equal(fixture->own, "alice 60 0");
	grants_release(fixture->grants, "mark", NULL, "c", 0, T0 + S);
	expect_news(fixture, "");
	grants_release(fixture->grants, "mark", NULL, "b", 0, T0 + S);
	expect_news(fixture, "renewed mark 192.0.2.1 59\n");
	assert_string_equal(fixture->own, "alice 59 0");
	call(fixture, &door, "@b", 100, T0 + S);
	expect_news(fixture, "renewed mark 192.0.2.1 100\n");
	/* Hers is over, and theirs goes on. */
	grants_expel(fixture->grants, is_not, TEXT("alice"), T0 + 2 * S);
	expect_news(fixture, "");
	assert_string_equal(fixture->own, "- 0 0");
	door.users = NULL;
	grants_review(fixture->grants, find_door, &(struct door_list){&door, 1}, T0 + 2 * S);
	expect_news(fixture, "");
	grants_release(fixture->grants, "mark", &(struct address){{0}}, "b", 0, T0 + 2 * S);
	expect_news(fixture, "");
	grants_release(fixture->grants, "mark", NULL, "b", 0, T0 + 3 * S);
	await_news(fixture, 1, T0 + 3 * S);
	expect_news(fixture, "closed mark 192.0.2.1 0\n");
}

static void test_what_other_hosts_hold_is_on_record(void **state)
{
	struct fixture *fixture = *state;
	struct door door = mark_door(fixture, 30);

	door.users = any_user;
	door.max_timeout_us = 100 * S;
	call(fixture, &door, "alice", 60, T0);
	call(fixture, &door, "@web1.example.net", 90, T0);
	expect_news(fixture, "opened mark 192.0.2.1 60\nrenewed mark 192.0.2.1 90\n");
	fixture->grants = grants_free(fixture->grants);
	make_grants(fixture, boot_id);
	assert_int_equal(
		grants_inherit(fixture->grants, find_door, &(struct door_list){&door, 1}, T0 + S),
		0);
	expect_news(fixture, "adopted mark 192.0.2.1 89\n");
	assert_string_equal(fixture->own, "alice 59 0");
	grants_release(fixture->grants, "mark", NULL, "web1.example.net", 0, T0 + 2 * S);
	expect_news(fixture, "renewed mark 192.0.2.1 58\n");
	door.users = NULL;
}

/* A user of another host is one; what nobody's key has opened there is nobody's. */
static void test_max_open_user_of_other_hosts(void **state)
{
	struct fixture *fixture = *state;
	struct door door = mark_door(fixture, 30);

	grants_limit(fixture->grants, 100, 1);
	call_from(fixture, &door, "bob@b", "192.0.2.1", 0, T0);
	expect_news(fixture, "opened mark 192.0.2.1 30\n");
	call_from(fixture, &door, "bob@b", "192.0.2.2", 0, T0);
	expect_news(fixture, "refused mark 192.0.2.2 0: the user has max_open_user doors open\n");
	call_from(fixture, &door, "@b", "192.0.2.3", 0, T0);
	expect_news(fixture, "opened mark 192.0.2.3 30\n");
	call_from(fixture, &door, "@b", "192.0.2.4", 0, T0);
	expect_news(fixture, "opened mark 192.0.2.4 30\n");
	/* It is the same bob. */
	call_from(fixture, &door, "bob@c", "192.0.2.5", 0, T0);
	expect_news(fixture, "refused mark 192.0.2.5 0: the user has max_open_user doors open\n");
	call_from(fixture, &door, "bob@c", "192.0.2.1", 0, T0);
	expect_news(fixture, "renewed mark 192.0.2.1 30\n");
	call_from(fixture, &door, "bobby@c", "192.0.2.6", 0, T0);
	expect_news(fixture, "opened mark 192.0.2.6 30\n");
}

/* Whatever other hosts have open, those who knock here find room. */
static void test_room_for_those_of_this_host(void **state)
{
	struct fixture *fixture = *state;
	struct door door = mark_door(fixture, 30);

	door.max_open = 4;
	call_from(fixture, &door, "@b", "192.0.2.1", 0, T0);
	expect_news(fixture, "opened mark 192.0.2.1 30\n");
	call_from(fixture, &door, "@c", "192.0.2.2", 0, T0);
	expect_news(fixture, "opened mark 192.0.2.2 30\n");
	call_from(fixture, &door, "@d", "192.0.2.3", 0, T0);
	expect_news(fixture, "opened mark 192.0.2.3 30\n");
	call_from(fixture, &door, "@e", "192.0.2.4", 0, T0);
	expect_news(fixture, "refused mark 192.0.2.4 0: the door is open for max_open sources\n");
	call_from(fixture, &door, NULL, "192.0.2.4", 0, T0);
	expect_news(fixture, "opened mark 192.0.2.4 30\n");
	grants_limit(fixture->grants, 4, 100);
	door.max_open = 100;
	call_from(fixture, &door, "@e", "192.0.2.5", 0, T0);
	expect_news(fixture, "refused mark 192.0.2.5 0: max_open doors are open\n");
}

/* Nor do they use up what one user may have. */
static void test_room_for_a_user_of_this_host(void **state)
{
	struct fixture *fixture = *state;
	struct door door = mark_door(fixture, 30);

	door.users = any_user;
	grants_limit(fixture->grants, 100, 4);
	call_from(fixture, &door, "bob@b", "192.0.2.1", 0, T0);
	expect_news(fixture, "opened mark 192.0.2.1 30\n");
	call_from(fixture, &door, "bob@c", "192.0.2.2", 0, T0);
	expect_news(fixture, "opened mark 192.0.2.2 30\n");
	call_from(fixture, &door, "bob@b", "192.0.2.3", 0, T0);
	expect_news(fixture, "opened mark 192.0.2.3 30\n");
	call_from(fixture, &door, "bob@c", "192.0.2.4", 0, T0);
	expect_news(fixture, "refused mark 192.0.2.4 0: the user has max_open_user doors open\n");
	call_from(fixture, &door, "bob", "192.0.2.4", 0, T0);
	expect_news(fixture, "opened mark 192.0.2.4 30\n");
	call_from(fixture, &door, "bob", "192.0.2.5", 0, T0);
	expect_news(fixture, "refused mark 192.0.2.5 0: the user has max_open_user doors open\n");
	door.users = NULL;
}

/* Of one there is nothing to leave, of few one. */
static void test_little_room(void **state)
{
	static const unsigned for_others[] = {1, 1, 2, 3, 4, 5, 6, 6};
	struct fixture *fixture = *state;
	struct door door = mark_door(fixture, 30);

	grants_limit(fixture->grants, 100, 100);
	for (unsigned limit = 1; limit <= sizeof for_others / sizeof for_others[0]; limit++) {
		char source[32], name[16], news[100];
		unsigned n = for_others[limit - 1];

		snprintf(name, sizeof name, "few%u", limit);
		strcpy(door.name, name);
		door.max_open = limit;
		for (unsigned i = 1; i <= n + 1; i++) {
			snprintf(source, sizeof source, "192.0.2.%u", i);
			snprintf(news, sizeof news,
				 i <= n ? "opened %s %s 30\n"
					: "refused %s %s 0: the door is open for max_open "
					  "sources\n",
				 name, source);
			call_from(fixture, &door, "@b", source, 0, T0);
			expect_news(fixture, news);
		}
		if (limit == 1)
			continue;
		call_from(fixture, &door, NULL, source, 0, T0);
		snprintf(news, sizeof news, "opened %s %s 30\n", name, source);
		expect_news(fixture, news);
	}
}

/* However many other hosts have it open for the source, who has knocked here still does. */
static void test_other_hosts_push_nobody_out(void **state)
{
	struct fixture *fixture = *state;
	struct door door = mark_door(fixture, 30);
	char user[8];

	door.users = any_user;
	door.max_timeout_us = 100 * S;
	call(fixture, &door, "alice", 60, T0);
	for (int i = 0; i < 20; i++) {
		fixture->news[0] = '\0';
		snprintf(user, sizeof user, "@h%d", i);
		call(fixture, &door, user, 100, T0);
		assert_string_equal(fixture->own, "alice 60 0");
	}
	door.users = NULL;
}

static void knock_at(struct fixture *fixture, const struct door *door, const char *user,
		     uint64_t stamp_us)
{
	grants_open(fixture->grants, door,
		    &(struct visitor){.source = address(A), .user = user, .stamp_us = stamp_us},
		    T0);
	while (fixture->news[0] == '\0')
		await_news(fixture, 1, T0);
	fixture->news[0] = '\0';
}

/* What is said late closes what was there then, and no later knock. */
static void test_late_closing(void **state)
{
	struct fixture *fixture = *state;
	struct door door = mark_door(fixture, 30);

	knock_at(fixture, &door, "@b", 1000);
	knock_at(fixture, &door, "", 2000);
	knock_at(fixture, &door, "@c", 1500);
	grants_release(fixture->grants, "mark", NULL, NULL, 1999, T0 + S);
	assert_string_equal(fixture->own, " 29 2000");
	assert_true(support_exists(fixture->mark));
	grants_release(fixture->grants, "mark", NULL, "c", 1999, T0 + S);
	assert_true(support_exists(fixture->mark));
	grants_release(fixture->grants, "mark", NULL, NULL, 2000, T0 + S);
	await_news(fixture, 1, T0 + S);
	assert_false(support_exists(fixture->mark));
}

static void test_max_open_user(void **state)
{
	struct fixture *fixture = *state;
	struct door door = mark_door(fixture, 30);

	door.users = any_user;
	grants_limit(fixture->grants, 100, 2);
	call_from(fixture, &door, "bob", "192.0.2.1", 0, T0);
	expect_news(fixture, "opened mark 192.0.2.1 30\n");
	call_from(fixture, &door, "bob", "192.0.2.2", 0, T0);
	expect_news(fixture, "opened mark 192.0.2.2 30\n");
	call_from(fixture, &door, "bob", "192.0.2.3", 0, T0);
	expect_news(fixture, "refused mark 192.0.2.3 0: the user has max_open_user doors open\n");
	call_from(fixture, &door, "bob", "192.0.2.2", 0, T0 + S);
	expect_news(fixture, "renewed mark 192.0.2.2 30\n");
	call_from(fixture, &door, "alice", "192.0.2.3", 0, T0 + S);
	expect_news(fixture, "opened mark 192.0.2.3 30\n");
	call_from(fixture, &door, "bob", "192.0.2.3", 0, T0 + S);
	expect_news(fixture, "refused mark 192.0.2.3 0: the user has max_open_user doors open\n");
	call_from(fixture, &door, NULL, "192.0.2.4", 0, T0 + S);
	expect_news(fixture, "opened mark 192.0.2.4 30\n");
	door.users = NULL;
}

/* Those that others alone still hold are not the user's any more. */
static void test_max_open_user_of_what_is_over(void **state)
{
	struct fixture *fixture = *state;
	struct door door = mark_door(fixture, 30);

	door.users = any_user;
	door.max_timeout_us = 100 * S;
	grants_limit(fixture->grants, 100, 1);
	call_from(fixture, &door, "bob", "192.0.2.1", 10, T0);
	expect_news(fixture, "opened mark 192.0.2.1 10\n");
	call_from(fixture, &door, "alice", "192.0.2.1", 100, T0);
	expect_news(fixture, "renewed mark 192.0.2.1 100\n");
	call_from(fixture, &door, "bob", "192.0.2.2", 10, T0 + 10 * S - 1);
	expect_news(fixture, "refused mark 192.0.2.2 0: the user has max_open_user doors open\n");
	call_from(fixture, &door, "bob", "192.0.2.2", 10, T0 + 10 * S);
	expect_news(fixture, "opened mark 192.0.2.2 10\n");
	call_from(fixture, &door, "bob", "192.0.2.1", 10, T0 + 10 * S);
	expect_news(fixture, "refused mark 192.0.2.1 0: the user has max_open_user doors open\n");
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
		grants_inherit(fixture->grants, find_door, &(struct door_list){&door, 1}, T0 + S),
		0);
	expect_news(fixture, "adopted mark 192.0.2.1 59\n");
	grants_each(fixture->grants, T0 + S, show_user, seen);
	assert_string_equal(seen, "bob 59");
	/* Nobody who is not one of the door's users keeps it open. */
	grants_review(fixture->grants, find_door, &(struct door_list){&door, 1}, T0 + 2 * S);
	expect_news(fixture, "");
	door.users = NULL;
	grants_review(fixture->grants, find_door, &(struct door_list){&door, 1}, T0 + 2 * S);
	await_news(fixture, 1, T0 + 2 * S);
	expect_news(fixture, "closed mark 192.0.2.1 0\n");
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

int main(void)
{
	static const struct CMUnitTest tests[] = {
		GRANT_TEST(test_nothing),
		GRANT_TEST(test_opens_and_closes),
		GRANT_TEST(test_record_comes_first),
		GRANT_TEST(test_renews),
		GRANT_TEST(test_renews_while_opening),
		GRANT_TEST(test_two_sources_and_doors),
		GRANT_TEST(test_many),
		GRANT_TEST(test_max_open_of_a_door),
		GRANT_TEST(test_max_open_of_all),
		GRANT_TEST(test_no_command_for_the_family),
		GRANT_TEST(test_suspend),
		GRANT_TEST(test_close),
		GRANT_TEST(test_each),
		GRANT_TEST(test_suspend_in_every_state),
		GRANT_TEST(test_suspend_unclosed),
		GRANT_TEST(test_review),
		GRANT_TEST(test_review_closes_the_old_way),
		GRANT_TEST(test_review_while_opening),
		GRANT_TEST(test_whose_it_is_and_for_how_long),
		GRANT_TEST(test_each_key_for_itself),
		GRANT_TEST(test_holders_are_on_record),
		GRANT_TEST(test_a_door_is_no_longer_for_a_user),
		GRANT_TEST(test_opens_for_other_hosts_only),
		GRANT_TEST(test_who_stays_has_asked_for_as_long),
		GRANT_TEST(test_unwritable_directory_when_a_holder_goes),
		GRANT_TEST(test_refused_knocks_leave_nothing),
		GRANT_TEST(test_what_other_hosts_hold),
		GRANT_TEST(test_what_other_hosts_hold_is_on_record),
		GRANT_TEST(test_max_open_user_of_other_hosts),
		GRANT_TEST(test_room_for_a_user_of_this_host),
		GRANT_TEST(test_little_room),
		GRANT_TEST(test_room_for_those_of_this_host),
		GRANT_TEST(test_other_hosts_push_nobody_out),
		GRANT_TEST(test_late_closing),
		GRANT_TEST(test_max_open_user),
		GRANT_TEST(test_max_open_user_of_what_is_over),
		GRANT_TEST(test_a_user_is_on_record),
		GRANT_TEST(test_unwritable_directory),
		GRANT_TEST(test_no_directory),
	};

	return cmocka_run_group_tests_name("grants", tests, NULL, NULL);
}
