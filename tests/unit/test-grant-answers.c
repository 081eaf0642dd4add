/* What the firewall answers about a grant, and what becomes of it. Nothing here needs a firewall:
 * the answers are made up. */
#include "grant/grant.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka-all.h"
#include "core/placeholder.h"
#include "firewall/backends.h"
#include "firewall/firewall.h"
#include "firewall/passage.h"
#include "grant/table.h"
#include "support.h"

#define S  UINT64_C(1000000)
#define T0 (1000 * S)

/* The grants of these tests are due at, and the kernel was told so at T0. */
#define DEADLINE (T0 + 30 * S)

struct fixture {
	char *directory, *records;
	struct grants *grants;
	struct grant *grant; /* one that is open */
	char news[200];	     /* since the last look */
};

static void on_news(void *userdata, const struct event *event)
{
	static const char *const names[] = {
		[EVENT_ADOPTED] = "adopted",	       [EVENT_RESTORED] = "restored",
		[EVENT_RENEWED] = "renewed",	       [EVENT_CLOSED] = "closed",
		[EVENT_CLOSE_FAILED] = "close-failed",
	};
	struct fixture *fixture = userdata;
	size_t length = strlen(fixture->news);

	snprintf(fixture->news + length, sizeof fixture->news - length, "%s ", names[event->kind]);
}

static struct passage *make_rule(const struct visitor *visitor)
{
	const struct door door = {
		.name = "ip",
		.opening.backend = BACKEND_IPSET,
		.opening.set = {(char *)"kt"},
		.opening.entry = (char *)"%IP%",
	};
	const struct placeholder_values values = placeholder_values(&door, visitor);
	struct passage *passage;

	assert_int_equal(passage_new(&door.opening, &values, &passage), 0);
	return passage;
}

/* An open grant of a door whose rules the kernel itself ends. */
static struct grant *put_grant(struct grants *grants, const char *door)
{
	struct visitor visitor = {0};
	struct grant *grant;

	assert_int_equal(address_parse("192.0.2.1", &visitor.source), 0);
	assert_int_equal(grant_new(grants, door, &visitor, make_rule(&visitor), DEADLINE, &grant),
			 0);
	grant->state = GRANT_OPEN;
	grant->n_opened = 1;
	grant->kept_at_us = T0;
	grant->asked_us = grant->kept_us = DEADLINE;
	return grant;
}

static int set_up(void **state)
{
	static struct fixture fixture;
	struct grants_options options = {
		.boot_id = "11111111111111111111111111111111",
		.on_event = on_news,
		.userdata = &fixture,
	};

	fixture = (struct fixture){.directory = support_directory()};
	fixture.records = support_path(fixture.directory, "grants");
	options.directory = fixture.records;
	assert_int_equal(grants_new(&options, &fixture.grants), 0);
	fixture.grant = put_grant(fixture.grants, "ip");
	*state = &fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	grants_free(fixture->grants);
	free(fixture->records);
	support_remove(fixture->directory);
	return 0;
}

/* The answer, to what was asked at `asked_us`. Whether the kernel is to be told once more. */
static bool is_retold(struct fixture *fixture, enum firewall_answer answer, uint64_t left_us,
		      uint64_t asked_us)
{
	struct grant *grant = fixture->grant;
	bool retold;

	fixture->news[0] = '\0';
	grant_found(grant, answer, left_us, asked_us, asked_us);
	retold = grant->state == GRANT_PENDING_RENEW;
	if (retold)
		assert_true(grants_next_us(fixture->grants) == asked_us);
	grant->state = GRANT_OPEN;
	due_queue_move(&fixture->grants->queue, &grant->due, grant->deadline_us);
	return retold;
}

/* Kernels count in whole seconds: less than two more or less are the same. */
static void test_how_far_the_kernel_may_be_off(void **state)
{
	struct fixture *fixture = *state;

	assert_false(is_retold(fixture, FIREWALL_PRESENT, 20 * S, T0 + 10 * S));
	assert_false(is_retold(fixture, FIREWALL_PRESENT, 22 * S - 1, T0 + 10 * S));
	assert_false(is_retold(fixture, FIREWALL_PRESENT, 18 * S + 1, T0 + 10 * S));
	assert_string_equal(fixture->news, "");
	assert_true(is_retold(fixture, FIREWALL_PRESENT, 22 * S, T0 + 10 * S));
	assert_true(is_retold(fixture, FIREWALL_PRESENT, 18 * S, T0 + 10 * S));
	assert_true(is_retold(fixture, FIREWALL_PRESENT, 0, T0 + 10 * S));
	assert_true(is_retold(fixture, FIREWALL_PRESENT, UINT32_MAX * S, T0 + 10 * S));
	assert_string_equal(fixture->news, "");
	assert_int_equal(fixture->grant->why, GRANT_WHY_RESYNC);
}

