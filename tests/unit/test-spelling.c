/* How the kernel spells elements: what ipset(8) and nft(8) print for what they were given. */
#include "firewall/spelling.h"

#include <stdio.h>
#include <string.h>

#include "cmocka-all.h"

/* "tcp", "udp", "ssh" and "domain" are in every /etc/services. */
static void test_guesses(void **state)
{
	static const struct {
		const char *element, *guess; /* NULL: none, or no other than it is */
	} cases[] = {
		{"192.0.2.1", NULL},
		{"192.0.2.1,22", "192.0.2.1,tcp:22"},
		{"192.0.2.1,ssh", "192.0.2.1,tcp:22"},
		{"192.0.2.1,tcp:ssh", "192.0.2.1,tcp:22"},
		{"192.0.2.1,udp:domain", "192.0.2.1,udp:53"},
		{"192.0.2.1,tcp:22", NULL},
		{"192.0.2.1,tcp:22-80", "192.0.2.1,tcp:22"},
		{"192.0.2.1,22-80,2001:db8::1", "192.0.2.1,tcp:22,2001:db8::1"},
		{"192.0.2.1,tcp:0", NULL},
		{"192.0.2.1,tcp:222222", NULL},
		{"192.0.2.1,222222", NULL},
		{"192.0.2.1,22x", NULL},
		{"192.0.2.1,tcp:no-such-service", NULL},
		{"2001:db8::1 . ssh", "2001:db8::1 . 22"},
		{"192.0.2.1 . ssh . domain", "192.0.2.1 . 22 . 53"},
		{"192.0.2.1 . 22", NULL},
		{"192.0.2.1 . no-such-service", NULL},
		{"", NULL},
		{"192.0.2.1,", NULL},
		{",22", NULL},
	};
	struct spelling spelling = {0};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char guess[SPELLING_MAX];
		bool differs = spelling_guess(&spelling, cases[i].element, guess);

		if (differs != (cases[i].guess != NULL) ||
		    (differs && strcmp(guess, cases[i].guess) != 0))
			fail_msg("%s: %s", cases[i].element, guess);
	}
	/* More services than are remembered were asked for, and are found all the same. */
	assert_int_equal(spelling.n_names, SPELLING_NAMES_MAX);
	spelling_done(&spelling);
}

static void test_guesses_have_room_for_what_fits(void **state)
{
	char guess[SPELLING_MAX], element[2 * SPELLING_MAX], name[128];
	struct spelling spelling = {0};

	(void)state;
	/* The name of a service that is longer than any. */
	snprintf(name, sizeof name, "%0100d", 0);
	memset(name, 'a', 100);
	snprintf(element, sizeof element, "192.0.2.1 . %s", name);
	assert_false(spelling_guess(&spelling, element, guess));
	/* A part, and the whole, that are longer than any element. */
	memset(name, 'a', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	snprintf(element, sizeof element, "192.0.2.1 . %s", name);
	assert_false(spelling_guess(&spelling, element, guess));
	spelling_note(&spelling, element);
	element[0] = '\0';
	while (strlen(element) < SPELLING_MAX)
		strcat(element, "no-such-service . ");
	strcat(element, "ssh");
	assert_false(spelling_guess(&spelling, element, guess));
	spelling_note(&spelling, element);
	assert_int_equal(spelling.n_forms, 0);
	assert_false(spelling_is_known(&spelling, element));
	spelling_done(&spelling);
}

static void test_forms(void **state)
{
	struct spelling spelling = {0};
	char element[64];

	(void)state;
	assert_true(spelling_is_known(&spelling, "192.0.2.1"));
	assert_false(spelling_is_known(&spelling, "192.0.2.1,tcp:22"));
	spelling_note(&spelling, "192.0.2.9,tcp:22");
	spelling_note(&spelling, "192.0.2.8,tcp:22");
	assert_int_equal(spelling.n_forms, 1);
	assert_true(spelling_is_known(&spelling, "192.0.2.1,tcp:22"));
	assert_false(spelling_is_known(&spelling, "192.0.2.1,22"));
	assert_false(spelling_is_known(&spelling, "192.0.2.1 . tcp:22"));
	assert_false(spelling_is_known(&spelling, ""));
	assert_false(spelling.wide);
	/* Networks and ranges have no form. */
	spelling_note(&spelling, "192.0.2.0/24,tcp:22");
	spelling_note(&spelling, "192.0.2.1 . 1-1024");
	assert_true(spelling.wide);
	/* What has a dash in its name is no range. */
	spelling.wide = false;
	spelling_note(&spelling, "192.0.2.1,tcp:no-service");
	spelling_note(&spelling, "192.0.2.1,-");
	assert_false(spelling.wide);
	assert_int_equal(spelling.n_forms, 3);
	for (int i = 0; i < 2 * SPELLING_FORMS_MAX; i++) {
		snprintf(element, sizeof element, "192.0.2.1,tcp:%d", i);
		spelling_note(&spelling, element);
	}
	assert_int_equal(spelling.n_forms, SPELLING_FORMS_MAX);
	spelling_done(&spelling);
	assert_int_equal(spelling.n_forms, 0);
}

static void test_what_takes_in_others(void **state)
{
	static const struct {
		const char *wide, *element;
		bool covers;
	} cases[] = {
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"192.0.2.0/24", "192.0.2.2", true},
		{"192.0.2.0/24", "192.0.3.2", false},
		{"192.0.2.0/24", "22", false},
		{"192.0.2.0/x", "192.0.2.2", false},
		{"2001:db8::/32", "2001:db8::1", true},
		{"2001:db8::/32", "192.0.2.1", false},
		{"192.0.2.1-192.0.2.9", "192.0.2.1", true},
		{"192.0.2.1-192.0.2.9", "192.0.2.9", true},
		{"192.0.2.1-192.0.2.9", "192.0.2.10", false},
		{"192.0.2.1-192.0.2.9", "192.0.2.0", false},
		{"192.0.2.1-x", "192.0.2.1", false},
		{"x-192.0.2.9", "192.0.2.1", false},
		{"::-ffff::", "192.0.2.1", false},
		{"1-1024", "22", true},
		{"1-1024", "1", true},
		{"1-1024", "1024", true},
		{"1-1024", "1025", false},
		{"2-1024", "1", false},
		{"1-1024", "ssh", false},
		{"x-1024", "22", false},
		{"1-x", "22", false},
		{"192.0.2.0/24 . 1-1024", "192.0.2.9 . 22", true},
		{"192.0.2.0/24 . 1-1024", "192.0.2.9 . 2222", false},
		{"192.0.2.0/24 . 1-1024", "192.0.3.9 . 22", false},
		{"192.0.2.0/24 . 1-1024", "192.0.2.9,22", false},
		{"192.0.2.0/24 . 1-1024", "192.0.2.9", false},
		{"192.0.2.0/24", "192.0.2.9 . 22", false},
		{"", "192.0.2.9", false},
		{"192.0.2.0/24", "", false},
		{"-", "-", true},
		{"-", "/", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		if (spelling_covers(cases[i].wide, cases[i].element) != cases[i].covers)
			fail_msg("%s, %s", cases[i].wide, cases[i].element);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_guesses),
		cmocka_unit_test(test_guesses_have_room_for_what_fits),
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_what_takes_in_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
