/* Against the kernel's own tables, in a network namespace of the test's own. */
#include <errno.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cmocka-all.h"
#include "core/address.h"
#include "core/door.h"
#include "core/placeholder.h"
#include "core/visitor.h"
#include "firewall/backend.h"
#include "firewall/backends.h"
#include "firewall/firewall.h"
#include "firewall/passage.h"
#include "support.h"

#define TEXT(literal) ((char *)(literal))
#define S	      UINT64_C(1000000)

enum { NO_MOUNTS = 77 };

static bool permitted;

struct fixture {
	struct firewall *firewall;
	char *directory, *input, *listing;
};

static unsigned n_done, n_failed;
static int done_error;
static char done_problem[512];

static void on_done(void *owner, int error, const char *problem, uint64_t now_us)
{
	(void)owner;
	(void)now_us;
	n_done++;
	n_failed += error < 0;
	done_error = error;
	snprintf(done_problem, sizeof done_problem, "%s", problem ? problem : "");
}

static int restore(const struct fixture *fixture, const char *program, const char *passages)
{
	char *const argv[] = {TEXT(program), NULL};

	support_write(fixture->input, passages, strlen(passages));
	return support_run(argv, fixture->input, fixture->listing);
}

static int set_up(void **state)
{
	static const char passages[] = "*filter\n:INPUT ACCEPT [0:0]\n"
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
	if (restore(&fixture, "/usr/sbin/iptables-restore", passages) != 0 ||
	    restore(&fixture, "/usr/sbin/ip6tables-restore", passages) != 0)
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
	.opening.backend = BACKEND_IPTABLES,
	.opening.ports = {.n_ranges = 3,
			  .ranges = {{22, 22, IPPROTO_TCP},
				     {53, 53, IPPROTO_UDP},
				     {443, 443, IPPROTO_TCP}}},
	.opening.chain = TEXT("KNOCKTAIL"),
};

static const struct door web = {
	.name = "ssh-web",
	.opening.backend = BACKEND_IPTABLES,
	.opening.ports = {.n_ranges = 1, .ranges = {{80, 80, IPPROTO_TCP}}},
	.opening.chain = TEXT("KNOCKTAIL"),
};

static struct passage *new_rule(const struct door *door, const char *source)
{
	struct address address;
	struct passage *passage;

