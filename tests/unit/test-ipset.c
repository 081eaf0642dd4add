/* Against the kernel's own sets, in a network namespace of the test's own. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka-all.h"
#include "core/address.h"
#include "core/door.h"
#include "core/placeholder.h"
#include "core/visitor.h"
#include "firewall/backends.h"
#include "firewall/firewall.h"
#include "firewall/passage.h"
#include "support.h"
#include "util/children.h"

#define TEXT(literal) ((char *)(literal))

static bool permitted;

struct fixture {
	struct firewall *firewall;
	char *directory, *listing;
};

static void never_done(void *owner, int error, const char *problem, uint64_t now_us)
{
	(void)owner;
	(void)error;
	(void)problem;
	(void)now_us;
	fail_msg("nothing of this backend is pending");
}

static int set_up(void **state)
{
	static const char *const sets[] = {
		"create ip hash:ip timeout 0",
		"create ip6 hash:ip family inet6 timeout 0",
		"create port hash:ip,port timeout 0",
		"create port6 hash:ip,port family inet6 timeout 0",
		"create net hash:net timeout 0",
		"create plain hash:ip",
		"create bits bitmap:ip range 192.0.2.0/24 timeout 0",
		"create list list:set timeout 0",
		"create one hash:ip timeout 0 maxelem 1",
		"create comment hash:ip timeout 3600 comment counters skbinfo",
	};
	static struct fixture fixture;

	if (!permitted)
		return 0;
	support_ipset("destroy");
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++)
		if (support_ipset(sets[i]) != 0)
			return -1;
	fixture.directory = support_directory();
	fixture.listing = support_path(fixture.directory, "list");
	*state = &fixture;
	return firewall_new(never_done, &fixture.firewall);
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	if (!fixture)
		return 0;
	firewall_free(fixture->firewall);
	free(fixture->listing);
	support_remove(fixture->directory);
	return 0;
}

static struct fixture *needed(void **state)
{
	if (!permitted)
		skip();
	return *state;
}

static struct passage *new_rule(const char *set, const char *entry, const char *source)
{
	const struct door door = {
		.name = "ssh",
		.timeout_us = 30000000,
		.opening.backend = BACKEND_IPSET,
		.opening.set = {TEXT(set), TEXT(set)},
		.opening.entry = TEXT(entry),
	};
	struct address address;
	struct passage *passage;

	assert_int_equal(address_parse(source, &address), 0);
	assert_int_equal(
		passage_new(&door.opening,
			    &(struct placeholder_values){.door = door.name, .source = address},
			    &passage),
		0);
	return passage;
}

/* The seconds left of an element, by ipset(8) itself; -1: it is not in the set. */
static long left(struct fixture *fixture, const char *set, const char *element)
{
	char *const argv[] = {TEXT("/usr/sbin/ipset"), TEXT("list"), TEXT(set), NULL};
	char wanted[128], *listing, *at;
	long seconds = -1;

	assert_int_equal(support_run(argv, NULL, fixture->listing), 0);
	listing = support_read(fixture->listing, NULL);
	assert_non_null(listing);
	snprintf(wanted, sizeof wanted, "\n%s timeout ", element);
	at = strstr(listing, wanted);
	if (at) {
		seconds = strtol(at + strlen(wanted), NULL, 10);
		assert_null(strstr(at + 1, wanted));
	}
	free(listing);
	return seconds;
}

static int open_rule(struct fixture *fixture, const struct passage *passage, uint64_t seconds)
{
	return firewall_open(fixture->firewall, passage, seconds * 1000000, 0, NULL);
}

static int close_rule(struct fixture *fixture, const struct passage *passage)
{
	return firewall_close(fixture->firewall, passage, 0, NULL);
}