/* What was asked before the kernel was told says nothing of what it was told. */
static void test_an_answer_that_is_older_than_the_truth(void **state)
{
	struct fixture *fixture = *state;

	assert_false(is_retold(fixture, FIREWALL_ABSENT, 0, T0 - 1));
	assert_true(is_retold(fixture, FIREWALL_ABSENT, 0, T0));
	assert_int_equal(fixture->grant->why, GRANT_WHY_RESTORED);
	assert_true(is_retold(fixture, FIREWALL_ABSENT, 0, T0 + 1));
}

/* In its last second, while it is closed, and when it is to be opened as another, nobody asks. */
static void test_when_there_is_nothing_to_ask(void **state)
{
	struct fixture *fixture = *state;
	struct grant *grant = fixture->grant;

	assert_true(grant_should_show(grant, DEADLINE - S - 1));
	assert_false(grant_should_show(grant, DEADLINE - S));
	assert_false(grant_should_show(grant, DEADLINE + S));
	assert_false(is_retold(fixture, FIREWALL_ABSENT, 0, DEADLINE - S));
	assert_false(is_retold(fixture, FIREWALL_ABSENT, 0, DEADLINE + 99 * S));
	for (enum grant_state s = GRANT_PENDING_OPEN; s <= GRANT_PENDING_CLOSE; s++) {
		grant->state = s;
		assert_true(grant_should_show(grant, T0) == (s == GRANT_OPEN));
	}
	grant->state = GRANT_OPEN;
	grant->wanted = make_rule(&(struct visitor){.source = grant->source});
	assert_false(grant_should_show(grant, T0));
}

/* A spelling that hides how long it lasts is believed, unless the grant is a predecessor's, who may
 * have died before the kernel knew. */
static void test_a_spelling_that_hides_the_time(void **state)
{
	struct fixture *fixture = *state;

	assert_false(is_retold(fixture, FIREWALL_SPELLED, 0, T0 + S));
	assert_string_equal(fixture->news, "");
	fixture->grant->adopted = true;
	assert_true(is_retold(fixture, FIREWALL_SPELLED, 0, T0 + S));
	assert_int_equal(fixture->grant->why, GRANT_WHY_ADOPTED);
	assert_false(fixture->grant->adopted);
	fixture->grant->adopted = true;
	assert_false(is_retold(fixture, FIREWALL_SPELLED, 29 * S, T0 + S));
	assert_string_equal(fixture->news, "adopted ");
}

/* A firewall that says nothing is told again, and nobody is told of that. */
static void test_silence(void **state)
{
	struct fixture *fixture = *state;

	assert_true(is_retold(fixture, FIREWALL_SILENT, 29 * S, T0 + S));
	assert_int_equal(fixture->grant->why, GRANT_WHY_RESYNC);
	assert_string_equal(fixture->news, "");
}

/* A predecessor's grant is told of once, as soon as the firewall is known to have it. */
static void test_a_predecessors_grant_is_told_of_once(void **state)
{
	struct fixture *fixture = *state;

	fixture->grant->adopted = true;
	assert_false(is_retold(fixture, FIREWALL_PRESENT, 29 * S, T0 + S));
	assert_string_equal(fixture->news, "adopted ");
	assert_false(is_retold(fixture, FIREWALL_PRESENT, 28 * S, T0 + 2 * S));
	assert_string_equal(fixture->news, "");

	/* What it has lost meanwhile is restored, rather than adopted. */
	fixture->grant->adopted = true;
	assert_true(is_retold(fixture, FIREWALL_ABSENT, 0, T0 + S));
	assert_int_equal(fixture->grant->why, GRANT_WHY_RESTORED);
	assert_false(fixture->grant->adopted);
}

