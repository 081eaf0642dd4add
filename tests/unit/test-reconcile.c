/* Grants in a set of the kernel, which others change and share; and thousands of them. */
#include "grant/grants.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka-all.h"
#include "core/address.h"
#include "core/door.h"
#include "grant/table.h"
#include "support-grants.h"
#include "support.h"
#include "util/clock.h"

static void test_ipset(void **state)
{
	struct fixture *fixture = with_sets(state);

	open_door(fixture, &ipset_door, A, T0);
	expect_news(fixture, "opened ip 192.0.2.1 30\n");
	assert_int_equal(support_ipset("test kt 192.0.2.1"), 0);
	open_door(fixture, &ipset_door, A, T0 + 10 * S);
	expect_news(fixture, "renewed ip 192.0.2.1 30\n");
	open_door(fixture, &ipset_door, C6, T0);
	expect_news(fixture,
		    "refused ip 2001:db8::1 0: the door has no set_6 or start_command_6\n");
	grants_run(fixture->grants, T0 + 40 * S);
	expect_news(fixture, "closed ip 192.0.2.1 0\n");
	assert_int_equal(support_ipset("test kt 192.0.2.1"), 1);
	assert_false(has_record(fixture, "ip@192.0.2.1"));
}

/* How many seconds the kernel will keep the address in the set; 0: it is not there. */
static int seconds_in_set(struct fixture *fixture, const char *address)
{
	char *const argv[] = {TEXT("/usr/sbin/ipset"), TEXT("list"), TEXT("kt"), NULL};
	char *path = support_path(fixture->directory, "set"), *text;
	int seconds = 0;
	const char *at;
	size_t length;

	assert_int_equal(support_run(argv, NULL, path), 0);
	text = support_read(path, &length);
	at = strstr(text, address);
	if (at)
		assert_int_equal(sscanf(at + strlen(address), " timeout %d", &seconds), 1);
	free(text);
	free(path);
	return seconds;
}

/* What stands in a set for a time and is on nobody's record is closed; what is for ever is
 * somebody's wish, and a set that is shared is somebody else's as well. */
static void test_strays(void **state)
{
	struct fixture *fixture = with_sets(state);
	struct door doors[] = {ipset_door, ipset_door};

	strcpy(doors[1].name, "other");
	open_door(fixture, &doors[0], A, T0);
	assert_int_equal(support_ipset("add kt 192.0.2.7 timeout 600"), 0);
	assert_int_equal(support_ipset("add kt 192.0.2.8 timeout 0"), 0);
	doors[1].opening.set_shared = 1;
	fixture->news[0] = '\0';
	grants_close_strays(fixture->grants, doors, 2, T0 + S);
	grants_run(fixture->grants, T0 + S);
	expect_news(fixture, "");
	doors[1].opening.set_shared = 0;
	grants_close_strays(fixture->grants, doors, 2, T0 + S);
	assert_true(grants_next_us(fixture->grants) <= T0 + S);
	assert_int_equal(support_ipset("test kt 192.0.2.7"), 0);
	grants_run(fixture->grants, T0 + S);
	expect_news(fixture, "closed ip 192.0.2.7 0: it stood open on nobody's record\n");
	assert_int_equal(support_ipset("test kt 192.0.2.7"), 1);
	assert_int_equal(support_ipset("test kt 192.0.2.8"), 0);
	assert_int_equal(support_ipset("test kt 192.0.2.1"), 0);
	assert_true(grants_next_us(fixture->grants) > T0 + S);
}

/* Whoever knocks before it is their turn has opened the door for themselves. There are more than
 * are closed at once, and what is left is freed. */
