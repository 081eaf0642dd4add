/* What every backend does alike that keeps grants in a set of the kernel, in a network namespace of
 * the test's own. */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "cmocka-all.h"
#include "core/door.h"
#include "firewall/firewall.h"
#include "firewall/passage.h"
#include "support-sets.h"
#include "support.h"

static bool permitted, have_nft;

struct backend_case {
	enum backend_kind id;
	const char *head; /* of every problem */
	const char *set;
	size_t too_long;  /* for an element */
	int never_ending; /* what a timeout beyond the kernel's comes to */
	long (*left)(struct fixture *fixture, const char *set, const char *element);
	int (*make)(const struct fixture *fixture); /* the set */
	int (*destroy)(const struct fixture *fixture);
	int (*add_other)(const struct fixture *fixture); /* 192.0.2.9 for 5000 s */
};

static int ipset_make(const struct fixture *fixture)
{
	(void)fixture;
	return support_ipset("create ip hash:ip timeout 0");
}

static int ipset_destroy(const struct fixture *fixture)
{
	(void)fixture;
	return support_ipset("destroy");
}

static int ipset_add_other(const struct fixture *fixture)
{
	(void)fixture;
	return support_ipset("add ip 192.0.2.9 timeout 5000");
}

static int nft_make(const struct fixture *fixture)
{
	return run_nft(fixture, "table inet t { set four { type ipv4_addr; flags timeout; }; }\n");
}

static int nft_destroy(const struct fixture *fixture)
{
	return run_nft(fixture, "flush ruleset\n");
}

static int nft_add_other(const struct fixture *fixture)
{
	return run_nft(fixture, "add element inet t four { 192.0.2.9 timeout 5000s }\n");
}

static struct backend_case ipset = {
	.id = BACKEND_IPSET,
	.head = "ipset ip: ",
	.set = "ip",
	.too_long = 600,
	.never_ending = -EIO,
	.left = left_in_ipset,
	.make = ipset_make,
	.destroy = ipset_destroy,
	.add_other = ipset_add_other,
};

static struct backend_case nft = {
	.id = BACKEND_NFT,
	.head = "nft inet t four: ",
	.set = "inet t four",
	.too_long = 2000,
	.never_ending = FIREWALL_DONE,
	.left = left_in_nft,
	.make = nft_make,
	.destroy = nft_destroy,
	.add_other = nft_add_other,
};

static struct fixture fixture;

static int set_up(void **state)
{
	const struct backend_case *backend = *state;

	if (!permitted || (backend->id == BACKEND_NFT && !have_nft))
		return 0;
	if (sets_begin(&fixture) != 0)
		return -1;
	backend->destroy(&fixture);
	return backend->make(&fixture);
}

static int tear_down(void **state)
{
	(void)state;
	if (fixture.firewall)
		sets_end(&fixture);
	fixture = (struct fixture){0};
	return 0;
}

static const struct backend_case *needed(void **state)
{
	if (!fixture.firewall)
		skip();
	return *state;
}

static struct passage *new_rule(const struct backend_case *backend, const char *entry)
{
	return sets_passage(backend->id, backend->set, entry, "192.0.2.1");
}

static long left(const struct backend_case *backend, const char *element)
{
	return backend->left(&fixture, backend->set, element);
}

/* Twice is as once, and the second time moves the deadline, in both directions. */
static void test_renews(void **state)
{
	const struct backend_case *backend = needed(state);
	struct passage *passage = new_rule(backend, "%IP%");

	assert_int_equal(open_rule(&fixture, passage, 100), FIREWALL_DONE);
	assert_int_equal(open_rule(&fixture, passage, 1000), FIREWALL_DONE);
	assert_in_range(left(backend, "192.0.2.1"), 990, 1000);
	assert_int_equal(open_rule(&fixture, passage, 50), FIREWALL_DONE);
	assert_in_range(left(backend, "192.0.2.1"), 40, 50);
	passage_free(passage);
}

