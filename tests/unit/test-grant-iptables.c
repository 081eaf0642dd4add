/* Grants that are rules of iptables: the kernel keeps deadlines, but a command has to set them. */
#include "grant/grants.h"

#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "cmocka-all.h"
#include "core/door.h"
#include "firewall/firewall.h"
#include "support-grants.h"
#include "support.h"

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
	.opening.ports = {.n_ranges = 1, .ranges = {{22, 22, 6}}},
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

static void show_user(void *userdata, const struct grant_view *view)
{
	snprintf(userdata, USER_NAME_MAX + 1, "%s", view->user);
}

/* What cannot be renewed keeps its deadline, and whose it is. */
static void test_iptables_failing_renewal(void **state)
{
	struct fixture *fixture = with_iptables(state);
	char user[USER_NAME_MAX + 1] = "nobody has it";

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
	grants_open(fixture->grants, &iptables_door,
		    &(struct visitor){.source = address(A), .user = "bob"}, T0 + 10 * S);
	await_news(fixture, 1, T0 + 10 * S);
	expect_news(fixture, "refused ipt 192.0.2.1 0: iptables KNOCKTAIL: ...\n");
	grants_each(fixture->grants, T0 + 10 * S, show_user, user);
	assert_string_equal(user, "");
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

/* A look for which there was no descriptor left is taken the next time. */
static void test_iptables_survey_fails(void **state)
{
	struct fixture *fixture = with_iptables(state);
	struct rlimit old;

	open_door(fixture, &iptables_door, A, T0);
	await_news(fixture, 1, T0);
	expect_news(fixture, "opened ipt 192.0.2.1 30\n");
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &(struct rlimit){0, old.rlim_max}), 0);
	grants_run(fixture->grants, T0 + S);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	expect_news(fixture, "");
	lose_and_restore(fixture, "-F KNOCKTAIL", T0 + 2 * S);
}

/* The answer about one place comes at once, while a command is being asked about the other. */
static void test_two_places(void **state)
{
	struct fixture *fixture = with_iptables(state);
	struct firewall *firewall = grants_firewall(fixture->grants);

	if (support_ipset("create kt hash:ip timeout 0") != 0)
		skip();
	open_door(fixture, &ipset_door, A, T0);
	open_door(fixture, &iptables_door, A, T0);
	await_news(fixture, 2, T0);
	fixture->news[0] = '\0';
	grants_run(fixture->grants, T0 + S);
	while (firewall_next_us(firewall) < UINT64_MAX) {
		support_wait(grants_fd(fixture->grants));
		grants_run(fixture->grants, T0 + S);
	}
	expect_news(fixture, "");
	assert_int_equal(support_ipset("destroy kt"), 0);
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

int main(void)
{
	static const struct CMUnitTest tests[] = {
		GRANT_TEST(test_iptables),
		GRANT_TEST(test_iptables_knocks_in_a_row),
		GRANT_TEST(test_iptables_close_while_renewing),
		GRANT_TEST(test_iptables_overdue_while_renewing),
		GRANT_TEST(test_iptables_failing_renewal),
		GRANT_TEST(test_iptables_survey),
		GRANT_TEST(test_iptables_survey_fails),
		GRANT_TEST(test_two_places),
		GRANT_TEST(test_iptables_thousand),
	};

	permitted = support_private_network();
	return cmocka_run_group_tests_name("grant iptables", tests, NULL, NULL);
}