static void test_many_strays(void **state)
{
	struct fixture *fixture = with_sets(state);
	char command[64];

	for (int i = 0; i < 600; i++) {
		snprintf(command, sizeof command, "add kt 198.18.%d.%d timeout 600", i / 200,
			 i % 200);
		assert_int_equal(support_ipset(command), 0);
	}
	assert_int_equal(support_ipset("add kt 192.0.2.1 timeout 600"), 0);
	grants_close_strays(fixture->grants, &ipset_door, 1, T0);
	open_door(fixture, &ipset_door, A, T0);
	for (int i = 0; i < 2; i++) {
		fixture->news[0] = '\0';
		assert_true(grants_next_us(fixture->grants) <= T0);
		grants_run(fixture->grants, T0);
	}
	assert_true(grants_next_us(fixture->grants) <= T0);
	fixture->news[0] = '\0';
	grants_run(fixture->grants, T0);
	assert_true(grants_next_us(fixture->grants) > T0);
	assert_int_equal(support_ipset("test kt 192.0.2.1"), 0);
	assert_int_equal(support_ipset("test kt 198.18.0.0"), 1);
	assert_int_equal(support_ipset("test kt 198.18.2.199"), 1);
	assert_int_equal(support_ipset("add kt 192.0.2.7 timeout 600"), 0);
	grants_close_strays(fixture->grants, &ipset_door, 1, T0);
}

/* Two doors share a set: neither closes what the other has opened, nor cuts it short. */
static void test_ipset_twins(void **state)
{
	struct fixture *fixture = with_sets(state);
	struct door longer = ipset_door;

	strcpy(longer.name, "longer");
	longer.timeout_us = 60 * S;
	open_door(fixture, &longer, A, T0);
	open_door(fixture, &ipset_door, A, T0);
	assert_int_equal(grants_count(fixture->grants), 2);
	assert_in_range(seconds_in_set(fixture, "192.0.2.1"), 55, 60);
	open_door(fixture, &ipset_door, A, T0 + S);
	assert_in_range(seconds_in_set(fixture, "192.0.2.1"), 54, 60);
	fixture->news[0] = '\0';
	grants_run(fixture->grants, T0 + 31 * S);
	expect_news(fixture, "closed ip 192.0.2.1 0\n");
	assert_int_equal(support_ipset("test kt 192.0.2.1"), 0);
	grants_run(fixture->grants, T0 + 60 * S);
	expect_news(fixture, "closed longer 192.0.2.1 0\n");
	assert_int_equal(support_ipset("test kt 192.0.2.1"), 1);
}

/* Of three doors it is the longest that counts. */
static void test_ipset_triplets(void **state)
{
	struct fixture *fixture = with_sets(state);
	struct door longest = ipset_door, longer = ipset_door;

	strcpy(longest.name, "longest");
	longest.timeout_us = 60 * S;
	strcpy(longer.name, "longer");
	longer.timeout_us = 45 * S;
	open_door(fixture, &longest, A, T0);
	open_door(fixture, &ipset_door, A, T0);
	open_door(fixture, &longer, A, T0);
	grants_run(fixture->grants, T0 + 31 * S);
	assert_in_range(seconds_in_set(fixture, "192.0.2.1"), 24, 29);
	grants_run(fixture->grants, T0 + 46 * S);
	assert_in_range(seconds_in_set(fixture, "192.0.2.1"), 9, 14);
	grants_run(fixture->grants, T0 + 61 * S);
	assert_int_equal(grants_count(fixture->grants), 0);
	assert_int_equal(support_ipset("test kt 192.0.2.1"), 1);
}

