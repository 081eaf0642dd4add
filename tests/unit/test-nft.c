/* Against the kernel's own sets, in a network namespace of the test's own. */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka-all.h"
#include "core/door.h"
#include "firewall/firewall.h"
#include "firewall/passage.h"
#include "support-sets.h"
#include "support.h"

static bool permitted;

static int set_up(void **state)
{
	static const char sets[] =
		"flush ruleset\n"
		"table inet t {\n"
		" set four { type ipv4_addr; flags timeout; }\n"
		" set six { type ipv6_addr; flags timeout; }\n"
		" set ports { type ipv4_addr . inet_service; flags timeout; }\n"
		" set ports6 { type inet_service . ipv6_addr; flags timeout; }\n"
		" set likefour { typeof ip saddr; flags timeout; }\n"
		" set likeports { typeof ip saddr . tcp dport; flags timeout; }\n"
		" set protocols { type ipv4_addr . inet_proto; flags timeout; }\n"
		" set wide { type ipv4_addr . inet_service; flags interval, timeout; }\n"
		" set ranges { type ipv4_addr; flags interval, timeout; }\n"
		" set merged { type ipv4_addr; flags interval, timeout; auto-merge; }\n"
		" set plain { type ipv4_addr; comment \"flags timeout\"; }\n"
		" set fixed { type ipv4_addr; flags constant; elements = { 192.0.2.7 } }\n"
		" set one { type ipv4_addr; flags timeout; size 1; }\n"
		" set hourly { type ipv4_addr; flags dynamic, timeout; timeout 1h; }\n"
		" set numbers { type inet_service; flags timeout; }\n"
		" set endless { type inet_service; }\n"
		" set merging { type inet_service; flags interval, timeout; auto-merge; }\n"
		" map verdicts { type ipv4_addr : verdict; flags timeout; }\n"
		"}\n"
		"table ip t { set four { type ipv4_addr; flags timeout; }; }\n";
	static struct fixture fixture;

	if (!permitted)
		return 0;
	if (sets_begin(&fixture) != 0)
		return -1;
	*state = &fixture;
	return run_nft(&fixture, sets);
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

static struct door nft_door(const char *set, const char *set_6, const char *entry)
{
	return (struct door){
		.name = "ssh",
		.timeout_us = 30000000,
		.opening.backend = BACKEND_NFT,
		.opening.set = {TEXT(set), TEXT(set_6)},
		.opening.entry = TEXT(entry),
	};
}

static struct passage *new_rule(const char *set, const char *entry, const char *source)
{
	return sets_passage(BACKEND_NFT, set, entry, source);
}

static void test_opens_and_closes(void **state)
{
	static const struct {
		const char *set, *entry, *source, *element;
	} cases[] = {
		{"inet t four", "%IP%", "192.0.2.1", "192.0.2.1"},
		{"ip t four", "%IP%", "192.0.2.1", "192.0.2.1"},
		{"inet t six", "%IP%", "2001:db8::1", "2001:db8::1"},
		{"inet t ports", "%IP% . 22", "192.0.2.1", "192.0.2.1 . 22"},
		{"inet t ports", "%IP% . ssh", "192.0.2.1", "192.0.2.1 . 22"},
		{"inet t ports6", "22 . %IP%", "2001:db8::1", "22 . 2001:db8::1"},
		{"inet t likefour", "%IP%", "192.0.2.1", "192.0.2.1"},
		{"inet t likeports", "%IP% . 22", "192.0.2.1", "192.0.2.1 . 22"},
		{"inet t ranges", "%IP%", "192.0.2.1", "192.0.2.1"},
		{"inet t one", "%IP%", "192.0.2.1", "192.0.2.1"},
		{"inet t hourly", "%IP%", "192.0.2.1", "192.0.2.1"},
	};
	struct fixture *fixture = needed(state);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct passage *passage = new_rule(cases[i].set, cases[i].entry, cases[i].source);

		for (uint64_t seconds = 100; seconds > 0; seconds = seconds == 100 ? 1000 : 0) {
			if (open_rule(fixture, passage, seconds) != FIREWALL_DONE)
				fail_msg("%s: %s", cases[i].entry,
					 firewall_problem(fixture->firewall));
			assert_in_range(left_in_nft(fixture, cases[i].set, cases[i].element),
					seconds - 10, seconds);
		}
		assert_int_equal(close_rule(fixture, passage), FIREWALL_DONE);
		assert_int_equal(left_in_nft(fixture, cases[i].set, cases[i].element), -1);
		passage_free(passage);
	}
}

