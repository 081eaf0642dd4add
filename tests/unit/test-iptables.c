/* Against the kernel's own tables, in a network namespace of the test's own. */
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cmocka-all.h"
#include "core/address.h"
#include "core/caller.h"
#include "core/door.h"
#include "firewall/firewall.h"
#include "support.h"

#define TEXT(literal) ((char *)(literal))
#define S	      UINT64_C(1000000)

static bool permitted;

struct fixture {
	struct firewall *firewall;
	char *directory, *input, *listing;
};

static unsigned n_done;
static int done_error;
static char done_problem[512];

static void on_done(void *owner, int error, const char *problem, uint64_t now_us)
{
	(void)owner;
	(void)now_us;
	n_done++;
	done_error = error;
	snprintf(done_problem, sizeof done_problem, "%s", problem ? problem : "");
}

static int restore(const struct fixture *fixture, const char *program, const char *rules)
{
	char *const argv[] = {TEXT(program), NULL};

	support_write(fixture->input, rules, strlen(rules));
	return support_run(argv, fixture->input, fixture->listing);
}

static int set_up(void **state)
{
	static const char rules[] = "*filter\n:INPUT ACCEPT [0:0]\n"
				    "-A INPUT -i lo -j ACCEPT\n"
				    "-A INPUT -p tcp --dport 25 -j ACCEPT\n"
				    "-A INPUT -p tcp --dport 26 -j DROP\n"
				    "-A INPUT -p tcp --dport 27 -j ACCEPT\n"
				    "COMMIT\n";
	static struct fixture fixture;

	if (!permitted)
		return 0;
	fixture.directory = support_directory();
	fixture.input = support_path(fixture.directory, "input");
	fixture.listing = support_path(fixture.directory, "list");
	*state = &fixture;
	if (restore(&fixture, "/usr/sbin/iptables-restore", rules) != 0 ||
	    restore(&fixture, "/usr/sbin/ip6tables-restore", rules) != 0)
		return -1;
	return firewall_new(on_done, &fixture.firewall);
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	if (!fixture)
		return 0;
	firewall_free(fixture->firewall);
	free(fixture->input);
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

static const struct door ssh = {
	.name = "ssh",
	.backend = BACKEND_IPTABLES,
	.ports = {3, {{22, IPPROTO_TCP}, {53, IPPROTO_UDP}, {443, IPPROTO_TCP}}},
	.chain = TEXT("KNOCKTAIL"),
};

static const struct door web = {
	.name = "ssh-web",
	.backend = BACKEND_IPTABLES,
	.ports = {1, {{80, IPPROTO_TCP}}},
	.chain = TEXT("KNOCKTAIL"),
};

static struct rule *new_rule(const struct door *door, const char *source)
{
	struct address address;
	struct rule *rule;

	assert_int_equal(address_parse(source, &address), 0);
	assert_int_equal(rule_new(door, &(struct caller){.source = address}, &rule), 0);
	return rule;
}

/* Waits for `n` ends, which must be good. */
static void await(struct fixture *fixture, unsigned n)
{
	while (n_done < n) {
		support_wait(firewall_fd(fixture->firewall));
		firewall_process(fixture->firewall, 0);
	}
	if (done_error != 0)
		fail_msg("%s", done_problem);
}

static void open_rule(struct fixture *fixture, const struct rule *rule, uint64_t left_us)
{
	n_done = 0;
	assert_int_equal(firewall_open(fixture->firewall, rule, left_us, 0, (void *)rule),
			 FIREWALL_PENDING);
	await(fixture, 1);
}

static void close_rule(struct fixture *fixture, const struct rule *rule)
{
	n_done = 0;
	assert_int_equal(firewall_close(fixture->firewall, rule, 0, (void *)rule),
			 FIREWALL_PENDING);
	await(fixture, 1);
}

/* What `iptables -S` prints, to be freed. */
static char *list(struct fixture *fixture, const char *program)
{
	char *const argv[] = {TEXT(program), TEXT("-S"), NULL};
	char *text;

	assert_int_equal(support_run(argv, NULL, fixture->listing), 0);
	text = support_read(fixture->listing, NULL);
	assert_non_null(text);
	return text;
}

/* How many lines hold the text, for both families together. */
static size_t count(struct fixture *fixture, const char *wanted)
{
	static const char *const programs[] = {"/usr/sbin/iptables", "/usr/sbin/ip6tables"};
	size_t n = 0;

	for (size_t i = 0; i < 2; i++) {
		char *text = list(fixture, programs[i]);

		for (const char *at = text; (at = strstr(at, wanted)); at++)
			n++;
		free(text);
	}
	return n;
}

static void until(char text[static 64], uint64_t left_s)
{
	time_t then = time(NULL) + (time_t)left_s;

	strftime(text, 64, "--datestop %Y-%m-%dT%H:%M:%S ", gmtime(&then));
}

static unsigned n_troubles;

static void on_trouble(void *userdata, const char *door, const char *problem)
{
	(void)userdata;
	n_troubles++;
	snprintf(done_problem, sizeof done_problem, "%s: %s", door, problem);
}

/* Waits until nothing is under way. */
static void settle(struct fixture *fixture)
{
	while (firewall_process(fixture->firewall, 0), firewall_next_us(fixture->firewall) > 0) {
		if (firewall_next_us(fixture->firewall) == UINT64_MAX)
			return;
		support_wait(firewall_fd(fixture->firewall));
	}
}

static void make_ready(struct fixture *fixture, const struct door *door)
{
	firewall_make_ready(fixture->firewall, door, 0, on_trouble, NULL);
	settle(fixture);
}

static void test_prepare(void **state)
{
	struct fixture *fixture = needed(state);
	char *text;

	for (unsigned i = 0; i < 3; i++)
		make_ready(fixture, &ssh);
	assert_int_equal(n_troubles, 0);
	assert_int_equal(count(fixture, "-N KNOCKTAIL\n"), 2);
	assert_int_equal(count(fixture, "-j KNOCKTAIL\n"), 2);
	text = list(fixture, "/usr/sbin/ip6tables");
	assert_non_null(strstr(text, "-A INPUT -j KNOCKTAIL\n-A INPUT -i lo -j ACCEPT\n"));
	free(text);
}

/* A jump that is there, from wherever, is the right one. */
static void test_prepare_with_a_jump(void **state)
{
	struct fixture *fixture = needed(state);

	assert_int_equal(restore(fixture, "/usr/sbin/iptables-restore",
				 "*filter\n:KNOCKTAIL - [0:0]\n:mine - [0:0]\n"
				 "-A mine -p tcp -g KNOCKTAIL\n"
				 "-A KNOCKTAIL -s 192.0.2.7/32 -j ACCEPT\nCOMMIT\n"),
			 0);
	make_ready(fixture, &ssh);
	assert_int_equal(n_troubles, 0);
	assert_int_equal(count(fixture, "-A INPUT -j KNOCKTAIL\n"), 1); /* in IPv6 */
	assert_int_equal(count(fixture, "-A KNOCKTAIL -s 192.0.2.7/32 -j ACCEPT\n"), 1);
}

static void test_opens_and_closes(void **state)
{
	static const char *const sources[] = {"192.0.2.1", "2001:db8::1"};
	struct fixture *fixture = needed(state);

	for (size_t i = 0; i < 2; i++) {
		struct rule *rule = new_rule(&ssh, sources[i]);

		open_rule(fixture, rule, 100 * S);
		assert_int_equal(count(fixture, "-N KNOCKTAIL\n"), i + 1);
		assert_int_equal(count(fixture, "\"knocktail:ssh:"), 2);
		assert_int_equal(count(fixture, sources[i]), 2);
		assert_int_equal(count(fixture, "-p tcp -m multiport --dports 22,443 -m time "), 1);
		assert_int_equal(count(fixture, "-p udp -m multiport --dports 53 -m time "), 1);
		close_rule(fixture, rule);
		assert_int_equal(count(fixture, "knocktail:"), 0);
		close_rule(fixture, rule);
		rule_free(rule);
	}
	assert_int_equal(count(fixture, "-j KNOCKTAIL\n"), 2);
}

/* The second is the deadline's, in which the kernel lets packets in to the end. */
static void test_renews(void **state)
{
	static const uint64_t left_s[] = {100, 1000, 50, 1};
	struct fixture *fixture = needed(state);
	struct rule *rule = new_rule(&web, "192.0.2.1");

	for (size_t i = 0; i < sizeof(left_s) / sizeof(left_s[0]); i++) {
		char early[64], late[64];

		until(early, left_s[i]);
		open_rule(fixture, rule, left_s[i] * S);
		until(late, left_s[i]);
		assert_int_equal(count(fixture, "knocktail:ssh-web:"), 1);
		assert_true(count(fixture, early) == 1 || count(fixture, late) == 1);
	}
	rule_free(rule);
}

/* Rules of other doors and sources, and of other people, stay. */
static void test_leaves_others_alone(void **state)
{
	struct fixture *fixture = needed(state);
	struct rule *rules[] = {new_rule(&ssh, "192.0.2.1"), new_rule(&web, "192.0.2.1"),
				new_rule(&ssh, "192.0.2.11"), new_rule(&ssh, "2001:db8::1")};

	for (size_t i = 0; i < 4; i++)
		open_rule(fixture, rules[i], 100 * S);
	assert_int_equal(count(fixture, "knocktail:"), 7);
	assert_int_equal(count(fixture, "--dport 2"), 6);
	close_rule(fixture, rules[0]);
	assert_int_equal(count(fixture, "knocktail:"), 5);
	assert_int_equal(count(fixture, "-s 192.0.2.1/32 "), 1);
	assert_int_equal(count(fixture, "--dport 2"), 6);
	for (size_t i = 0; i < 4; i++) {
		close_rule(fixture, rules[i]);
		rule_free(rules[i]);
	}
	assert_int_equal(count(fixture, "knocktail:"), 0);
}

/* Whatever is there, doubled or of a predecessor, gives way to one rule. */
static void test_replaces_what_it_finds(void **state)
{
	static const char line[] = "-A KNOCKTAIL -s 192.0.2.1/32 -p tcp -m multiport --dports 80 "
				   "-m comment --comment \"knocktail:ssh-web:1\" -j ACCEPT\n";
	struct fixture *fixture = needed(state);
	struct rule *rule = new_rule(&web, "192.0.2.1");
	char text[1024];

	snprintf(text, sizeof text, "*filter\n:KNOCKTAIL - [0:0]\n%s%sCOMMIT\n", line, line);
	assert_int_equal(restore(fixture, "/usr/sbin/iptables-restore", text), 0);
	assert_int_equal(count(fixture, "knocktail:ssh-web:"), 2);
	open_rule(fixture, rule, 100 * S);
	assert_int_equal(count(fixture, "knocktail:ssh-web:"), 1);
	assert_int_equal(count(fixture, "--datestop"), 1);
	rule_free(rule);
}

/* The table may be loaded anew while the daemon runs. */
static void test_table_comes_and_goes(void **state)
{
	struct fixture *fixture = needed(state);
	struct rule *rule = new_rule(&web, "192.0.2.1");

	open_rule(fixture, rule, 100 * S);
	assert_int_equal(restore(fixture, "/usr/sbin/iptables-restore", "*filter\nCOMMIT\n"), 0);
	assert_int_equal(count(fixture, "KNOCKTAIL"), 0);
	close_rule(fixture, rule);
	assert_int_equal(count(fixture, "KNOCKTAIL"), 0);
	open_rule(fixture, rule, 100 * S);
	assert_int_equal(count(fixture, "-A INPUT -j KNOCKTAIL"), 1);
	assert_int_equal(count(fixture, "knocktail:ssh-web:"), 1);
	rule_free(rule);
}

/* Many at the same time do not disturb one another. */
static void test_many(void **state)
{
	enum { N = 40 };
	struct fixture *fixture = needed(state);
	struct rule *rules[N];

	n_done = 0;
	for (unsigned i = 0; i < N; i++) {
		char source[32];

		snprintf(source, sizeof source, "192.0.2.%u", i + 1);
		rules[i] = new_rule(&web, source);
		assert_int_equal(firewall_open(fixture->firewall, rules[i], 100 * S, 0, rules[i]),
				 FIREWALL_PENDING);
	}
	await(fixture, N);
	assert_int_equal(count(fixture, "knocktail:ssh-web:"), N);
	assert_int_equal(count(fixture, "-j KNOCKTAIL\n"), 1);
	n_done = 0;
	for (unsigned i = 0; i < N; i++)
		firewall_close(fixture->firewall, rules[i], 0, rules[i]);
	await(fixture, N);
	assert_int_equal(count(fixture, "knocktail:ssh-web:"), 0);
	for (unsigned i = 0; i < N; i++)
		rule_free(rules[i]);
}

static void test_check(void **state)
{
	struct fixture *fixture = needed(state);
	struct door door = ssh;
	char *before, *after;

	before = list(fixture, "/usr/sbin/iptables");
	if (firewall_check(fixture->firewall, &ssh) != 0)
		fail_msg("%s", firewall_problem(fixture->firewall));
	after = list(fixture, "/usr/sbin/iptables");
	assert_string_equal(before, after);
	free(after);
	door.chain = TEXT("far-too-long-for-the-name-of-a-chain");
	assert_int_equal(firewall_check(fixture->firewall, &door), -EIO);
	assert_non_null(strstr(firewall_problem(fixture->firewall), "iptables far-too-long-"));
	free(before);
}

static void test_check_changes_nothing(void **state)
{
	struct fixture *fixture = needed(state);
	struct rule *rule = new_rule(&ssh, "192.0.2.1");
	char *before, *after;

	open_rule(fixture, rule, 100 * S);
	before = list(fixture, "/usr/sbin/iptables");
	assert_int_equal(firewall_check(fixture->firewall, &ssh), 0);
	after = list(fixture, "/usr/sbin/iptables");
	assert_string_equal(before, after);
	free(before);
	free(after);
	rule_free(rule);
}

static void test_free_in_mid_change(void **state)
{
	struct fixture *fixture = needed(state);
	struct rule *rule = new_rule(&ssh, "192.0.2.1");

	assert_int_equal(firewall_open(fixture->firewall, rule, 100 * S, 0, rule),
			 FIREWALL_PENDING);
	rule_free(rule);
}

static void test_too_slow(void **state)
{
	struct fixture *fixture = needed(state);
	struct rule *rule = new_rule(&ssh, "192.0.2.1");

	n_done = 0;
	assert_int_equal(firewall_open(fixture->firewall, rule, 100 * S, 0, rule),
			 FIREWALL_PENDING);
	firewall_hurry(fixture->firewall, rule, 0);
	while (n_done == 0) {
		firewall_process(fixture->firewall, 1);
		if (n_done == 0)
			support_wait(firewall_fd(fixture->firewall));
	}
	assert_true(done_error == -ETIMEDOUT || done_error == 0);
	rule_free(rule);
}

static bool has_iptables(void)
{
	static const char *const programs[] = {"/usr/sbin/iptables", "/usr/sbin/ip6tables"};

	for (size_t i = 0; i < 2; i++) {
		char *const argv[] = {TEXT(programs[i]), TEXT("-S"), NULL};

		if (support_run(argv, NULL, NULL) != 0) {
			print_message("%s does not work here\n", programs[i]);
			return false;
		}
	}
	return true;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_prepare, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_prepare_with_a_jump, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_opens_and_closes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_renews, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_leaves_others_alone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_replaces_what_it_finds, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_table_comes_and_goes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_many, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_check, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_check_changes_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_free_in_mid_change, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_too_slow, set_up, tear_down),
	};

	permitted = support_private_network() && has_iptables();
	return cmocka_run_group_tests_name("iptables", tests, NULL, NULL);
}