/* What cannot be closed is over when the kernel has ended it. */
static void test_ipset_closing_fails(void **state)
{
	struct fixture *fixture = with_sets(state);

	open_door(fixture, &ipset_door, A, T0);
	fixture->news[0] = '\0';
	assert_int_equal(support_ipset("destroy kt"), 0);
	assert_int_equal(support_ipset("create kt hash:ip family inet6 timeout 0"), 0);
	assert_int_equal(grants_close(fixture->grants, "ip", NULL, &(struct hand){0}, T0 + 10 * S),
			 1);
	expect_news(fixture, "close-failed ip 192.0.2.1 0: ipset kt: ...\n");
	grants_run(fixture->grants, T0 + 29 * S);
	assert_int_equal(grants_count(fixture->grants), 1);
	assert_true(has_record(fixture, "ip@192.0.2.1"));
	fixture->news[0] = '\0';
	grants_run(fixture->grants, T0 + 60 * S);
	assert_non_null(strstr(fixture->news, "closed ip 192.0.2.1 0\n"));
	assert_int_equal(grants_count(fixture->grants), 0);
	assert_false(has_record(fixture, "ip@192.0.2.1"));
}

static void test_ipset_without_the_set(void **state)
{
	struct fixture *fixture = with_sets(state);

	open_door(fixture, &ipset_door, A, T0);
	expect_news(fixture, "opened ip 192.0.2.1 30\n");
	assert_int_equal(support_ipset("destroy kt"), 0);

	/* What cannot be renewed keeps its deadline, on record, too. */
	open_door(fixture, &ipset_door, A, T0 + 10 * S);
	expect_news(fixture, "refused ip 192.0.2.1 0: ipset kt: ...\n");
	assert_true(recorded_deadline(fixture, "ip@192.0.2.1") == T0 + 30 * S);
	open_door(fixture, &ipset_door, B, T0 + 10 * S);
	expect_news(fixture, "refused ip 192.0.2.2 0: ipset kt: ...\n");
	assert_false(has_record(fixture, "ip@192.0.2.2"));

	/* Where there is no set, nothing is open in it. */
	grants_close(fixture->grants, "ip", NULL, &(struct hand){0}, T0 + 20 * S);
	expect_news(fixture, "closed ip 192.0.2.1 0\n");
	assert_int_equal(grants_count(fixture->grants), 0);
	assert_false(has_record(fixture, "ip@192.0.2.1"));
}

/* Whatever somebody does to the set, it is put right by the next survey, or told. */
static void test_ipset_survey(void **state)
{
	struct fixture *fixture = with_sets(state);

	open_door(fixture, &ipset_door, A, T0);
	open_door(fixture, &ipset_door, B, T0);
	fixture->news[0] = '\0';
	assert_true(grants_next_us(fixture->grants) < T0 + S);
	grants_run(fixture->grants, T0 + S);
	expect_news(fixture, "");

	assert_int_equal(support_ipset("del kt 192.0.2.1"), 0);
	assert_true(grants_next_us(fixture->grants) < T0 + 2 * S);
	grants_run(fixture->grants, T0 + 2 * S);
	expect_news(fixture, "restored ip 192.0.2.1 28: the firewall had lost it\n");
	assert_in_range(seconds_in_set(fixture, "192.0.2.1"), 20, 28);

	assert_int_equal(support_ipset("flush kt"), 0);
	grants_run(fixture->grants, T0 + 3 * S);
	assert_non_null(strstr(fixture->news, "restored ip 192.0.2.1 27"));
	assert_non_null(strstr(fixture->news, "restored ip 192.0.2.2 27"));
	fixture->news[0] = '\0';
	assert_int_equal(support_ipset("test kt 192.0.2.2"), 0);

	/* The kernel has another deadline: nothing to tell. */
	assert_int_equal(support_ipset("-exist add kt 192.0.2.1 timeout 1000"), 0);
	assert_int_equal(support_ipset("-exist add kt 192.0.2.2 timeout 5"), 0);
	grants_run(fixture->grants, T0 + 4 * S);
	expect_news(fixture, "");
	assert_in_range(seconds_in_set(fixture, "192.0.2.1"), 20, 26);
	assert_in_range(seconds_in_set(fixture, "192.0.2.2"), 20, 26);
	assert_int_equal(support_ipset("-exist add kt 192.0.2.1 timeout 0"), 0);
	grants_run(fixture->grants, T0 + 5 * S);
	assert_in_range(seconds_in_set(fixture, "192.0.2.1"), 20, 25);

	/* Told once, tried again and again. */
	assert_int_equal(
		grants_close(fixture->grants, "ip", &(struct address){{0}}, &(struct hand){0}, T0),
		0);
	assert_int_equal(support_ipset("destroy kt"), 0);
	grants_run(fixture->grants, T0 + 6 * S);
	assert_non_null(strstr(fixture->news, "missing ip 192.0.2.1 24: ipset kt: "));
	assert_non_null(strstr(fixture->news, "missing ip 192.0.2.2 24: ipset kt: "));
	fixture->news[0] = '\0';
	grants_run(fixture->grants, T0 + 7 * S);
	expect_news(fixture, "");
	assert_int_equal(support_ipset("create kt hash:ip timeout 0"), 0);
	grants_run(fixture->grants, T0 + 8 * S);
	assert_non_null(strstr(fixture->news, "restored ip 192.0.2.1 22"));
	assert_int_equal(support_ipset("test kt 192.0.2.1"), 0);

	/* Missing to the end: closing it is no failure. */
	assert_int_equal(support_ipset("destroy kt"), 0);
	grants_run(fixture->grants, T0 + 9 * S);
	fixture->news[0] = '\0';
	grants_run(fixture->grants, T0 + 30 * S);
	assert_null(strstr(fixture->news, "close-failed"));
	assert_int_equal(grants_count(fixture->grants), 0);
	grants_run(fixture->grants, T0 + 31 * S);
	assert_true(grants_next_us(fixture->grants) == UINT64_MAX);
}