/* No time at all is not for ever, which is the last thing that a grant may be. */
static void test_no_time_is_not_for_ever(void **state)
{
	struct fixture *fixture = needed(state);
	struct passage *passage = new_rule("inet t four", "%IP%", "192.0.2.1");
	char *listing;

	assert_int_equal(open_rule(fixture, passage, 0), FIREWALL_DONE);
	left_in_nft(fixture, "inet t four", "192.0.2.1");
	listing = support_read(fixture->listing, NULL);
	assert_true(!strstr(listing, "192.0.2.1") || strstr(listing, "timeout 1s expires "));
	free(listing);
	passage_free(passage);
}

/* Every one is told in words, and the next right command works. */
static void test_errors(void **state)
{
	static const struct {
		const char *set, *entry, *source, *problem;
		int error;
	} cases[] = {
		{"inet t absent", "%IP%", "192.0.2.1", "there is no such set", -ENOENT},
		{"inet absent four", "%IP%", "192.0.2.1", "there is no such set", -ENOENT},
		{"inet t verdicts", "%IP%", "192.0.2.1", "the set does not", -EINVAL},
		{"inet t plain", "%IP%", "192.0.2.1", "the set does not take it", -EINVAL},
		{"inet t fixed", "%IP%", "192.0.2.1", "the set does not", -EINVAL},
		{"inet t four", "%IP%", "2001:db8::1", "", -EIO},
		{"inet t six", "%IP%", "192.0.2.1", "", -EIO},
		{"inet t four", "%IP% . 22", "192.0.2.1", "", -EIO},
		{"inet t ports", "%IP%", "192.0.2.1", "", -EIO},
		{"inet t ports", "%IP% . nothing", "192.0.2.1", "", -EIO},
		{"inet t one", "%IP%", "192.0.2.1", "the set is full", -ENOSPC},
		{"inet t counter", "%IP%", "192.0.2.1", "syntax error", -EIO},
	};
	struct fixture *fixture = needed(state);
	struct passage *right = new_rule("inet t four", "%IP%", "192.0.2.99");

	assert_int_equal(run_nft(fixture, "add element inet t one { 192.0.2.77 }\n"), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct passage *passage = new_rule(cases[i].set, cases[i].entry, cases[i].source);
		int r = open_rule(fixture, passage, 100);
		const char *problem = firewall_problem(fixture->firewall);
		char head[64];

		snprintf(head, sizeof head, "nft %s: ", cases[i].set);
		if (r != cases[i].error || strncmp(problem, head, strlen(head)) != 0 ||
		    strncmp(problem + strlen(head), cases[i].problem, strlen(cases[i].problem)) !=
			    0 ||
		    strchr(problem, '\n') || strstr(problem, "Error") || strlen(problem) < 20)
			fail_msg("%s in %s: %d, \"%s\"", cases[i].source, cases[i].set, r, problem);
		assert_int_equal(open_rule(fixture, right, 100), FIREWALL_DONE);
		assert_in_range(left_in_nft(fixture, "inet t four", "192.0.2.99"), 90, 100);
		assert_int_equal(close_rule(fixture, right), FIREWALL_DONE);
		assert_int_equal(left_in_nft(fixture, "inet t four", "192.0.2.99"), -1);
		passage_free(passage);
	}
	passage_free(right);
}

/* Who is in a full set can be renewed and let out. */
static void test_full_set(void **state)
{
	struct fixture *fixture = needed(state);
	struct passage *in = new_rule("inet t one", "%IP%", "192.0.2.1");
	struct passage *out = new_rule("inet t one", "%IP%", "192.0.2.2");

	assert_int_equal(open_rule(fixture, in, 100), FIREWALL_DONE);
	assert_int_equal(open_rule(fixture, out, 100), -ENOSPC);
	assert_int_equal(open_rule(fixture, in, 1000), FIREWALL_DONE);
	assert_in_range(left_in_nft(fixture, "inet t one", "192.0.2.1"), 990, 1000);
	assert_int_equal(close_rule(fixture, in), FIREWALL_DONE);
	assert_int_equal(open_rule(fixture, out, 100), FIREWALL_DONE);
	assert_in_range(left_in_nft(fixture, "inet t one", "192.0.2.2"), 90, 100);
	passage_free(in);
	passage_free(out);
}

