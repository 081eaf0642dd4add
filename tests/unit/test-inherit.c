/* What a successor makes of the state files: it takes over, sweeps, opens again. */
#include "grant/grants.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "cmocka-all.h"
#include "core/address.h"
#include "core/door.h"
#include "core/visitor.h"
#include "support-grants.h"
#include "support.h"

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
	assert_int_equal(grants_inherit(fixture->grants, find_door, &(struct door_list){doors, 2},
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

/* What a clean stop has closed is opened again for those alone who may still hold it. */
static void test_resume_for_who_is_left(void **state)
{
	static char *any_user[] = {(char *)"*", NULL};
	struct fixture *fixture = *state;
	struct door door = mark_door(fixture, 30);
	struct visitor bob = {.source = address(A), .user = "bob", .seconds = 60};
	struct visitor stranger = {.source = address(A), .user = "xavier", .seconds = 90};

	door.users = any_user;
	door.max_timeout_us = 100 * S;
	grants_open(fixture->grants, &door, &bob, T0);
	await_news(fixture, 1, T0);
	grants_open(fixture->grants, &door, &stranger, T0);
	grants_suspend(fixture->grants, T0 + S);
	await_count(fixture, 0, T0 + S);
	assert_true(recorded_deadline(fixture, "mark@192.0.2.1") == T0 + 90 * S);
	grants_free(fixture->grants);
	make_grants(fixture, boot_id);
	fixture->news[0] = '\0';
	assert_int_equal(grants_inherit(fixture->grants, find_door, &(struct door_list){&door, 1},
					T0 + 2 * S),
			 0);
	await_news(fixture, 1, T0 + 2 * S);
	expect_news(fixture, "restored mark 192.0.2.1 58: a clean stop had closed it\n");
	grants_review(fixture->grants, find_door, &(struct door_list){&door, 1}, T0 + 3 * S);
	expect_news(fixture, "");
	assert_true(recorded_deadline(fixture, "mark@192.0.2.1") == T0 + 60 * S);
	/* Nobody is left. */
	bob.user = "xenia";
	bob.seconds = 100;
	grants_open(fixture->grants, &door, &bob, T0 + 3 * S);
	grants_open(fixture->grants, &door, &stranger, T0 + 3 * S);
	grants_suspend(fixture->grants, T0 + 4 * S);
	await_count(fixture, 0, T0 + 4 * S);
	grants_free(fixture->grants);
	make_grants(fixture, boot_id);
	assert_int_equal(grants_inherit(fixture->grants, find_door, &(struct door_list){&door, 1},
					T0 + 70 * S),
			 0);
	assert_int_equal(grants_count(fixture->grants), 0);
	assert_false(has_record(fixture, "mark@192.0.2.1"));
	door.users = NULL;
}

/* What could not be read at the start is not read again once all is closed: that would open it. */
static void test_suspend_while_unread(void **state)
{
	struct fixture *fixture = *state;
	struct door door = mark_door(fixture, 30);
	struct rlimit old, scarce;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	scarce = old;
	scarce.rlim_cur = 3;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &scarce), 0);
	assert_int_equal(
		grants_inherit(fixture->grants, find_door, &(struct door_list){&door, 1}, T0),
		-EMFILE);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	open_door(fixture, &door, A, T0);
	await_news(fixture, 1, T0);
	grants_suspend(fixture->grants, T0 + S / 2);
	await_count(fixture, 0, T0 + S / 2);
	grants_run(fixture->grants, T0 + 2 * S);
	await_count(fixture, 0, T0 + 2 * S);
	assert_false(support_exists(fixture->mark));
	assert_true(has_record(fixture, "mark@192.0.2.1"));
	assert_int_equal(count_starts(fixture), 1);
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
		grants_inherit(fixture->grants, find_door, &(struct door_list){&door, 1}, S), 0);
	assert_int_equal(grants_count(fixture->grants), 0);
	assert_false(has_record(fixture, "mark@192.0.2.1"));
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
	grants_review(fixture->grants, find_door, &(struct door_list){&door, 1}, T0 + 10 * S);
	expect_news(fixture, "");
	open_door(fixture, &door, A, T0 + 15 * S);
	expect_news(fixture, "renewed mark 192.0.2.1 30\n");
	assert_int_equal(count_starts(fixture), 1);
	assert_true(recorded_deadline(fixture, "mark@192.0.2.1") == T0 + 45 * S);
	await_news(fixture, 1, T0 + 45 * S);
	expect_news(fixture, "closed mark 192.0.2.1 0\n");
	assert_false(support_exists(fixture->mark));
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
	assert_int_equal(grants_inherit(fixture->grants, find_door, &(struct door_list){&door, 1},
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
		grants_inherit(fixture->grants, find_door, &(struct door_list){&door, 1}, T0), 0);
	await_count(fixture, 0, T0);
	assert_non_null(strstr(fixture->news, "lost: gone@192.0.2.1\n"));
	assert_non_null(strstr(fixture->news, "lost: mark@192.0.2.2 of mark\n"));
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

int main(void)
{
	static const struct CMUnitTest tests[] = {
		GRANT_TEST(test_inherits_what_was_being_opened),
		GRANT_TEST(test_inherits_how_often_it_was_opened),
		GRANT_TEST(test_suspend_and_resume),
		GRANT_TEST(test_resume_for_who_is_left),
		GRANT_TEST(test_suspend_while_unread),
		GRANT_TEST(test_no_resume_after_a_reboot),
		GRANT_TEST(test_adopts),
		GRANT_TEST(test_adopts_overdue),
		GRANT_TEST(test_adopts_of_another_boot),
		GRANT_TEST(test_sweeps),
		GRANT_TEST(test_sweeps_overdue),
		GRANT_TEST(test_sweeps_of_another_boot),
		GRANT_TEST(test_inherits_garbage),
		GRANT_TEST(test_inherits_twice),
		GRANT_TEST(test_free_while_opening),
		GRANT_TEST(test_ipset_inherited),
	};

	permitted = support_private_network();
	return cmocka_run_group_tests_name("inherit", tests, NULL, NULL);
}