/* An element that the kernel shows in another spelling than the configuration. */
static void test_ipset_survey_spelled(void **state)
{
	struct fixture *fixture = with_sets(state);
	struct door door = ipset_door;

	assert_int_equal(support_ipset("create ktp hash:ip,port timeout 0"), 0);
	door.opening.set[FAMILY_IPV4] = TEXT("ktp");
	door.opening.entry = TEXT("%IP%,22");
	open_door(fixture, &door, A, T0);
	expect_news(fixture, "opened ip 192.0.2.1 30\n");
	grants_run(fixture->grants, T0 + S);
	expect_news(fixture, "");
	assert_int_equal(support_ipset("flush ktp"), 0);
	grants_run(fixture->grants, T0 + 2 * S);
	expect_news(fixture, "restored ip 192.0.2.1 28: the firewall had lost it\n");
	assert_int_equal(support_ipset("test ktp 192.0.2.1,tcp:22"), 0);
	assert_int_equal(support_ipset("destroy ktp"), 0);
}

/* State files of as many grants, which end one after the other from then on: long after the test
 * does, as the kernel's clock goes on, however slow the machine. */
#define MANY_END (T0 + 600 * S)

static void put_many(const struct fixture *fixture, const char *backend, const char *set,
		     unsigned n, const char *rest)
{
	for (unsigned i = 0; i < n; i++) {
		char text[512], name[64];

		snprintf(name, sizeof name, "ip@10.0.%u.%u", i >> 8, i & 255);
		snprintf(text, sizeof text,
			 "door=ip\nsource=10.0.%u.%u\nboot=%s\ndeadline_us=%" PRIu64
			 "\nstate=open\nopened=1\nbackend=%s\nset=%s\nelement=10.0.%u.%u%s\n"
			 "end=yes\n",
			 i >> 8, i & 255, boot_id, MANY_END + i * 100, backend, set, i >> 8,
			 i & 255, rest);
		put_record(fixture, name, text);
	}
}

/* Runs with the clock standing still until all is done; the steps that it took, none of which did
 * more than its share. */