/* Somebody else has taken the place of one that the kernel has ended: nothing is left to close. */
static void test_close_where_others_fill_the_set(void **state)
{
	struct fixture *fixture = needed(state);
	struct passage *gone = new_rule("inet t one", "%IP%", "192.0.2.1");
	struct passage *there = new_rule("inet t one", "%IP%", "192.0.2.2");
	struct passage *elsewhere = new_rule("inet t absent", "%IP%", "192.0.2.1");

	assert_int_equal(open_rule(fixture, there, 100), FIREWALL_DONE);
	assert_int_equal(close_rule(fixture, gone), FIREWALL_DONE);
	assert_in_range(left_in_nft(fixture, "inet t one", "192.0.2.2"), 90, 100);
	assert_int_equal(close_rule(fixture, there), FIREWALL_DONE);
	assert_int_equal(left_in_nft(fixture, "inet t one", "192.0.2.2"), -1);
	assert_int_equal(close_rule(fixture, elsewhere), -ENOENT);
	passage_free(gone);
	passage_free(there);
	passage_free(elsewhere);
}

static enum firewall_answer ask(struct fixture *fixture, const struct passage *passage,
				unsigned *seconds)
{
	struct passage *stranger = new_rule("inet t other", "%IP%", "192.0.2.1");
	enum firewall_answer answer = sets_ask(fixture, passage, stranger, seconds);

	passage_free(stranger);
	return answer;
}

/* Each element is found with what is left of it, whatever else the set holds. */
static void test_lists(void **state)
{
	static const struct {
		const char *set, *entry, *source;
		enum firewall_answer answer;
		unsigned seconds;
	} cases[] = {
		{"inet t four", "%IP%", "192.0.2.1", FIREWALL_PRESENT, 100},
		{"inet t four", "%IP%", "192.0.2.2", FIREWALL_PRESENT, 7384},
		{"inet t four", "%IP%", "192.0.2.3", FIREWALL_PRESENT, 300},
		{"inet t four", "%IP%", "192.0.2.9", FIREWALL_PRESENT, 900},
		{"inet t four", "%IP%", "192.0.2.10", FIREWALL_ABSENT, 0},
		{"inet t six", "%IP%", "2001:db8::1", FIREWALL_PRESENT, 200},
		{"inet t ports", "%IP% . 22", "192.0.2.1", FIREWALL_PRESENT, 300},
		{"inet t ports", "%IP% . ssh", "192.0.2.1", FIREWALL_PRESENT, 300},
		{"inet t ports", "%IP% . 23", "192.0.2.1", FIREWALL_ABSENT, 0},
		{"inet t ports", "%IP% . telnet", "192.0.2.1", FIREWALL_ABSENT, 0},
		{"inet t protocols", "%IP% . tcp", "192.0.2.1", FIREWALL_PRESENT, 300},
		{"inet t protocols", "%IP% . 6", "192.0.2.1", FIREWALL_SPELLED, 0},
		{"inet t protocols", "%IP% . 17", "192.0.2.1", FIREWALL_ABSENT, 0},
		{"inet t protocols", "%IP% . 6", "192.0.2.2", FIREWALL_ABSENT, 0},
		{"inet t wide", "%IP% . ssh", "192.0.2.1", FIREWALL_SPELLED, 0},
		{"inet t wide", "%IP% . 1024", "192.0.2.1", FIREWALL_SPELLED, 0},
		{"inet t wide", "%IP% . 1025", "192.0.2.1", FIREWALL_ABSENT, 0},
		{"inet t wide", "%IP% . 22", "192.0.3.0", FIREWALL_ABSENT, 0},
		{"inet t wide", "%IP% . 22", "192.0.4.4", FIREWALL_SPELLED, 0},
		{"inet t wide", "%IP% . 22", "192.0.4.10", FIREWALL_ABSENT, 0},
		{"inet t ranges", "%IP%", "192.0.2.1", FIREWALL_SPELLED, 0},
		{"inet t ranges", "%IP%", "192.0.2.128", FIREWALL_ABSENT, 0},
		{"inet t ranges", "%IP%", "198.51.100.7", FIREWALL_PRESENT, 50},
		{"inet t absent", "%IP%", "192.0.2.1", FIREWALL_ABSENT, 0},
		{"inet away four", "%IP%", "192.0.2.1", FIREWALL_ABSENT, 0},
	};
	struct fixture *fixture = needed(state);

	assert_int_equal(
		run_nft(fixture,
			"add element inet t four { 192.0.2.1 timeout 100s comment \"x, y } z\" }\n"
			"add element inet t four { 192.0.2.2 timeout 2h3m4s, 192.0.2.3 timeout 5m "
			"}\n"
			"add element inet t four { 192.0.2.4 timeout 1s, 192.0.2.5 timeout 9s }\n"
			"add element inet t four { 192.0.2.9 timeout 900s }\n"
			"add element inet t six { 2001:db8:0::1 timeout 200s }\n"
			"add element inet t ports { 192.0.2.1 . 22 timeout 300s }\n"
			"add element inet t protocols { 192.0.2.1 . tcp timeout 300s }\n"
			"add element inet t wide { 192.0.2.0/24 . 1-1024 timeout 300s }\n"
			"add element inet t wide { 192.0.4.3-192.0.4.9 . 22 timeout 300s }\n"
			"add element inet t ranges { 192.0.2.0/25 timeout 400s }\n"
			"add element inet t ranges { 198.51.100.7 timeout 50s }\n"),
		0);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct passage *passage = new_rule(cases[i].set, cases[i].entry, cases[i].source);
		unsigned seconds;
		enum firewall_answer answer = ask(fixture, passage, &seconds);

		if (answer != cases[i].answer)
			fail_msg("case %zu: answer %d", i, answer);
		if (answer == FIREWALL_PRESENT &&
		    (seconds > cases[i].seconds || seconds + 10 < cases[i].seconds))
			fail_msg("case %zu: %u s are left", i, seconds);
		passage_free(passage);
	}
}