	assert_int_equal(address_parse(source, &address), 0);
	assert_int_equal(
		passage_new(&door->opening,
			    &(struct placeholder_values){.door = door->name, .source = address},
			    &passage),
		0);
	return passage;
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

static void open_rule(struct fixture *fixture, const struct passage *passage, uint64_t left_us)
{
	n_done = 0;
	assert_int_equal(firewall_open(fixture->firewall, passage, left_us, 0, (void *)passage),
			 FIREWALL_PENDING);
	await(fixture, 1);
}

static void close_rule(struct fixture *fixture, const struct passage *passage)
{
	n_done = 0;
	assert_int_equal(firewall_close(fixture->firewall, passage, 0, (void *)passage),
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

/* Waits until nothing is under way, and returns how often that took a look. */
static unsigned settle(struct fixture *fixture)
{
	for (unsigned n = 0;; n++) {
		firewall_process(fixture->firewall, 0);
		if (firewall_next_us(fixture->firewall) == UINT64_MAX)
			return n;
		if (firewall_next_us(fixture->firewall) > 0)
			support_wait(firewall_fd(fixture->firewall));
	}
}

static void make_ready(struct fixture *fixture, const struct door *door)
{
	n_troubles = 0;
	firewall_make_ready(fixture->firewall, door->name, &door->opening, 0, on_trouble, NULL);
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
		struct passage *passage = new_rule(&ssh, sources[i]);

		open_rule(fixture, passage, 100 * S);
		assert_int_equal(count(fixture, "-N KNOCKTAIL\n"), i + 1);
		assert_int_equal(count(fixture, "\"knocktail:ssh:"), 2);
		assert_int_equal(count(fixture, sources[i]), 2);
		assert_int_equal(count(fixture, "-p tcp -m multiport --dports 22,443 -m time "), 1);
		assert_int_equal(count(fixture, "-p udp -m multiport --dports 53 -m time "), 1);
		close_rule(fixture, passage);
		assert_int_equal(count(fixture, "knocktail:"), 0);
		close_rule(fixture, passage);
		passage_free(passage);
	}
	assert_int_equal(count(fixture, "-j KNOCKTAIL\n"), 2);
}

/* The second is the deadline's, in which the kernel lets packets in to the end. */
static void test_renews(void **state)
{
	static const uint64_t left_s[] = {100, 1000, 50, 1};
	struct fixture *fixture = needed(state);
	struct passage *passage = new_rule(&web, "192.0.2.1");

	for (size_t i = 0; i < sizeof(left_s) / sizeof(left_s[0]); i++) {
		char early[64], late[64];

		until(early, left_s[i]);
		open_rule(fixture, passage, left_s[i] * S);
		until(late, left_s[i]);
		assert_int_equal(count(fixture, "knocktail:ssh-web:"), 1);
		assert_true(count(fixture, early) == 1 || count(fixture, late) == 1);
	}
	passage_free(passage);
}

/* Rules of other doors and sources, and of other people, stay. */
static void test_leaves_others_alone(void **state)
{
	struct fixture *fixture = needed(state);
	struct passage *passages[] = {new_rule(&ssh, "192.0.2.1"), new_rule(&web, "192.0.2.1"),
				      new_rule(&ssh, "192.0.2.11"), new_rule(&ssh, "2001:db8::1")};

	for (size_t i = 0; i < 4; i++)
		open_rule(fixture, passages[i], 100 * S);
	assert_int_equal(count(fixture, "knocktail:"), 7);
	assert_int_equal(count(fixture, "--dport 2"), 6);
	close_rule(fixture, passages[0]);
	assert_int_equal(count(fixture, "knocktail:"), 5);
	assert_int_equal(count(fixture, "-s 192.0.2.1/32 "), 1);
	assert_int_equal(count(fixture, "--dport 2"), 6);
	for (size_t i = 0; i < 4; i++) {
		close_rule(fixture, passages[i]);
		passage_free(passages[i]);
	}
	assert_int_equal(count(fixture, "knocktail:"), 0);
}

/* Whatever is there, doubled or of a predecessor, gives way to one rule. */
static void test_replaces_what_it_finds(void **state)
{
	static const char line[] = "-A KNOCKTAIL -s 192.0.2.1/32 -p tcp -m multiport --dports 80 "
				   "-m comment --comment \"knocktail:ssh-web:1\" -j ACCEPT\n";
	struct fixture *fixture = needed(state);
	struct passage *passage = new_rule(&web, "192.0.2.1");
	char text[1024];

	snprintf(text, sizeof text, "*filter\n:KNOCKTAIL - [0:0]\n%s%sCOMMIT\n", line, line);
	assert_int_equal(restore(fixture, "/usr/sbin/iptables-restore", text), 0);
	assert_int_equal(count(fixture, "knocktail:ssh-web:"), 2);
	open_rule(fixture, passage, 100 * S);
	assert_int_equal(count(fixture, "knocktail:ssh-web:"), 1);
	assert_int_equal(count(fixture, "--datestop"), 1);
	passage_free(passage);
}

/* The table may be loaded anew while the daemon runs. */
static void test_table_comes_and_goes(void **state)
{
	struct fixture *fixture = needed(state);
	struct passage *passage = new_rule(&web, "192.0.2.1");

	open_rule(fixture, passage, 100 * S);
	assert_int_equal(restore(fixture, "/usr/sbin/iptables-restore", "*filter\nCOMMIT\n"), 0);
	assert_int_equal(count(fixture, "KNOCKTAIL"), 0);
	close_rule(fixture, passage);
	assert_int_equal(count(fixture, "KNOCKTAIL"), 0);
	open_rule(fixture, passage, 100 * S);
	assert_int_equal(count(fixture, "-A INPUT -j KNOCKTAIL"), 1);
	assert_int_equal(count(fixture, "knocktail:ssh-web:"), 1);
	passage_free(passage);
}

/* Many at the same time do not disturb one another. */
static void test_many(void **state)
{
	enum { N = 40 };
	struct fixture *fixture = needed(state);
	struct passage *passages[N];

	n_done = 0;
	for (unsigned i = 0; i < N; i++) {
		char source[32];

		snprintf(source, sizeof source, "192.0.2.%u", i + 1);
		passages[i] = new_rule(&web, source);
		assert_int_equal(
			firewall_open(fixture->firewall, passages[i], 100 * S, 0, passages[i]),
			FIREWALL_PENDING);
	}
	await(fixture, N);
	assert_int_equal(count(fixture, "knocktail:ssh-web:"), N);
	assert_int_equal(count(fixture, "-j KNOCKTAIL\n"), 1);
	n_done = 0;
	for (unsigned i = 0; i < N; i++)
		firewall_close(fixture->firewall, passages[i], 0, passages[i]);
	await(fixture, N);
	assert_int_equal(count(fixture, "knocktail:ssh-web:"), 0);
	for (unsigned i = 0; i < N; i++)
		passage_free(passages[i]);
}

/* New rules of one door for as many sources. */
static void new_rules(struct passage **passages, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		char source[32];

		snprintf(source, sizeof source, "10.0.%u.%u", i >> 8, i & 255);
		passages[i] = new_rule(&web, source);
	}
}

static void open_all(struct fixture *fixture, struct passage *const *passages, unsigned n)
{
	n_done = n_failed = 0;
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(
			firewall_open(fixture->firewall, passages[i], 100 * S, 0, passages[i]),
			FIREWALL_PENDING);
}

static void free_all(struct passage **passages, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		passage_free(passages[i]);
}

/* What waits for the first one is done in one go: two children for it, two for all the others. */
static void test_a_thousand(void **state)
{
	enum { N = 1000 };
	struct fixture *fixture = needed(state);
	struct passage *passages[N];

	new_rules(passages, N);
	open_all(fixture, passages, N);
	assert_in_range(settle(fixture), 0, 40);
	assert_int_equal(n_done, N);
	assert_int_equal(n_failed, 0);
	assert_int_equal(count(fixture, "knocktail:ssh-web:"), N);
	assert_int_equal(count(fixture, "-j KNOCKTAIL\n"), 1);
	open_all(fixture, passages, N);
	assert_in_range(settle(fixture), 0, 40);
	assert_int_equal(n_failed, 0);
	assert_int_equal(count(fixture, "knocktail:ssh-web:"), N);
	n_done = 0;
	for (unsigned i = 0; i < N; i++)
		firewall_close(fixture->firewall, passages[i], 0, passages[i]);
	assert_in_range(settle(fixture), 0, 40);
	assert_int_equal(n_done, N);
	assert_int_equal(n_failed, 0);
	assert_int_equal(count(fixture, "knocktail:ssh-web:"), 0);
	free_all(passages, N);
}

/* Nobody waits for long while many are told of their end. */
static void test_tells_in_steps(void **state)
{
	enum { N = 600 };
	struct fixture *fixture = needed(state);
	struct passage *passages[N];
	unsigned n_most = 0;

	new_rules(passages, N);
	open_all(fixture, passages, N);
	while (n_done < N) {
		unsigned n_before = n_done;

		firewall_process(fixture->firewall, 0);
		n_most = n_done - n_before > n_most ? n_done - n_before : n_most;
		if (n_done < N && firewall_next_us(fixture->firewall) > 0)
			support_wait(firewall_fd(fixture->firewall));
	}
	assert_in_range(n_most, 100, 300);
	free_all(passages, N);
}

/* One that the kernel does not take fails, and no other. */
static void test_one_is_wrong(void **state)
{
	enum { N = 40, WRONG = 29 };
	struct fixture *fixture = needed(state);
	struct passage *passages[N];

	new_rules(passages, N);
	strcpy(passages[WRONG]->ports[0], "tcp x");
	open_all(fixture, passages, N);
	settle(fixture);
	assert_int_equal(n_done, N);
	assert_int_equal(n_failed, 1);
	assert_int_equal(count(fixture, "knocktail:ssh-web:"), N - 1);
	assert_int_equal(count(fixture, "-s 10.0.0.29/32"), 0);
	/* Later ones are gathered again. */
	free_all(passages, N);
	new_rules(passages, N);
	open_all(fixture, passages, N);
	assert_in_range(settle(fixture), 0, 20);
	assert_int_equal(n_failed, 0);
	assert_int_equal(count(fixture, "knocktail:ssh-web:"), N);
	free_all(passages, N);
}

/* The second is what shall be, even if the first has not been begun. */
static void test_two_wishes(void **state)
{
	struct fixture *fixture = needed(state);
	struct passage *first = new_rule(&web, "192.0.2.1"), *passage = new_rule(&web, "192.0.2.2");
	int owners[2];

	n_done = n_failed = 0;
	firewall_open(fixture->firewall, first, 100 * S, 0, first);
	firewall_open(fixture->firewall, passage, 100 * S, 0, &owners[0]);
	firewall_close(fixture->firewall, passage, 0, &owners[1]);
	settle(fixture);
	assert_int_equal(n_done, 3);
	assert_int_equal(n_failed, 0);
	assert_int_equal(count(fixture, "knocktail:ssh-web:"), 1);
	firewall_open(fixture->firewall, first, 100 * S, 0, first);
	firewall_close(fixture->firewall, passage, 0, &owners[0]);
	firewall_open(fixture->firewall, passage, 100 * S, 0, &owners[1]);
	settle(fixture);
	assert_int_equal(count(fixture, "knocktail:ssh-web:"), 2);
	passage_free(first);
	passage_free(passage);
}

/* Whose time is up is told so, and nobody else suffers. */
static void test_hurries_one_of_many(void **state)
{
	enum { N = 10 };
	struct fixture *fixture = needed(state);
	struct passage *passages[N];

	new_rules(passages, N);
	open_all(fixture, passages, N);
	firewall_hurry(fixture->firewall, passages[5], 1);
	assert_true(firewall_next_us(fixture->firewall) == 1);
	firewall_process(fixture->firewall, 1);
	/* Perhaps the first has come to its end by now. */
	assert_in_range(n_done, 1, 2);
	assert_int_equal(n_failed, 1);
	assert_int_equal(done_error, -ETIMEDOUT);
	assert_string_equal(done_problem, "iptables KNOCKTAIL: it took too long");
	settle(fixture);
	assert_int_equal(n_done, N);
	assert_int_equal(n_failed, 1);
	assert_int_equal(count(fixture, "knocktail:ssh-web:"), N - 1);
	assert_int_equal(count(fixture, "-s 10.0.0.5/32"), 0);
	free_all(passages, N);
}

struct answer {
	unsigned n;
	struct firewall *firewall;
	const struct passage *passage;
	enum firewall_answer answer;
	uint64_t left_us;
};

static void on_listed(void *userdata, struct listing *listing, uint64_t now_us)
{
	struct answer *answer = userdata;

	(void)now_us;
	answer->n++;
	answer->answer = firewall_ask(answer->firewall, listing, answer->passage, &answer->left_us);
}

static enum firewall_answer look_for(struct firewall *firewall, const struct passage *passage,
				     uint64_t *ret_left_us)
{
	struct answer answer = {.firewall = firewall, .passage = passage};

	assert_int_equal(firewall_list(firewall, passage, 0, on_listed, &answer), 0);
	while (answer.n == 0) {
		firewall_process(firewall, 0);
		if (answer.n == 0)
			support_wait(firewall_fd(firewall));
	}
	*ret_left_us = answer.left_us;
	return answer.answer;
}

/* How many rules that makes, each of which is missed when it is gone. */
static void check_ports(struct fixture *fixture, const char *ports, const char *source,
			unsigned n_rules)
{
	const char *program = strchr(source, ':') ? "/usr/sbin/ip6tables" : "/usr/sbin/iptables";
	struct door door = {
		.name = "many",
		.opening.backend = BACKEND_IPTABLES,
		.opening.chain = TEXT("KNOCKTAIL"),
	};
	struct port_range fault[2];
	struct passage *passage;
	uint64_t left_us;

	assert_int_equal(port_set_parse(ports, &door.opening.ports, fault), 0);
	passage = new_rule(&door, source);
	for (unsigned i = 0; i < n_rules; i++) {
		char number[16];

		snprintf(number, sizeof number, "%u", i + 1);
		open_rule(fixture, passage, 100 * S);
		assert_int_equal(count(fixture, "knocktail:many:"), n_rules);
		assert_int_equal(look_for(fixture->firewall, passage, &left_us), FIREWALL_PRESENT);
		assert_in_range(left_us, 95 * S, 101 * S);
		assert_int_equal(support_run((char *[]){(char *)program, TEXT("-D"),
							TEXT("KNOCKTAIL"), number, NULL},
					     NULL, NULL),
				 0);
		assert_int_equal(look_for(fixture->firewall, passage, &left_us), FIREWALL_ABSENT);
	}
	close_rule(fixture, passage);
	assert_int_equal(count(fixture, "knocktail:many:"), 0);
	passage_free(passage);
}

static void test_ranges(void **state)
{
	static const char *const sources[] = {"192.0.2.1", "2001:db8::1"};
	static const struct {
		const char *ports;
		unsigned n_rules;
	} cases[] = {
		{"all", 1},
		{"60000-61000/udp", 1},
		{"1-65535, 1-65535/udp", 2},
		{"22 1000-2000 53/udp", 2},
		{"1 2 3 4 5 6 7 8 9 10 11 12 13 14 15", 1},
		{"1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16", 2},
		{"1 2 3 4 5 6 7 8 9 10 11 12 13 14 20-30", 2},
		{"1-2 4-5 7-8 10-11 13-14 16-17 19-20 22-23", 2},
	};
	struct fixture *fixture = needed(state);

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		for (size_t j = 0; j < 2; j++)
			check_ports(fixture, cases[i].ports, sources[j], cases[i].n_rules);
}

static void test_lists(void **state)
{
	struct fixture *fixture = needed(state);
	struct passage *passage = new_rule(&ssh, "192.0.2.1"), *other = new_rule(&web, "192.0.2.1");
	char *text, *line, again[1024];
	uint64_t left_us;

	assert_int_equal(look_for(fixture->firewall, passage, &left_us), FIREWALL_ABSENT);
	open_rule(fixture, passage, 100 * S);
	assert_int_equal(look_for(fixture->firewall, passage, &left_us), FIREWALL_PRESENT);
	assert_in_range(left_us, 95 * S, 101 * S);
	assert_int_equal(look_for(fixture->firewall, other, &left_us), FIREWALL_ABSENT);

	/* One of its rules is there twice. */
	text = list(fixture, "/usr/sbin/iptables");
	line = strstr(text, "-A KNOCKTAIL -s 192.0.2.1/32 -p tcp");
	assert_non_null(line);
	*strchr(line, '\n') = '\0';
	snprintf(again, sizeof again, "*filter\n%s\nCOMMIT\n", line);
	support_write(fixture->input, again, strlen(again));
	assert_int_equal(
		support_run((char *[]){TEXT("/usr/sbin/iptables-restore"), TEXT("--noflush"), NULL},
			    fixture->input, NULL),
		0);
	free(text);
	assert_int_equal(look_for(fixture->firewall, passage, &left_us), FIREWALL_PRESENT);
	assert_true(left_us == UINT64_MAX);
	open_rule(fixture, passage, 100 * S);
	assert_int_equal(look_for(fixture->firewall, passage, &left_us), FIREWALL_PRESENT);
	assert_in_range(left_us, 95 * S, 101 * S);

	/* Nothing jumps there, so nothing is open; then something does. */
	assert_int_equal(
		support_run((char *[]){TEXT("/usr/sbin/iptables"), TEXT("-F"), TEXT("INPUT"), NULL},
			    NULL, NULL),
		0);
	assert_int_equal(look_for(fixture->firewall, passage, &left_us), FIREWALL_ABSENT);
	assert_int_equal(count(fixture, "-A INPUT -j KNOCKTAIL\n"), 1);
	passage_free(passage);
	passage_free(other);
}

/* Runs `try` in a process that may do things to itself; returns its exit status. */
static int run_apart(bool (*try)(const struct passage *), const struct passage *passage,
		     bool with_mounts)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		if (with_mounts && !support_private_mounts())
			_exit(NO_MOUNTS);
		_exit(try(passage) ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void fork_for(bool (*try)(const struct passage *), const struct passage *passage)
{
	assert_int_equal(run_apart(try, passage, false), 0);
}

/* With a view of the files of its own, which cannot be had everywhere. */
static void fork_with_mounts(bool (*try)(const struct passage *))
{
	int status = run_apart(try, NULL, true);

	if (status == NO_MOUNTS) {
		print_message("no mounts of one's own: is / a mount point?\n");
		skip();
	}
	assert_int_equal(status, 0);
}

/* Closes the rule, and returns how that ended. */
static int try_to_close(struct firewall *firewall, const struct passage *passage)
{
	int r = firewall_close(firewall, passage, 0, (void *)passage);

	if (r < 0)
		return r;
	for (n_done = 0; n_done == 0;) {
		firewall_process(firewall, 0);
		if (n_done == 0)
			support_wait(firewall_fd(firewall));
	}
	return done_error;
}

/* The program says that it may not; not that there is nothing. */
static bool fails_without_permission(const struct passage *passage)
{
	struct firewall *firewall;
	uint64_t left_us;

	if (prctl(PR_CAPBSET_DROP, CAP_NET_ADMIN, 0, 0, 0) < 0 ||
	    firewall_new(on_done, &firewall) < 0)
		return false;
	return try_to_close(firewall, passage) == -EIO &&
	       strstr(done_problem, "ermission denied") != NULL &&
	       look_for(firewall, passage, &left_us) == FIREWALL_SILENT;
}

/* It is killed while it lists. */
static bool fails_when_killed(const struct passage *passage)
{
	struct firewall *firewall;
	uint64_t left_us;

	if (setrlimit(RLIMIT_FSIZE, &(struct rlimit){1, 1}) < 0 ||
	    firewall_new(on_done, &firewall) < 0)
		return false;
	return try_to_close(firewall, passage) == -ETIMEDOUT &&
	       look_for(firewall, passage, &left_us) == FIREWALL_SILENT;
}

/* It is not there. */
static bool fails_without_the_program(const struct passage *unused)
{
	struct passage *passage = new_rule(&ssh, "192.0.2.1");
	struct firewall *firewall;

	(void)unused;
	if (mount("none", "/usr/sbin", "tmpfs", 0, NULL) < 0 ||
	    firewall_new(on_done, &firewall) < 0)
		return false;
	return try_to_close(firewall, passage) == -EIO &&
	       strstr(firewall_problem(firewall), "cannot run /usr/sbin/iptables: ") != NULL;
}

/* What cannot be looked at is neither absent nor closed. */
static void test_listing_that_fails(void **state)
{
	struct fixture *fixture = needed(state);
	struct passage *passage = new_rule(&ssh, "192.0.2.1");

	open_rule(fixture, passage, 100 * S);
	fork_for(fails_without_permission, passage);
	fork_for(fails_when_killed, passage);
	assert_int_equal(count(fixture, "\"knocktail:ssh:"), 2);
	passage_free(passage);
}

static void test_no_program(void **state)
{
	needed(state);
	fork_with_mounts(fails_without_the_program);
}

/* The programs hang, for as long as anybody looks. */
static bool hangs_at_no_cost(const struct passage *unused)
{
	enum { N = 300 };
	static const char script[] = "#!/bin/sh\nexec sleep 1000\n";
	static const char *const programs[] = {"/usr/sbin/iptables", "/usr/sbin/ip6tables"};
	struct firewall *firewall;
	struct door door = ssh;

	(void)unused;
	if (mount("none", "/usr/sbin", "tmpfs", 0, NULL) < 0 ||
	    firewall_new(on_done, &firewall) < 0)
		return false;
	for (size_t i = 0; i < 2; i++) {
		support_write(programs[i], script, strlen(script));
		if (chmod(programs[i], 0755) < 0)
			return false;
	}
	for (unsigned i = 0; i < N; i++) {
		snprintf(door.name, sizeof door.name, "ssh%u", i);
		firewall_make_ready(firewall, door.name, &door.opening, 0, on_trouble, NULL);
	}
	firewall_process(firewall, 9 * S);
	if (n_troubles != 0 || firewall_next_us(firewall) != FIREWALL_COMMAND_LIMIT_US)
		return false;
	while (firewall_process(firewall, 10 * S), n_troubles < 2 * N)
		if (firewall_next_us(firewall) > 10 * S)
			return false;
	firewall_free(firewall);
	return n_troubles == 2 * N &&
	       strcmp(done_problem, "ssh299: ip6tables KNOCKTAIL: it took too long") == 0;
}

static void test_ready_that_hangs(void **state)
{
	needed(state);
	n_troubles = 0;
	fork_with_mounts(hangs_at_no_cost);
}

/* Each door in trouble is told of, once a family, and no other. */
static void test_ready_for_many(void **state)
{
	enum { N = 100 };
	struct fixture *fixture = needed(state);
	struct door door = web, wrong = web;

	strcpy(wrong.name, "wrong");
	wrong.opening.ports.ranges[0].protocol = IPPROTO_UDP;
	wrong.opening.chain = TEXT("far-too-long-for-the-name-of-a-chain");
	n_troubles = 0;
	for (unsigned i = 0; i < N; i++) {
		snprintf(door.name, sizeof door.name, "web%u", i);
		if (i == 70)
			firewall_make_ready(fixture->firewall, wrong.name, &wrong.opening, 0,
					    on_trouble, NULL);
		else
			firewall_make_ready(fixture->firewall, door.name, &door.opening, 0,
					    on_trouble, NULL);
	}
	assert_in_range(settle(fixture), 0, 60);
	assert_int_equal(n_troubles, 2);
	assert_int_equal(strncmp(done_problem, "wrong: ", strlen("wrong: ")), 0);
	assert_int_equal(count(fixture, "-j KNOCKTAIL\n"), 2);
	assert_int_equal(count(fixture, "knocktail:"), 0);

	n_troubles = 0;
	firewall_make_ready(fixture->firewall, wrong.name, &wrong.opening, 0, on_trouble, NULL);
	firewall_forget_ready(fixture->firewall);
	settle(fixture);
	assert_int_equal(n_troubles, 0);
}

static void test_check(void **state)
{
	struct fixture *fixture = needed(state);
	struct door door = ssh;
	char *before, *after;

	before = list(fixture, "/usr/sbin/iptables");
	if (firewall_check(fixture->firewall, &ssh.opening) != 0)
		fail_msg("%s", firewall_problem(fixture->firewall));
	after = list(fixture, "/usr/sbin/iptables");
	assert_string_equal(before, after);
	free(after);
	door.opening.chain = TEXT("far-too-long-for-the-name-of-a-chain");
	assert_int_equal(firewall_check(fixture->firewall, &door.opening), -EIO);
	assert_non_null(strstr(firewall_problem(fixture->firewall), "iptables far-too-long-"));
	free(before);
}

static void test_check_changes_nothing(void **state)
{
	struct fixture *fixture = needed(state);
	struct passage *passage = new_rule(&ssh, "192.0.2.1");
	char *before, *after;

	open_rule(fixture, passage, 100 * S);
	before = list(fixture, "/usr/sbin/iptables");
	assert_int_equal(firewall_check(fixture->firewall, &ssh.opening), 0);
	after = list(fixture, "/usr/sbin/iptables");
	assert_string_equal(before, after);
	free(before);
	free(after);
	passage_free(passage);
}

static void test_free_in_mid_change(void **state)
{
	struct fixture *fixture = needed(state);
	struct passage *passage = new_rule(&ssh, "192.0.2.1");

	assert_int_equal(firewall_open(fixture->firewall, passage, 100 * S, 0, passage),
			 FIREWALL_PENDING);
	passage_free(passage);
}

static void test_too_slow(void **state)
{
	struct fixture *fixture = needed(state);
	struct passage *passage = new_rule(&ssh, "192.0.2.1");

	n_done = 0;
	assert_int_equal(firewall_open(fixture->firewall, passage, 100 * S, 0, passage),
			 FIREWALL_PENDING);
	firewall_hurry(fixture->firewall, passage, 0);
	while (n_done == 0) {
		firewall_process(fixture->firewall, 1);
		if (n_done == 0)
			support_wait(firewall_fd(fixture->firewall));
	}
	assert_true(done_error == -ETIMEDOUT || done_error == 0);
	passage_free(passage);
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

/* The other variant of the programs, which has other words for what is wrong, takes the place of
 * the usual one in a view of the files of our own. */
static bool put_legacy(void)
{
	static const char legacy[] = "/usr/sbin/xtables-legacy-multi";
	char *usual = realpath("/usr/sbin/iptables", NULL);
	bool is_there = usual && access(legacy, X_OK) == 0;
	bool is_put = is_there && support_private_mounts() &&
		      mount(legacy, usual, NULL, MS_BIND, NULL) == 0;

	free(usual);
	if (!is_there)
		print_message("there is no second variant of iptables here\n");
	else if (!is_put)
		print_message("no mounts of one's own for the second variant of iptables: is / a "
			      "mount point?\n");
	return is_put;
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
		cmocka_unit_test_setup_teardown(test_a_thousand, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_tells_in_steps, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_one_is_wrong, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_two_wishes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_hurries_one_of_many, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_lists, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_ranges, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_listing_that_fails, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_program, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_ready_that_hangs, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_ready_for_many, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_check, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_check_changes_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_free_in_mid_change, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_too_slow, set_up, tear_down),
	};

	int n_failed_tests;

	permitted = support_private_network() && has_iptables();
	n_failed_tests = cmocka_run_group_tests_name("iptables", tests, NULL, NULL);
	permitted = permitted && support_private_network() && put_legacy() && has_iptables();
	return n_failed_tests + cmocka_run_group_tests_name("iptables-legacy", tests, NULL, NULL);
}