static unsigned run_all(struct fixture *fixture, uint64_t now_us)
{
	unsigned n_steps = 0;

	while (grants_next_us(fixture->grants) <= now_us) {
		size_t n_lines = 0;

		fixture->news[0] = '\0';
		grants_run(fixture->grants, now_us);
		for (const char *c = fixture->news; *c; c++)
			n_lines += *c == '\n';
		assert_true(n_lines <= 256);
		n_steps++;
	}
	fixture->news[0] = '\0';
	return n_steps;
}

/* Thousands that end in one second: in bounded steps, so that other work is done in between. */
static void test_ipset_thousands(void **state)
{
	enum { N = 3000 };
	struct fixture *fixture = with_sets(state);

	put_many(fixture, "ipset", "kt", N, "");
	assert_int_equal(inherit(fixture->grants, T0), 0);
	assert_int_equal(grants_count(fixture->grants), N);
	run_all(fixture, T0);
	assert_int_equal(support_ipset("test kt 10.0.0.0"), 0);
	assert_int_equal(support_ipset("test kt 10.0.11.183"), 0);
	assert_in_range(run_all(fixture, MANY_END + S), 10, 100);
	assert_int_equal(grants_count(fixture->grants), 0);
	assert_int_equal(support_ipset("test kt 10.0.0.0"), 1);
	assert_int_equal(support_ipset("test kt 10.0.11.183"), 1);
	assert_false(has_record(fixture, "ip@10.0.11.183"));
}

static int run_nft(const struct fixture *fixture, const char *command)
{
	char *const argv[] = {TEXT("/usr/sbin/nft"), TEXT(command), NULL};
	char *output = support_path(fixture->directory, "set");
	int status = support_run(argv, NULL, output);

	free(output);
	return status;
}

static struct fixture *with_nft_set(void **state, const char *command)
{
	struct fixture *fixture = *state;

	if (!permitted)
		skip();
	run_nft(fixture, "delete table inet kt");
	if (run_nft(fixture, "add table inet kt") != 0)
		skip();
	assert_int_equal(run_nft(fixture, command), 0);
	return fixture;
}

/* How many elements nft shows in the set. */
static size_t count_elements(const struct fixture *fixture)
{
	char *path = support_path(fixture->directory, "set"), *text;
	size_t n = 0;

	assert_int_equal(run_nft(fixture, "list set inet kt kt"), 0);
	text = support_read(path, NULL);
	for (const char *at = text; (at = strstr(at, " expires ")); at++)
		n++;
	free(text);
	free(path);
	return n;
}

static void test_nft_thousands(void **state)
{
	enum { N = 3000 };
	struct fixture *fixture =
		with_nft_set(state, "add set inet kt kt { type ipv4_addr; flags timeout; }");

	put_many(fixture, "nft", "inet kt kt", N, "");
	assert_int_equal(inherit(fixture->grants, T0), 0);
	run_all(fixture, T0);
	assert_int_equal(count_elements(fixture), N);
	assert_in_range(run_all(fixture, MANY_END + S), 10, 100);
	assert_int_equal(grants_count(fixture->grants), 0);
	assert_int_equal(count_elements(fixture), 0);
	assert_false(has_record(fixture, "ip@10.0.11.183"));
}

/* Runs at the time of the kernel's clock and this offset. Whether that took so long that a listing
 * is not true any more by the time it is looked at: then all are put in anew, without a word. */
static bool run_slowly(struct fixture *fixture, uint64_t offset_us)
{
	uint64_t begun_us = clock_us(CLOCK_BOOTTIME);

	grants_run(fixture->grants, offset_us + begun_us);
	return clock_us(CLOCK_BOOTTIME) > begun_us + S;
}

/* A thousand that somebody has flushed are put back in bounded steps, whatever their spelling, and
 * so are some of them. The clock goes on with the kernel's from there: however long the steps take,
 * both have the same time left. */