/* The first few odd spellings are asked for, one by one; and what is not there does no harm to what
 * comes next, nor is it changed by the question. */
static void on_listed_odd(void *userdata, struct listing *listing, uint64_t now_us)
{
	struct fixture *fixture = userdata;
	struct passage *passage = new_rule("inet t protocols", "%IP% . 17", "192.0.2.1");
	uint64_t left_us;

	assert_true(now_us == 7);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(firewall_ask(fixture->firewall, listing, passage, &left_us),
				 FIREWALL_ABSENT);
	assert_int_equal(firewall_ask(fixture->firewall, listing, passage, &left_us),
			 FIREWALL_SILENT);
	passage_free(passage);
}

static void test_odd_spellings(void **state)
{
	struct fixture *fixture = needed(state);
	struct passage *odd = new_rule("inet t protocols", "%IP% . 17", "192.0.2.1");

	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(
			run_nft(fixture, "add element inet t protocols { 192.0.2.1 . tcp }\n"), 0);
		assert_int_equal(firewall_list(fixture->firewall, odd, 7, on_listed_odd, fixture),
				 0);
		assert_int_equal(left_in_nft(fixture, "inet t protocols", "192.0.2.1 . udp"), -1);
		assert_int_equal(open_rule(fixture, odd, 100), FIREWALL_DONE);
		assert_in_range(left_in_nft(fixture, "inet t protocols", "192.0.2.1 . udp"), 90,
				100);
		assert_int_equal(close_rule(fixture, odd), FIREWALL_DONE);
		assert_int_equal(left_in_nft(fixture, "inet t protocols", "192.0.2.1 . udp"), -1);
	}
	passage_free(odd);
}

static void test_check(void **state)
{
	static const struct {
		const char *set, *set_6, *entry;
		int result;
		const char *problem;
	} cases[] = {
		{"inet t four", "inet t six", "%IP%", 0, NULL},
		{"ip t four", NULL, "%IP%", 0, NULL},
		{NULL, "inet t six", "%IP%", 0, NULL},
		{NULL, NULL, "%IP%", 0, NULL},
		{"inet t ports", NULL, "%IP% . 22", 0, NULL},
		{NULL, "inet t ports6", "22 . %IP%", 0, NULL},
		{"inet t likefour", NULL, "%IP%", 0, NULL},
		{"inet t likeports", NULL, "%IP% . 22", 0, NULL},
		{"inet t ranges", NULL, "%IP%", 0, NULL},
		{"inet t one", NULL, "%IP%", 0, NULL},
		{"inet t hourly", NULL, "%IP%", 0, NULL},
		{"inet t absent", NULL, "%IP%", -ENOENT, "nft inet t absent: there is no such set"},
		{"inet no four", NULL, "%IP%", -ENOENT, "nft inet no four: there is no such set"},
		{"inet t verdicts", NULL, "%IP%", -ENOENT,
		 "nft inet t verdicts: there is no such set"},
		{"inet t four", "inet t absent", "%IP%", -ENOENT, "nft inet t absent: "},
		{"inet t plain", NULL, "%IP%", -ETIME,
		 "nft inet t plain: created without flags timeout"},
		{"inet t fixed", NULL, "%IP%", -ETIME, "nft inet t fixed: created without "},
		{"inet t merged", NULL, "%IP%", -EMEDIUMTYPE, "nft inet t merged: created with "},
		{"inet t four", NULL, "%IP% . 22", -EMEDIUMTYPE,
		 "nft inet t four: an element of type ipv4_addr does not look as entry = %IP% . "
		 "22"},
		{"inet t ports", NULL, "%IP%", -EMEDIUMTYPE,
		 "nft inet t ports: an element of type ipv4_addr . inet_service "},
		{"inet t ports", NULL, "22 . %IP%", -EAFNOSUPPORT,
		 "nft inet t ports: not a set for IPv4: its type is ipv4_addr . inet_service"},
		{"inet t ports", NULL, "%IP% . nothing", -EIO, "nft inet t ports: "},
		{"inet t likefour", NULL, "%IP% . 22", -EIO, "nft inet t likefour: "},
		{NULL, "inet t likefour", "%IP%", -EIO, "nft inet t likefour: "},
		{"inet t numbers", NULL, "%IP%", -EAFNOSUPPORT, "nft inet t numbers: "},
		{"inet t six", NULL, "%IP%", -EAFNOSUPPORT, "nft inet t six: not a set for IPv4"},
		{NULL, "inet t four", "%IP%", -EAFNOSUPPORT, "nft inet t four: not a set for IPv6"},
	};
	struct fixture *fixture = needed(state);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct door door = nft_door(cases[i].set, cases[i].set_6, cases[i].entry);
		int r = firewall_check(fixture->firewall, &door.opening);
		const char *problem = firewall_problem(fixture->firewall);

		if (r != cases[i].result ||
		    (r < 0 && strncmp(problem, cases[i].problem, strlen(cases[i].problem)) != 0))
			fail_msg("case %zu: %d, \"%s\"", i, r, problem);
	}
}

