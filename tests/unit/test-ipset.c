/* Against the kernel's own sets, in a network namespace of the test's own. */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "cmocka-all.h"
#include "core/door.h"
#include "firewall/firewall.h"
#include "firewall/passage.h"
#include "support-sets.h"
#include "support.h"
#include "util/children.h"

static bool permitted;

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
		"create expected bitmap:port range 1024-65535 timeout 0",
		"create all bitmap:port range 0-65535 timeout 60",
		"create few bitmap:port range 1024-2000 timeout 0",
		"create endless bitmap:port range 1024-65535",
		"create comment hash:ip timeout 3600 comment counters skbinfo",
	};
	static struct fixture fixture;

	if (!permitted)
		return 0;
	support_ipset("destroy");
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++)
		if (support_ipset(sets[i]) != 0)
			return -1;
	*state = &fixture;
	return sets_begin(&fixture);
}

static int tear_down(void **state)
{
	sets_end(*state);
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
	return sets_passage(BACKEND_IPSET, set, entry, source);
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
		assert_in_range(left_in_ipset(fixture, cases[i].set, cases[i].element), 90, 100);
		assert_int_equal(close_rule(fixture, passage), FIREWALL_DONE);
		assert_int_equal(left_in_ipset(fixture, cases[i].set, cases[i].element), -1);
		passage_free(passage);
	}
}

/* To ipset a timeout of 0 means for ever, which is the last thing that a grant may be. */
static void test_no_time_is_not_for_ever(void **state)
{
	struct fixture *fixture = needed(state);
	struct passage *passage = new_rule("ip", "%IP%", "192.0.2.1");

	open_rule(fixture, passage, 0);
	assert_int_not_equal(left_in_ipset(fixture, "ip", "192.0.2.1"), 0);
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
		assert_in_range(left_in_ipset(fixture, "ip", "192.0.2.99"), 90, 100);
		assert_int_equal(close_rule(fixture, right), FIREWALL_DONE);
		assert_int_equal(left_in_ipset(fixture, "ip", "192.0.2.99"), -1);
		passage_free(passage);
	}
	passage_free(right);
}

static enum firewall_answer ask(struct fixture *fixture, const struct passage *passage,
				unsigned *seconds)
{
	struct passage *stranger = new_rule("other", "%IP%", "192.0.2.1");
	enum firewall_answer answer = sets_ask(fixture, passage, stranger, seconds);

	passage_free(stranger);
	return answer;
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

static void test_check_networks(void **state)
{
	struct fixture *fixture = needed(state);
	struct opening opening = {
		.backend = BACKEND_IPSET,
		.set = {TEXT("net")},
		.entry = TEXT("%IP%"),
		.prefix = {24},
	};

	assert_int_equal(firewall_check(fixture->firewall, &opening), 0);
	opening.set[FAMILY_IPV4] = TEXT("ip");
	assert_int_equal(firewall_check(fixture->firewall, &opening), -EMEDIUMTYPE);
	assert_string_equal(
		firewall_problem(fixture->firewall),
		"ipset ip: not a set of networks, which grant_prefix needs; create it as "
		"hash:net");
	opening.prefix[FAMILY_IPV4] = 32;
	assert_int_equal(firewall_check(fixture->firewall, &opening), 0);
}

static void test_ports(void **state)
{
	struct fixture *fixture = needed(state);

	sets_try_ports(fixture, "expected", left_in_ipset);
	sets_try_ports(fixture, "all", left_in_ipset);
}

static void test_sets_of_no_ports(void **state)
{
	static const char *const others[] = {"ip", "few", "endless", "list"};
	const struct firewall_port port = {1024, 60};
	struct fixture *fixture = needed(state);

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		assert_int_equal(firewall_check_ports(fixture->firewall, others[i]), -EMEDIUMTYPE);
		assert_non_null(strstr(firewall_problem(fixture->firewall),
				       "create it with bitmap:port range 1024-65535 timeout 0"));
	}
	assert_int_equal(firewall_check_ports(fixture->firewall, "absent"), -ENOENT);
	assert_int_equal(firewall_put_ports(fixture->firewall, "absent", &port, 1), -ENOENT);
	assert_int_equal(firewall_has_port(fixture->firewall, "absent", 1024), -ENOENT);
	assert_int_equal(firewall_put_ports(fixture->firewall, "expected", &port, 1), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_opens_and_closes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_time_is_not_for_ever, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_errors, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_lists, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_check, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_check_networks, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_ports, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_sets_of_no_ports, set_up, tear_down),
	};

	permitted = support_private_network();
	return cmocka_run_group_tests_name("ipset", tests, NULL, NULL);
}