/* That it was lost and not taken back was told once, and so is that it is back. */
static void test_what_comes_back_is_told_of_once(void **state)
{
	struct fixture *fixture = *state;
	struct grant *grant = fixture->grant;

	grant->missing = true;
	assert_true(is_retold(fixture, FIREWALL_ABSENT, 0, T0 + S));
	assert_int_equal(grant->why, GRANT_WHY_RESYNC);
	assert_true(grant->missing);
	assert_string_equal(fixture->news, "");
	assert_false(is_retold(fixture, FIREWALL_PRESENT, 28 * S, T0 + 2 * S));
	assert_false(grant->missing);
	assert_string_equal(fixture->news, "restored ");
	assert_false(is_retold(fixture, FIREWALL_PRESENT, 27 * S, T0 + 3 * S));
	assert_string_equal(fixture->news, "");
}

/* Two doors share a set: the kernel has to keep the element for the one that lasts longer. */
static void test_a_twin_that_lasts_longer(void **state)
{
	struct fixture *fixture = *state;
	struct grant *twin = put_grant(fixture->grants, "twin");

	twin->deadline_us = DEADLINE + 30 * S;
	assert_false(is_retold(fixture, FIREWALL_PRESENT, 59 * S, T0 + S));
	assert_true(is_retold(fixture, FIREWALL_PRESENT, 29 * S, T0 + S));
	twin->state = GRANT_PENDING_RENEW;
	assert_false(is_retold(fixture, FIREWALL_PRESENT, 59 * S, T0 + S));
	twin->state = GRANT_RENEWING;
	assert_false(is_retold(fixture, FIREWALL_PRESENT, 59 * S, T0 + S));
	/* One that is not open any more, or was never, does not count; one that opens at this
	 * moment does, for the element may be its own already. */
	for (enum grant_state s = GRANT_PENDING_OPEN; s <= GRANT_PENDING_CLOSE; s++) {
		twin->state = s;
		assert_true(grant_is_open(twin) ==
			    (s == GRANT_OPEN || s == GRANT_RENEWING || s == GRANT_PENDING_RENEW));
		assert_true(is_retold(fixture, FIREWALL_PRESENT, 29 * S, T0 + S) ==
			    (grant_is_open(twin) || s == GRANT_OPENING));
	}
	twin->state = GRANT_OPEN;
	twin->deadline_us = DEADLINE - 10 * S;
	assert_false(is_retold(fixture, FIREWALL_PRESENT, 29 * S, T0 + S));
}

/* What cannot be closed is tried again, later and later; but it is over when the kernel has ended
 * it, which it does within a second of the deadline that it keeps. */
static void test_closing_fails_until_the_kernel_has_ended_it(void **state)
{
	static const uint64_t waits_s[] = {1, 2, 4, 8, 16, 32, 60, 60};
	struct fixture *fixture = *state;
	struct grant *grant = fixture->grant;
	uint64_t now_us = T0;

	for (size_t i = 0; i < sizeof waits_s / sizeof waits_s[0]; i++) {
		grant->state = GRANT_CLOSING;
		grant->kept_us = now_us;
		fixture->news[0] = '\0';
		grant_on_command_end(grant, -EIO, "why", now_us + S - 1);
		assert_string_equal(fixture->news, "close-failed ");
		assert_int_equal(grant->state, GRANT_PENDING_CLOSE);
		now_us += S - 1 + waits_s[i] * S;
		assert_true(grants_next_us(fixture->grants) == now_us);
	}
	grant->state = GRANT_CLOSING;
	grant->kept_us = now_us;
	fixture->news[0] = '\0';
	grant_on_command_end(grant, -EIO, "why", now_us + S);
	assert_string_equal(fixture->news, "close-failed closed ");
	assert_int_equal(grants_count(fixture->grants), 0);
}

/* Where there is no such place in the firewall, there is nothing to close. */
static void test_closing_where_there_is_no_place(void **state)
{
	struct fixture *fixture = *state;

	fixture->grant->state = GRANT_CLOSING;
	grant_on_command_end(fixture->grant, -ENOENT, "no such set", T0);
	assert_string_equal(fixture->news, "closed ");
	assert_int_equal(grants_count(fixture->grants), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_how_far_the_kernel_may_be_off, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_an_answer_that_is_older_than_the_truth, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_when_there_is_nothing_to_ask, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_a_spelling_that_hides_the_time, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_silence, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_predecessors_grant_is_told_of_once, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_what_comes_back_is_told_of_once, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_a_twin_that_lasts_longer, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_closing_fails_until_the_kernel_has_ended_it,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_closing_where_there_is_no_place, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