static void test_opens_and_closes(void **state)
{
	static const struct {
		const char *set, *entry, *source, *element;
	} cases[] = {
		{"ip", "%IP%", "192.0.2.1", "192.0.2.1"},
		{"ip6", "%IP%", "2001:db8::1", "2001:db8::1"},
		{"port", "%IP%,tcp:22", "192.0.2.1", "192.0.2.1,tcp:22"},
		{"port", "%IP%,udp:53", "192.0.2.1", "192.0.2.1,udp:53"},
		{"port6", "%IP%,22", "2001:db8::1", "2001:db8::1,tcp:22"},
		{"net", "%IP%", "192.0.2.1", "192.0.2.1"},
		{"net", "%IP%/32", "192.0.2.1", "192.0.2.1"},
		{"comment", "%IP%", "192.0.2.1", "192.0.2.1"},
	};
	struct fixture *fixture = needed(state);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct passage *passage = new_rule(cases[i].set, cases[i].entry, cases[i].source);

		if (open_rule(fixture, passage, 100) != FIREWALL_DONE)
			fail_msg("%s: %s", cases[i].entry, firewall_problem(fixture->firewall));
		assert_in_range(left(fixture, cases[i].set, cases[i].element), 90, 100);
		assert_int_equal(close_rule(fixture, passage), FIREWALL_DONE);
		assert_int_equal(left(fixture, cases[i].set, cases[i].element), -1);
		passage_free(passage);
	}
}

/* Twice is as once, and the second time moves the deadline, in both directions. */
static void test_renews(void **state)
{
	struct fixture *fixture = needed(state);
	struct passage *passage = new_rule("ip", "%IP%", "192.0.2.1");

	assert_int_equal(open_rule(fixture, passage, 100), FIREWALL_DONE);
	assert_int_equal(open_rule(fixture, passage, 1000), FIREWALL_DONE);
	assert_in_range(left(fixture, "ip", "192.0.2.1"), 990, 1000);
	assert_int_equal(open_rule(fixture, passage, 50), FIREWALL_DONE);
	assert_in_range(left(fixture, "ip", "192.0.2.1"), 40, 50);
	passage_free(passage);
}

static void test_close_twice(void **state)
{
	struct fixture *fixture = needed(state);
	struct passage *passage = new_rule("ip", "%IP%", "192.0.2.1");

	assert_int_equal(close_rule(fixture, passage), FIREWALL_DONE);
	assert_int_equal(open_rule(fixture, passage, 100), FIREWALL_DONE);
	assert_int_equal(close_rule(fixture, passage), FIREWALL_DONE);
	assert_int_equal(close_rule(fixture, passage), FIREWALL_DONE);
	passage_free(passage);
}

static void test_longest_timeout(void **state)
{
	struct fixture *fixture = needed(state);
	struct passage *passage = new_rule("ip", "%IP%", "192.0.2.1");

	assert_int_equal(open_rule(fixture, passage, 2147483), FIREWALL_DONE);
	assert_in_range(left(fixture, "ip", "192.0.2.1"), 2147400, 2147483);
	assert_true(open_rule(fixture, passage, UINT64_MAX) < 0);
	assert_in_range(left(fixture, "ip", "192.0.2.1"), 2147400, 2147483);
	passage_free(passage);
}

/* To ipset a timeout of 0 means for ever, which is the last thing that a grant may be. */
static void test_no_time_is_not_for_ever(void **state)
{
	struct fixture *fixture = needed(state);
	struct passage *passage = new_rule("ip", "%IP%", "192.0.2.1");

	open_rule(fixture, passage, 0);
	assert_int_not_equal(left(fixture, "ip", "192.0.2.1"), 0);
	passage_free(passage);
}

