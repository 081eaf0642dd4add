#include "support-sets.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka-all.h"
#include "core/address.h"
#include "core/placeholder.h"
#include "core/visitor.h"
#include "firewall/backends.h"
#include "support.h"

static const char nft_path[] = "/usr/sbin/nft";

static void never_done(void *owner, int error, const char *problem, uint64_t now_us)
{
	(void)owner;
	(void)error;
	(void)problem;
	(void)now_us;
	fail_msg("nothing of this backend is pending");
}

int sets_begin(struct fixture *fixture)
{
	fixture->directory = support_directory();
	fixture->input = support_path(fixture->directory, "input");
	fixture->listing = support_path(fixture->directory, "list");
	return firewall_new(never_done, &fixture->firewall);
}

void sets_end(struct fixture *fixture)
{
	if (!fixture)
		return;
	firewall_free(fixture->firewall);
	free(fixture->input);
	free(fixture->listing);
	support_remove(fixture->directory);
}

bool sets_have_nft(void)
{
	char *const argv[] = {TEXT(nft_path), TEXT("list"), TEXT("ruleset"), NULL};

	if (support_run(argv, NULL, NULL) == 0)
		return true;
	print_message("nft does not work here\n");
	return false;
}

int run_nft(const struct fixture *fixture, const char *commands)
{
	char *const argv[] = {TEXT(nft_path), TEXT("-f"), TEXT("-"), NULL};

	support_write(fixture->input, commands, strlen(commands));
	return support_run(argv, fixture->input, fixture->listing);
}

struct passage *sets_passage(enum backend_kind backend, const char *set, const char *entry,
			     const char *source)
{
	const struct door door = {
		.name = "ssh",
		.timeout_us = 30000000,
		.opening.backend = backend,
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

int open_rule(struct fixture *fixture, const struct passage *passage, uint64_t seconds)
{
	return firewall_open(fixture->firewall, passage, seconds * 1000000, 0, NULL);
}

int close_rule(struct fixture *fixture, const struct passage *passage)
{
	return firewall_close(fixture->firewall, passage, 0, NULL);
}

void sets_try_ports(struct fixture *fixture, const char *set,
		    long (*left)(struct fixture *fixture, const char *set, const char *element))
{
	enum { FIRST = 20000, N_MANY = 6451 };
	const struct firewall_port few[] = {{61234, 60}, {65535, 90}, {1024, 1}};
	static struct firewall_port many[N_MANY];
	struct firewall *firewall = fixture->firewall;

	if (firewall_check_ports(firewall, set) != 0)
		fail_msg("%s", firewall_problem(firewall));
	assert_int_equal(firewall_put_ports(firewall, set, few, 3), 0);
	assert_in_range(left(fixture, set, "61234"), 55, 60);
	assert_in_range(left(fixture, set, "65535"), 85, 90);
	assert_int_equal(firewall_has_port(firewall, set, 65535), 0);
	assert_int_equal(firewall_has_port(firewall, set, 1025), -ENODATA);
	/* Those that are there get the new timeout; so do thousands at once. */
	for (size_t i = 0; i < N_MANY; i++)
		many[i] = (struct firewall_port){(uint16_t)(FIRST + i), 600};
	many[0] = (struct firewall_port){61234, 120};
	assert_int_equal(firewall_put_ports(firewall, set, many, N_MANY), 0);
	assert_in_range(left(fixture, set, "61234"), 115, 120);
	assert_in_range(left(fixture, set, "20001"), 500, 600);
	assert_int_equal(firewall_has_port(firewall, set, FIRST + N_MANY - 1), 0);
	assert_int_equal(firewall_has_port(firewall, set, FIRST), -ENODATA);
}

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

enum firewall_answer sets_ask(struct fixture *fixture, const struct passage *passage,
			      const struct passage *stranger, unsigned *ret_seconds)
{
	struct answer answer = {
		.firewall = fixture->firewall, .passage = passage, .stranger = stranger};

	assert_int_equal(firewall_list(fixture->firewall, passage, 7, on_listed, &answer), 0);
	assert_true(answer.listed);
	*ret_seconds = (unsigned)(answer.left_us / 1000000);
	return answer.answer;
}

long left_in_ipset(struct fixture *fixture, const char *set, const char *element)
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

/* A number of seconds as nft writes it: 1d2h3m4s500ms, milliseconds left out. */
static long parse_span(const char *text)
{
	static const struct {
		char unit;
		long seconds;
	} units[] = {{'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};
	long seconds = 0;

	while (*text >= '0' && *text <= '9') {
		char *unit;
		long n = strtol(text, &unit, 10);

		if (unit[0] == 'm' && unit[1] == 's')
			break;
		for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
			if (units[i].unit == *unit)
				seconds += n * units[i].seconds;
		text = unit + 1;
	}
	return seconds;
}

long left_in_nft(struct fixture *fixture, const char *set, const char *element)
{
	char wanted[128], command[128], *listing, *at;
	long seconds = -1;

	snprintf(command, sizeof command, "list set %s\n", set);
	assert_int_equal(run_nft(fixture, command), 0);
	listing = support_read(fixture->listing, NULL);
	assert_non_null(listing);
	snprintf(wanted, sizeof wanted, "%s timeout ", element);
	at = strstr(listing, "elements = ");
	at = at ? strstr(at, wanted) : NULL;
	if (at) {
		char *expires = strstr(at, " expires ");

		assert_non_null(expires);
		seconds = parse_span(expires + strlen(" expires "));
		assert_null(strstr(at + 1, wanted));
	} else if (strstr(listing, "elements = ") && strstr(listing, element)) {
		seconds = 0;
	}
	free(listing);
	return seconds;
}
