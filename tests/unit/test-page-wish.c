/* What a page may be asked for: hosts, doors, and where it will be served. */
#include "cli/page/wish.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmocka-all.h"
#include "config/config.h"

static const struct verb page_verb = {.name = "page"};

#define LABEL_63 "a23456789-123456789-123456789-123456789-123456789-123456789-123"

/* Names of RFC 1123 that a browser takes for no address (the URL standard's host parser). */
static void test_hosts(void **state)
{
	static const struct {
		const char *argument, *host; /* NULL: refused */
	} cases[] = {
		{"gw.example.org", "gw.example.org"},
		{"GW.Example.org.", "gw.example.org"},
		{"gateway", "gateway"},
		{"192.0.2.1", "192.0.2.1"},
		{"2001:DB8::1", "2001:db8::1"},
		{"[2001:db8::1]", "2001:db8::1"},
		{"a1.2b", "a1.2b"},
		{LABEL_63 ".org", LABEL_63 ".org"},
		{LABEL_63 "4.org", NULL},
		{LABEL_63 "." LABEL_63 "." LABEL_63 "." LABEL_63, NULL},
		{LABEL_63 "." LABEL_63 "." LABEL_63 "." LABEL_63 "." LABEL_63, NULL},
		{"", NULL},
		{".", NULL},
		{"..", NULL},
		{"[]", NULL},
		{"[gw]", NULL},
		{"[gw:", NULL},
		{"[2001:db8::1", NULL},
		{"gw..org", NULL},
		{"-gw.org", NULL},
		{"gw-.org", NULL},
		{"g_w.org", NULL},
		{"gw.org/x", NULL},
		{"gw\".org", NULL},
		{"192.0.2", NULL},
		{"192.0.2.256", NULL},
		{"example.1", NULL},
		{"example.0x7f", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct page_wish wish = {0};
		int r = page_wish_add_host(cases[i].argument, &wish);

		if (r != (cases[i].host ? 0 : -EINVAL) || wish.n_hosts != (r == 0) ||
		    (r == 0 && strcmp(wish.hosts[0], cases[i].host) != 0))
			fail_msg("%s: %d %s", cases[i].argument, r, wish.hosts[0]);
	}
}

/* Doors have the names of knocktail.conf(5). */
static void test_doors(void **state)
{
	static const struct {
		const char *argument, *name;
	} cases[] = {
		{"ssh", "ssh"},
		{"My_Door-2", "my_door-2"},
		{"a23456789-123456789-123456789-12", "a23456789-123456789-123456789-12"},
		{"a23456789-123456789-123456789-123", NULL},
		{"", NULL},
		{"a b", NULL},
		{"a.b", NULL},
		{"<a", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct page_wish wish = {0};
		int r = page_wish_add_door(cases[i].argument, &wish);

		if (r != (cases[i].name ? 0 : -EINVAL) || wish.n_doors != (r == 0) ||
		    (r == 0 && strcmp(wish.doors[0], cases[i].name) != 0))
			fail_msg("%s: %d %s", cases[i].argument, r, wish.doors[0]);
	}
}

static void test_too_many(void **state)
{
	struct page_wish wish = {0};
	char name[16];

	(void)state;
	for (int i = 0; i <= PAGE_DOORS_MAX; i++) {
		snprintf(name, sizeof name, "d%d", i);
		assert_int_equal(page_wish_add_door(name, &wish), i < PAGE_DOORS_MAX ? 0 : -EINVAL);
		assert_int_equal(page_wish_add_host(name, &wish), i < PAGE_HOSTS_MAX ? 0 : -EINVAL);
	}
}

static void test_faults(void **state)
{
	static char long_url[PAGE_URL_MAX + 2] = "https://";
	static const struct {
		struct page_wish wish;
		const char *fault; /* how it begins; NULL: none */
	} cases[] = {
		{{0}, NULL},
		{{.n_hosts = 1}, "--host, "},
		{{.n_doors = 1}, "--host, "},
		{{.url = "https://x/"}, "--host, "},
		{{.has_no_passphrase = true}, "--host, "},
		{{.file = ""}, "the page's file"},
		{{.file = "x", .n_hosts = 1, .n_doors = 1, .has_no_passphrase = true}, NULL},
		{{.file = "x", .url = "https://x/~a"}, NULL},
		{{.file = "x", .url = "http://x/"}, "--url"},
		{{.file = "x", .url = "https://"}, "--url"},
		{{.file = "x", .url = "https://x/ y"}, "--url"},
		{{.file = "x", .url = "https://x/\177"}, "--url"},
		{{.file = "x", .url = "https://\303\244/"}, "--url"},
		{{.file = "x", .url = long_url}, "--url"},
	};

	(void)state;
	memset(long_url + 8, 'x', sizeof long_url - 9);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const char *fault = page_wish_fault(&cases[i].wish);

		if (!fault != !cases[i].fault ||
		    (fault && strncmp(fault, cases[i].fault, strlen(cases[i].fault)) != 0))
			fail_msg("%zu: %s", i, fault);
	}
}

static void test_what_it_opens(void **state)
{
	char *alice[] = {(char[]){"alice"}, NULL}, *all[] = {(char[]){"*"}, NULL};
	struct door doors[] = {
		{.name = "ssh", .auth = AUTH_TOKEN, .users = alice, .timeout_us = 30000000},
		{.name = "both", .auth = AUTH_TOKEN | AUTH_SPA, .users = all},
		{.name = "bound", .auth = AUTH_TOKEN, .users = all, .bind_source = BIND_YES},
		{.name = "steps", .auth = AUTH_SEQUENCE},
		{.name = "spa", .auth = AUTH_SPA, .users = all},
	};
	const struct config config = {.doors = doors, .n_doors = 5};
	static const struct {
		const char *door, *user;
		bool has_config, opens;
	} cases[] = {
		{"ssh", "alice", true, true},	 {"ssh", "bob", true, false},
		{"both", "bob", true, true},	 {"bound", "alice", true, false},
		{"steps", "alice", true, false}, {"spa", "alice", true, false},
		{"other", "alice", true, false}, {"other", "alice", false, true},
	};
	static struct page_content content;
	struct page_wish wish = {.n_hosts = 1, .hosts = {"gw.example.org"}};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		wish.n_doors = 0;
		assert_int_equal(page_wish_add_door(cases[i].door, &wish), 0);
		assert_int_equal(page_wish_add_door(cases[i].door, &wish), 0);
		if (page_wish_resolve(&wish, &page_verb, cases[i].has_config ? &config : NULL,
				      cases[i].user,
				      &content) != (cases[i].opens ? STATUS_OK : STATUS_USAGE))
			fail_msg("%s, %s", cases[i].door, cases[i].user);
		if (!cases[i].opens)
			continue;
		assert_string_equal(content.hosts[0], "gw.example.org");
		assert_int_equal(content.n_doors, 1);
		assert_string_equal(content.doors[0].name, cases[i].door);
		assert_int_equal(content.doors[0].seconds,
				 strcmp(cases[i].door, "ssh") == 0 ? 30 : 0);
	}
	/* Those that were not named: all that this user can open. */
	wish.n_doors = 0;
	assert_int_equal(page_wish_resolve(&wish, &page_verb, &config, "alice", &content),
			 STATUS_OK);
	assert_int_equal(content.n_doors, 2);
	assert_int_equal(page_wish_resolve(&wish, &page_verb, &config, "bob", &content), STATUS_OK);
	assert_int_equal(content.n_doors, 1);
	assert_int_equal(page_wish_resolve(&wish, &page_verb, NULL, "alice", &content),
			 STATUS_USAGE);
	doors[1].users = alice;
	assert_int_equal(page_wish_resolve(&wish, &page_verb, &config, "bob", &content),
			 STATUS_USAGE);
}

/* A short name of this machine is of no use to a browser elsewhere. */
static void test_this_machine(void **state)
{
	static struct page_content content;
	struct page_wish wish = {.n_doors = 1, .doors = {"ssh"}};
	char own[PAGE_HOST_MAX + 1] = "";

	(void)state;
	assert_int_equal(gethostname(own, sizeof own - 1), 0);
	if (strchr(own, '.')) {
		assert_int_equal(page_wish_resolve(&wish, &page_verb, NULL, "alice", &content),
				 STATUS_OK);
		assert_int_equal(strcasecmp(content.hosts[0], own), 0);
	} else {
		assert_int_equal(page_wish_resolve(&wish, &page_verb, NULL, "alice", &content),
				 STATUS_USAGE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hosts),	      cmocka_unit_test(test_doors),
		cmocka_unit_test(test_too_many),      cmocka_unit_test(test_faults),
		cmocka_unit_test(test_what_it_opens), cmocka_unit_test(test_this_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