/* Every one is told in words, and the next right command works. */
static void test_errors(void **state)
{
	static const struct {
		const char *set, *entry, *source, *problem;
	} cases[] = {
		{"absent", "%IP%", "192.0.2.1",
		 "ipset absent: The set with the given name does not exist"},
		{"plain", "%IP%", "192.0.2.1", "ipset plain: "},
		{"ip", "%IP%", "2001:db8::1", "ipset ip: "},
		{"ip6", "%IP%", "192.0.2.1", "ipset ip6: "},
		{"ip", "%IP%,tcp:22", "192.0.2.1", "ipset ip: "},
		{"port", "%IP%", "192.0.2.1", "ipset port: "},
		{"one", "%IP%", "192.0.2.1", "ipset one: "},
		{"bits", "%IP%", "198.51.100.1", "ipset bits: "},
	};
	struct fixture *fixture = needed(state);
	struct passage *right = new_rule("ip", "%IP%", "192.0.2.99");

	assert_int_equal(support_ipset("add one 192.0.2.77"), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct passage *passage = new_rule(cases[i].set, cases[i].entry, cases[i].source);
		const char *problem;

		if (open_rule(fixture, passage, 100) != (i == 0 ? -ENOENT : -EIO))
			fail_msg("%s in %s was taken", cases[i].source, cases[i].set);
		problem = firewall_problem(fixture->firewall);
		if (strncmp(problem, cases[i].problem, strlen(cases[i].problem)) != 0 ||
		    !problem[strlen("ipset x: ")] || strchr(problem, '\n'))
			fail_msg("%s in %s: \"%s\"", cases[i].source, cases[i].set, problem);
		assert_int_equal(open_rule(fixture, right, 100), FIREWALL_DONE);
		assert_in_range(left(fixture, "ip", "192.0.2.99"), 90, 100);
		assert_int_equal(close_rule(fixture, right), FIREWALL_DONE);
		assert_int_equal(left(fixture, "ip", "192.0.2.99"), -1);
		passage_free(passage);
	}
	passage_free(right);
}

static void test_long_element(void **state)
{
	struct fixture *fixture = needed(state);
	char entry[600];
	struct passage *passage;

	memset(entry, 'x', sizeof entry - 1);
	entry[sizeof entry - 1] = '\0';
	passage = new_rule("ip", entry, "192.0.2.1");
	assert_int_equal(open_rule(fixture, passage, 100), -E2BIG);
	assert_non_null(strstr(firewall_problem(fixture->firewall), "ipset ip: "));
	passage_free(passage);
}

/* A set may be made anew while the daemon runs. */
static void test_set_comes_and_goes(void **state)
{
	struct fixture *fixture = needed(state);
	struct passage *passage = new_rule("ip", "%IP%", "192.0.2.1");

	assert_int_equal(open_rule(fixture, passage, 100), FIREWALL_DONE);
	assert_int_equal(support_ipset("destroy ip"), 0);
	assert_true(open_rule(fixture, passage, 100) < 0);
	assert_true(close_rule(fixture, passage) < 0);
	assert_int_equal(support_ipset("create ip hash:ip timeout 0"), 0);
	assert_int_equal(open_rule(fixture, passage, 100), FIREWALL_DONE);
	assert_in_range(left(fixture, "ip", "192.0.2.1"), 90, 100);
	passage_free(passage);
}

/* The answer about a rule, which is given at once, and the seconds that are left of it. */
struct answer {
	struct firewall *firewall;
	const struct passage *passage, *stranger;
	enum firewall_answer answer;
	uint64_t left_us;
	bool listed;
};

static void on_listed(void *userdata, struct listing *listing, uint64_t now_us)
{
	struct answer *answer = userdata;

	assert_true(now_us == 7);
	assert_false(answer->listed);
	answer->listed = true;
	assert_true(listing_covers(listing, answer->passage));
	assert_false(listing_covers(listing, answer->stranger));
	answer->answer = firewall_ask(answer->firewall, listing, answer->passage, &answer->left_us);
}

static enum firewall_answer ask(struct fixture *fixture, const struct passage *passage,
				unsigned *seconds)
{
	struct passage *stranger = new_rule("other", "%IP%", "192.0.2.1");
	struct answer answer = {
		.firewall = fixture->firewall, .passage = passage, .stranger = stranger};

	assert_int_equal(firewall_list(fixture->firewall, passage, 7, on_listed, &answer), 0);
	assert_true(answer.listed);
	passage_free(stranger);
	*seconds = (unsigned)(answer.left_us / 1000000);
	return answer.answer;
}