static void test_check_networks(void **state)
{
	struct door door = nft_door("inet t ranges", NULL, "%IP%");
	struct fixture *fixture = needed(state);

	door.opening.prefix[FAMILY_IPV4] = 24;
	assert_int_equal(firewall_check(fixture->firewall, &door.opening), 0);
	door.opening.set[FAMILY_IPV4] = TEXT("inet t four");
	assert_int_equal(firewall_check(fixture->firewall, &door.opening), -EMEDIUMTYPE);
	assert_string_equal(
		firewall_problem(fixture->firewall),
		"nft inet t four: created without flags interval, which grant_prefix needs");
	door.opening.prefix[FAMILY_IPV4] = 32;
	assert_int_equal(firewall_check(fixture->firewall, &door.opening), 0);
}

static void test_check_full_set(void **state)
{
	const struct door door = nft_door("inet t one", NULL, "%IP%");
	struct fixture *fixture = needed(state);

	assert_int_equal(run_nft(fixture, "add element inet t one { 192.0.2.77 }\n"), 0);
	assert_int_equal(firewall_check(fixture->firewall, &door.opening), -ENOSPC);
	assert_string_equal(firewall_problem(fixture->firewall), "nft inet t one: the set is full");
}

static void test_ports(void **state)
{
	sets_try_ports(needed(state), "inet t numbers", left_in_nft);
}

static void test_sets_of_no_ports(void **state)
{
	static const struct {
		const char *set;
		int result;
		const char *problem;
	} cases[] = {
		{"inet t four", -EMEDIUMTYPE, "nft inet t four: not a set of ports; create it "},
		{"inet t ports", -EMEDIUMTYPE, "nft inet t ports: not a set of ports; create it "},
		{"inet t merging", -EMEDIUMTYPE, "nft inet t merging: created with auto-merge"},
		{"inet t endless", -ETIME, "nft inet t endless: created without flags timeout"},
		{"inet t absent", -ENOENT, "nft inet t absent: there is no such set"},
		{"ip x y", -ENOENT, "nft ip x y: there is no such set"},
	};
	const struct firewall_port port = {1024, 60};
	struct fixture *fixture = needed(state);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int r = firewall_check_ports(fixture->firewall, cases[i].set);

		assert_int_equal(r, cases[i].result);
		if (!strstr(firewall_problem(fixture->firewall), cases[i].problem))
			fail_msg("%s", firewall_problem(fixture->firewall));
	}
	assert_int_equal(firewall_put_ports(fixture->firewall, "ip x y", &port, 1), -ENOENT);
	assert_int_equal(firewall_has_port(fixture->firewall, "ip x y", 1024), -ENOENT);
	assert_int_equal(firewall_put_ports(fixture->firewall, "inet t numbers", &port, 1), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_opens_and_closes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_time_is_not_for_ever, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_errors, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_full_set, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_close_where_others_fill_the_set, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_lists, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_odd_spellings, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_check, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_check_networks, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_ports, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_sets_of_no_ports, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_check_full_set, set_up, tear_down),
	};

	permitted = support_private_network() && sets_have_nft();
	return cmocka_run_group_tests_name("nft", tests, NULL, NULL);
}