static void test_nft_put_back(void **state)
{
	enum { N = 1000 };
	struct fixture *fixture = with_nft_set(
		state, "add set inet kt kt { type ipv4_addr . inet_service; flags timeout; }");
	uint64_t offset_us;
	unsigned n_steps = 0;
	bool is_slow = false;

	put_many(fixture, "nft", "inet kt kt", N, " . ssh");
	assert_int_equal(inherit(fixture->grants, T0), 0);
	run_all(fixture, T0);
	assert_int_equal(count_elements(fixture), N);
	assert_int_equal(run_nft(fixture, "flush set inet kt kt"), 0);
	offset_us = T0 + 5 * S - clock_us(CLOCK_BOOTTIME);
	do {
		fixture->news[0] = '\0';
		is_slow |= run_slowly(fixture, offset_us);
		assert_in_range(++n_steps, 1, 20);
	} while (count_elements(fixture) < N);
	assert_in_range(n_steps, 4, 20);
	fixture->news[0] = '\0';
	assert_int_equal(run_nft(fixture, "delete element inet kt kt { 10.0.0.7 . 22 }"), 0);
	while (!fixture->news[0] && !(is_slow && count_elements(fixture) == N)) {
		assert_true(offset_us + clock_us(CLOCK_BOOTTIME) < MANY_END - S);
		is_slow |= run_slowly(fixture, offset_us);
		poll(NULL, 0, 10);
	}
	if (!is_slow)
		expect_news(fixture, "restored ip 10.0.0.7 ...\n");
	assert_int_equal(count_elements(fixture), N);
}

/* The larger the set, the more seldom it is asked for; but it is. */
static void test_survey_of_a_large_set(void **state)
{
	struct fixture *fixture =
		with_nft_set(state, "add set inet kt kt { type ipv4_addr; flags timeout; }");
	char *command = malloc(200000), *end = command;
	struct door door = ipset_door;
	uint64_t next_us;

	door.opening.backend = BACKEND_NFT;
	door.opening.set[FAMILY_IPV4] = TEXT("inet kt kt");
	open_door(fixture, &door, A, T0);
	run_all(fixture, T0 + S);
	assert_true(grants_next_us(fixture->grants) <= T0 + 2 * S);
	end += sprintf(end, "add element inet kt kt { 10.9.9.9");
	for (unsigned i = 0; i < 8000; i++)
		end += sprintf(end, ", 10.0.%u.%u", i >> 8, i & 255);
	sprintf(end, " }");
	assert_int_equal(run_nft(fixture, command), 0);
	free(command);
	run_all(fixture, T0 + 2 * S);
	next_us = grants_next_us(fixture->grants);
	assert_in_range((next_us - T0) / S, 4, 10);

	/* A knock does not bring it forward. */
	open_door(fixture, &door, B, T0 + 2 * S);
	run_all(fixture, T0 + 3 * S);
	assert_true(grants_next_us(fixture->grants) == next_us);
	fixture->news[0] = '\0';
	assert_int_equal(run_nft(fixture, "flush set inet kt kt"), 0);
	run_all(fixture, next_us);
	assert_int_equal(count_elements(fixture), 2);
	assert_true(grants_next_us(fixture->grants) == next_us + RECONCILE_US);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		GRANT_TEST(test_ipset),
		GRANT_TEST(test_strays),
		GRANT_TEST(test_many_strays),
		GRANT_TEST(test_ipset_twins),
		GRANT_TEST(test_ipset_triplets),
		GRANT_TEST(test_ipset_closing_fails),
		GRANT_TEST(test_ipset_without_the_set),
		GRANT_TEST(test_ipset_survey),
		GRANT_TEST(test_ipset_survey_spelled),
		GRANT_TEST(test_ipset_thousands),
		GRANT_TEST(test_nft_thousands),
		GRANT_TEST(test_nft_put_back),
		GRANT_TEST(test_survey_of_a_large_set),
	};

	permitted = support_private_network();
	return cmocka_run_group_tests_name("reconcile", tests, NULL, NULL);
}
