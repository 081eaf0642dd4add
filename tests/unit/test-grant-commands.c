/* Grants whose commands fail, hang or are killed, and knocks while a command runs. */
#include "grant/grants.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmocka-all.h"
#include "core/door.h"
#include "firewall/firewall.h"
#include "support-grants.h"
#include "support.h"

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

/* Whoever has closed it has not closed what was opened after that. */
static void test_knock_while_closing_by_hand(void **state)
{
	const struct hand hand = {.is_known = true, .uid = 1000};
	struct fixture *fixture = *state;
	struct door door = mark_door(fixture, 30);

	for (int is_knocked_for = 0; is_knocked_for < 2; is_knocked_for++) {
		open_door(fixture, &door, A, T0);
		await_news(fixture, 1, T0);
		grants_close(fixture->grants, door.name, NULL, &hand, T0);
		if (is_knocked_for) {
			open_door(fixture, &door, A, T0);
			await_news(fixture, 3, T0);
		}
		await_count(fixture, 0, is_knocked_for ? T0 + 30 * S : T0);
		assert_int_equal(fixture->hand.is_known, !is_knocked_for);
		fixture->news[0] = '\0';
	}
}

/* It has nothing any more that could be opened: this knock is refused, and what is underway ends.
 */
static void test_knock_while_closing_what_has_gone(void **state)
{
	struct fixture *fixture = *state;
	struct door door = mark_door(fixture, 30);

	open_door(fixture, &door, A, T0);
	await_news(fixture, 1, T0);
	grants_run(fixture->grants, T0 + 30 * S);
	door.opening.start_command[FAMILY_IPV4] = NULL;
	open_door(fixture, &door, A, T0 + 30 * S);
	await_count(fixture, 0, T0 + 30 * S);
	expect_news(fixture, "opened mark 192.0.2.1 30\n"
			     "refused mark 192.0.2.1 0: Address family not supported by protocol\n"
			     "closed mark 192.0.2.1 0\n");
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

/* It is opened then, not renewed. */
static void test_what_has_waited_for_a_place(void **state)
{
	enum { PLACES = 32 };
	struct fixture *fixture = *state;
	struct door door =
		command_door("ssh", 30,
			     COMMAND(TEXT("/bin/sh"), TEXT("-c"),
				     TEXT("case $0 in 10.*) exec sleep 1000; esac"), TEXT("%IP%")),
			     COMMAND(TEXT("/bin/true")));

	for (unsigned i = 0; i < PLACES; i++) {
		char source[32];

		snprintf(source, sizeof source, "10.0.0.%u", i);
		open_door(fixture, &door, source, T0);
	}
	open_door(fixture, &door, A, T0);
	grants_run(fixture->grants, T0 + 9 * S);
	expect_news(fixture, "");
	for (uint64_t now_us = T0 + 10 * S; !strstr(fixture->news, " 192.0.2.1 ");
	     now_us += S / 50) {
		assert_true(now_us < T0 + 29 * S);
		grants_run(fixture->grants, now_us);
		poll(&(struct pollfd){.fd = grants_fd(fixture->grants), .events = POLLIN}, 1, 10);
	}
	assert_non_null(strstr(fixture->news, "opened ssh 192.0.2.1 "));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		GRANT_TEST(test_failing_start),
		GRANT_TEST(test_failing_start_and_stop),
		GRANT_TEST(test_start_that_is_not_there),
		GRANT_TEST(test_start_that_hangs),
		GRANT_TEST(test_start_that_is_killed),
		GRANT_TEST(test_start_past_the_deadline),
		GRANT_TEST(test_failing_stop),
		GRANT_TEST(test_stop_that_hangs),
		GRANT_TEST(test_stop_that_is_not_there),
		GRANT_TEST(test_no_stop),
		GRANT_TEST(test_knock_while_closing),
		GRANT_TEST(test_slow_start_after_closing),
		GRANT_TEST(test_knock_while_unclosed),
		GRANT_TEST(test_failing_start_while_unclosed),
		GRANT_TEST(test_knock_while_closing_too_long),
		GRANT_TEST(test_knock_while_closing_a_changed_door),
		GRANT_TEST(test_knock_while_closing_an_inherited),
		GRANT_TEST(test_knock_while_closing_by_hand),
		GRANT_TEST(test_knock_while_closing_what_has_gone),
		GRANT_TEST(test_no_place_for_a_command),
		GRANT_TEST(test_what_has_waited_for_a_place),
	};

	return cmocka_run_group_tests_name("grant commands", tests, NULL, NULL);
}