static void test_close_twice(void **state)
{
	const struct backend_case *backend = needed(state);
	struct passage *passage = new_rule(backend, "%IP%");

	assert_int_equal(close_rule(&fixture, passage), FIREWALL_DONE);
	assert_int_equal(open_rule(&fixture, passage, 100), FIREWALL_DONE);
	assert_int_equal(close_rule(&fixture, passage), FIREWALL_DONE);
	assert_int_equal(close_rule(&fixture, passage), FIREWALL_DONE);
	passage_free(passage);
}

static void test_longest_timeout(void **state)
{
	const struct backend_case *backend = needed(state);
	struct passage *passage = new_rule(backend, "%IP%");

	assert_int_equal(open_rule(&fixture, passage, 2147483), FIREWALL_DONE);
	assert_in_range(left(backend, "192.0.2.1"), 2147400, 2147483);
	assert_int_equal(open_rule(&fixture, passage, UINT64_MAX), backend->never_ending);
	assert_in_range(left(backend, "192.0.2.1"), 2147400, 2147483);
	passage_free(passage);
}

static void test_long_element(void **state)
{
	const struct backend_case *backend = needed(state);
	char entry[2000];
	struct passage *passage;

	memset(entry, 'x', sizeof entry);
	entry[backend->too_long - 1] = '\0';
	passage = new_rule(backend, entry);
	assert_int_equal(open_rule(&fixture, passage, 100), -E2BIG);
	assert_non_null(strstr(firewall_problem(fixture.firewall), backend->head));
	passage_free(passage);
}

/* A set may be made again while the daemon runs. */
static void test_set_comes_and_goes(void **state)
{
	const struct backend_case *backend = needed(state);
	struct passage *passage = new_rule(backend, "%IP%");

	assert_int_equal(open_rule(&fixture, passage, 100), FIREWALL_DONE);
	assert_int_equal(backend->destroy(&fixture), 0);
	assert_int_equal(open_rule(&fixture, passage, 100), -ENOENT);
	assert_int_equal(close_rule(&fixture, passage), -ENOENT);
	assert_int_equal(backend->make(&fixture), 0);
	assert_int_equal(open_rule(&fixture, passage, 100), FIREWALL_DONE);
	assert_in_range(left(backend, "192.0.2.1"), 90, 100);
	passage_free(passage);
}

/* Nothing that was in the set before is touched, and a check changes nothing. */
static void test_leaves_others_alone(void **state)
{
	const struct backend_case *backend = needed(state);
	const struct door door = {
		.name = "ssh",
		.opening.backend = backend->id,
		.opening.set = {TEXT(backend->set)},
		.opening.entry = TEXT("%IP%"),
	};
	struct passage *passage = new_rule(backend, "%IP%");

	assert_int_equal(backend->add_other(&fixture), 0);
	assert_int_equal(open_rule(&fixture, passage, 100), FIREWALL_DONE);
	assert_int_equal(firewall_check(fixture.firewall, &door.opening), 0);
	assert_in_range(left(backend, "192.0.2.1"), 90, 100);
	assert_int_equal(close_rule(&fixture, passage), FIREWALL_DONE);
	assert_int_equal(firewall_check(fixture.firewall, &door.opening), 0);
	assert_int_equal(left(backend, "192.0.2.1"), -1);
	assert_in_range(left(backend, "192.0.2.9"), 4900, 5000);
	passage_free(passage);
}

#define TEST(function, backend)                                                                    \
	(struct CMUnitTest)                                                                        \
	{                                                                                          \
		.name = #backend ": " #function, .test_func = function, .setup_func = set_up,      \
		.teardown_func = tear_down, .initial_state = &(backend)                            \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_renews, ipset),
		TEST(test_close_twice, ipset),
		TEST(test_longest_timeout, ipset),
		TEST(test_long_element, ipset),
		TEST(test_set_comes_and_goes, ipset),
		TEST(test_leaves_others_alone, ipset),
		TEST(test_renews, nft),
		TEST(test_close_twice, nft),
		TEST(test_longest_timeout, nft),
		TEST(test_long_element, nft),
		TEST(test_set_comes_and_goes, nft),
		TEST(test_leaves_others_alone, nft),
	};

	permitted = support_private_network();
	have_nft = permitted && sets_have_nft();
	return cmocka_run_group_tests_name("set backend", tests, NULL, NULL);
}