/* Runs a program as a door's command is run. */
static void run_command(char *const argv[])
{
	struct children *children = NULL;
	struct child_exit exit;

	assert_int_equal(children_new(1, &children), 0);
	assert_int_equal(children_spawn(children, argv, UINT64_MAX, NULL), 0);
	while (!children_next(children, 0, &exit))
		support_wait(children_fd(children));
	children_free(children);
	if (exit.code != CLD_EXITED || exit.status != 0)
		fail_msg("%s: %d (\"%s\")", argv[0], exit.status, exit.output);
}

/* Each element is found with what is left of it, whatever else the set holds. */
static void test_lists(void **state)
{
	static const struct {
		const char *set, *entry, *source;
		enum firewall_answer answer;
		unsigned seconds;
	} cases[] = {
		{"ip", "%IP%", "192.0.2.1", FIREWALL_PRESENT, 100},
		{"ip", "%IP%", "192.0.2.2", FIREWALL_ABSENT, 0},
		{"ip6", "%IP%", "2001:db8::1", FIREWALL_PRESENT, 200},
		{"port", "%IP%,tcp:22", "192.0.2.1", FIREWALL_PRESENT, 300},
		{"port", "%IP%,22", "192.0.2.1", FIREWALL_PRESENT, 300},
		{"port", "%IP%,ssh", "192.0.2.1", FIREWALL_PRESENT, 300},
		{"port", "%IP%,tcp:ssh", "192.0.2.1", FIREWALL_PRESENT, 300},
		{"port", "%IP%,tcp:22-23", "192.0.2.1", FIREWALL_PRESENT, 300},
		{"port", "%IP%,23", "192.0.2.1", FIREWALL_ABSENT, 0},
		{"port", "%IP%,udp:22", "192.0.2.1", FIREWALL_ABSENT, 0},
		{"net", "%IP%", "192.0.2.1", FIREWALL_SPELLED, 0}, /* inside of 192.0.2.0/25 */
		{"net", "%IP%", "198.51.100.7", FIREWALL_PRESENT, 50},
		{"comment", "%IP%", "192.0.2.1", FIREWALL_PRESENT, 500},
		{"absent", "%IP%", "192.0.2.1", FIREWALL_ABSENT, 0},
		{"plain", "%IP%", "192.0.2.1", FIREWALL_PRESENT, UINT_MAX},
	};
	static const char *const lines[] = {
		"add ip 192.0.2.1 timeout 100",
		"add ip 192.0.2.11 timeout 900",
		"add ip6 2001:db8:0:0::1 timeout 200",
		"add port 192.0.2.1,tcp:22 timeout 300",
		"add net 192.0.2.0/25 timeout 400",
		"add net 198.51.100.7 timeout 50",
		"add plain 192.0.2.1",
	};
	char *const comment[] = {TEXT("/usr/sbin/ipset"), TEXT("add"),		 TEXT("comment"),
				 TEXT("192.0.2.1"),	  TEXT("timeout"),	 TEXT("500"),
				 TEXT("comment"),	  TEXT("a timeout 3 b"), NULL};
	const struct door checked = {
		.name = "ssh",
		.opening.backend = BACKEND_IPSET,
		.opening.set = {TEXT("ip")},
		.opening.entry = TEXT("%IP%"),
	};
	struct fixture *fixture = needed(state);

	/* As a daemon begins: with a look at the set, not at its members. */
	assert_int_equal(firewall_check(fixture->firewall, &checked.opening), 0);
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
		assert_int_equal(support_ipset(lines[i]), 0);
	run_command(comment);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct passage *passage = new_rule(cases[i].set, cases[i].entry, cases[i].source);
		unsigned seconds;
		enum firewall_answer answer = ask(fixture, passage, &seconds);

		if (answer != cases[i].answer)
			fail_msg("case %zu: answer %d", i, answer);
		if (answer == FIREWALL_PRESENT && cases[i].seconds < UINT_MAX &&
		    (seconds > cases[i].seconds || seconds + 10 < cases[i].seconds))
			fail_msg("case %zu: %u s are left", i, seconds);
		passage_free(passage);
	}
}

static void test_check(void **state)
{
	static const struct {
		const char *set, *set_6, *entry;
		int result;
		const char *problem;
	} cases[] = {
		{"ip", "ip6", "%IP%", 0, NULL},
		{"ip", NULL, "%IP%", 0, NULL},
		{NULL, "ip6", "%IP%", 0, NULL},
		{NULL, NULL, "%IP%", 0, NULL},
		{"port", "port6", "%IP%,tcp:22", 0, NULL},
		{"net", NULL, "%IP%", 0, NULL},
		{"one", NULL, "%IP%", 0, NULL},
		{"comment", NULL, "%IP%", 0, NULL},
		{"absent", NULL, "%IP%", -ENOENT, "ipset absent: "},
		{"ip", "absent", "%IP%", -ENOENT, "ipset absent: "},
		{"plain", NULL, "%IP%", -ETIME, "ipset plain: created without timeout"},
		{"bits", NULL, "%IP%", -EMEDIUMTYPE, "ipset bits: not a hash: set"},
		{"list", NULL, "%IP%", -EMEDIUMTYPE, "ipset list: not a hash: set"},
		{"ip", NULL, "%IP%,tcp:22", -EMEDIUMTYPE, "ipset ip: an element of type hash:ip "},
		{"port", NULL, "%IP%", -EMEDIUMTYPE,
		 "ipset port: an element of type hash:ip,port "},
		{"ip6", NULL, "%IP%", -EAFNOSUPPORT, "ipset ip6: not a set for IPv4"},
		{NULL, "ip", "%IP%", -EAFNOSUPPORT, "ipset ip: not a set for IPv6"},
	};
	struct fixture *fixture = needed(state);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct door door = {
			.name = "ssh",
			.opening.backend = BACKEND_IPSET,
			.opening.set = {TEXT(cases[i].set), TEXT(cases[i].set_6)},
			.opening.entry = TEXT(cases[i].entry),
		};
		int r = firewall_check(fixture->firewall, &door.opening);
		const char *problem = firewall_problem(fixture->firewall);

		if (r != cases[i].result ||
		    (r < 0 && strncmp(problem, cases[i].problem, strlen(cases[i].problem)) != 0))
			fail_msg("case %zu: %d, \"%s\"", i, r, problem);
	}
}

/* Nothing that was in the set before is touched, and a check changes nothing. */
static void test_leaves_others_alone(void **state)
{
	const struct door door = {
		.name = "ssh",
		.opening.backend = BACKEND_IPSET,
		.opening.set = {TEXT("ip")},
		.opening.entry = TEXT("%IP%"),
	};
	struct fixture *fixture = needed(state);
	struct passage *passage = new_rule("ip", "%IP%", "192.0.2.1");

	assert_int_equal(support_ipset("add ip 192.0.2.2 timeout 5000"), 0);
	assert_int_equal(firewall_check(fixture->firewall, &door.opening), 0);
	assert_int_equal(open_rule(fixture, passage, 100), FIREWALL_DONE);
	assert_int_equal(close_rule(fixture, passage), FIREWALL_DONE);
	assert_in_range(left(fixture, "ip", "192.0.2.2"), 4900, 5000);
	passage_free(passage);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_opens_and_closes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_renews, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_close_twice, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_longest_timeout, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_time_is_not_for_ever, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_errors, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_long_element, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_set_comes_and_goes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_lists, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_check, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_leaves_others_alone, set_up, tear_down),
	};

	permitted = support_private_network();
	return cmocka_run_group_tests_name("ipset", tests, NULL, NULL);
}
