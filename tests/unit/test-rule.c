#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka-all.h"
#include "core/address.h"
#include "core/door.h"
#include "core/placeholder.h"
#include "core/visitor.h"
#include "firewall/backend.h"
#include "firewall/firewall.h"

#define COMMAND(...)  ((char *[]){__VA_ARGS__, NULL})
#define TEXT(literal) ((char *)(literal))

static struct address address(const char *text)
{
	struct address address;

	assert_int_equal(address_parse(text, &address), 0);
	return address;
}

static struct rule *new_rule(const struct door *door, const char *source)
{
	struct address from = address(source);
	struct rule *rule = NULL;

	assert_int_equal(rule_new(door, &(struct caller){.source = from}, &rule), 0);
	assert_non_null(rule);
	return rule;
}

static char *written(const struct rule *rule)
{
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);

	assert_non_null(file);
	rule_write(rule, file);
	assert_int_equal(fclose(file), 0);
	return text;
}

/* The first error of its lines, or 0. */
static int read_text(const char *text, struct rule **rule)
{
	char *copy = strdup(text), *rest = NULL;
	int r = 0;

	assert_non_null(copy);
	for (char *line = strtok_r(copy, "\n", &rest); line && r == 0;
	     line = strtok_r(NULL, "\n", &rest)) {
		char *value = strchr(line, '=');

		assert_non_null(value);
		*value++ = '\0';
		r = rule_read_line(line, value, rule);
	}
	free(copy);
	return r;
}

static const struct door ipset_door = {
	.name = "ssh",
	.timeout_us = 30000000,
	.backend = BACKEND_IPSET,
	.set = {TEXT("knock_ssh"), TEXT("knock_ssh_6")},
	.entry = TEXT("%IP%,tcp:22"),
};

static void test_tokens(void **state)
{
	static const struct {
		const char *text, *source, *expanded;
	} cases[] = {
		{"", "192.0.2.1", ""},
		{"plain", "192.0.2.1", "plain"},
		{"%IP%", "192.0.2.1", "192.0.2.1"},
		{"%IP%", "2001:DB8:0:0:0:0:0:1", "2001:db8::1"},
		{"%DOOR%", "192.0.2.1", "ssh"},
		{"%TIMEOUT%", "192.0.2.1", "30"},
		{"<%IP%%DOOR%,%TIMEOUT%>", "192.0.2.1", "<192.0.2.1ssh,30>"},
		{"%USER%@%IP%", "192.0.2.1", "alice@192.0.2.1"},
		{"%%", "192.0.2.1", "%"},
		{"%%IP%%", "192.0.2.1", "%IP%"},
		{"%%%IP%", "192.0.2.1", "%192.0.2.1"},
		{"100%", "192.0.2.1", "100%"},
		{"%ip%", "192.0.2.1", "%ip%"},
		{"%IP", "192.0.2.1", "%IP"},
		{"%s%n", "192.0.2.1", "%s%n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct caller caller = {.source = address(cases[i].source), .user = "alice"};
		char *expanded = token_expand(cases[i].text, &ipset_door, &caller);

		assert_non_null(expanded);
		assert_string_equal(expanded, cases[i].expanded);
		free(expanded);
	}
}

static void test_token_of_callers(void **state)
{
	struct door door = {.name = "ssh", .timeout_us = 30000000, .max_timeout_us = 90000000};
	static const struct {
		struct caller caller;
		const char *expanded;
	} cases[] = {
		{{.user = NULL}, "<>30"},
		{{.user = ""}, "<>30"},
		{{.user = "bob", .seconds = 1}, "<bob>1"},
		{{.user = "bob", .seconds = 90}, "<bob>90"},
		{{.user = "bob", .seconds = 65535}, "<bob>90"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char *expanded = token_expand("<%USER%>%TIMEOUT%", &door, &cases[i].caller);

		assert_string_equal(expanded, cases[i].expanded);
		free(expanded);
	}
}

static void test_token_argv(void **state)
{
	struct caller caller = {.source = address("192.0.2.1")};
	char **argv = command_expand(COMMAND(TEXT("/bin/x"), TEXT(""), TEXT("-s %IP%")),
				     &ipset_door, &caller);

	(void)state;
	assert_non_null(argv);
	assert_string_equal(argv[0], "/bin/x");
	assert_string_equal(argv[1], "");
	assert_string_equal(argv[2], "-s 192.0.2.1");
	assert_null(argv[3]);
	command_free(argv);
	command_free(NULL);
}

static void test_ipset_rule(void **state)
{
	struct rule *rule4 = new_rule(&ipset_door, "192.0.2.1");
	struct rule *rule6 = new_rule(&ipset_door, "2001:db8::1");
	char *text4 = written(rule4), *text6 = written(rule6);

	(void)state;
	assert_string_equal(text4, "backend=ipset\nset=knock_ssh\nelement=192.0.2.1,tcp:22\n");
	assert_string_equal(text6, "backend=ipset\nset=knock_ssh_6\nelement=2001:db8::1,tcp:22\n");
	assert_true(rule_expires(rule4));
	assert_true(rule_is_whole(rule4));
	assert_false(rule_equal(rule4, rule6));
	free(text4);
	free(text6);
	rule_free(rule4);
	rule_free(rule6);
	assert_null(rule_free(NULL));
}

static void test_nft_rule(void **state)
{
	const struct door door = {
		.name = "ssh",
		.backend = BACKEND_NFT,
		.set = {NULL, TEXT("inet filter knock_ssh")},
		.entry = TEXT("%IP% . 22"),
	};
	struct address from = address("192.0.2.1");
	struct rule *rule = new_rule(&door, "2001:db8::1"), *read = NULL, *none = NULL;
	char *text = written(rule);

	(void)state;
	assert_string_equal(text,
			    "backend=nft\nset=inet filter knock_ssh\nelement=2001:db8::1 . 22\n");
	assert_true(rule_expires(rule));
	assert_int_equal(read_text(text, &read), 0);
	assert_true(rule_is_whole(read));
	assert_true(rule_equal(rule, read));
	assert_int_equal(rule_new(&door, &(struct caller){.source = from}, &none), -EAFNOSUPPORT);
	free(text);
	rule_free(read);
	rule_free(rule);
}

static void test_iptables_rule(void **state)
{
	const struct door door = {
		.name = "ssh",
		.backend = BACKEND_IPTABLES,
		.ports = {3, {{22, 6}, {53, 17}, {443, 6}}},
		.chain = TEXT("KNOCKTAIL"),
	};
	struct rule *rule = new_rule(&door, "2001:db8::1"), *read = NULL;
	char *text = written(rule);

	(void)state;
	assert_string_equal(text, "backend=iptables\nelement=2001:db8::1\nchain=KNOCKTAIL\n"
				  "comment=knocktail:ssh\nports=tcp 22,443\nports=udp 53\n");
	assert_true(rule_expires(rule));
	assert_int_equal(read_text(text, &read), 0);
	assert_true(rule_is_whole(read));
	assert_true(rule_equal(rule, read));
	free(text);
	rule_free(read);
	rule_free(rule);
}

static void test_command_rule(void **state)
{
	const struct door door = {
		.name = "web",
		.timeout_us = 5000000,
		.backend = BACKEND_COMMAND,
		.start_command = {COMMAND(TEXT("/bin/open"), TEXT("%IP%"), TEXT("%TIMEOUT%"))},
		.stop_command = {COMMAND(TEXT("/bin/shut"), TEXT("%DOOR%"), TEXT(""),
					 TEXT("--from=%IP%"))},
	};
	struct rule *rule = new_rule(&door, "192.0.2.1");
	char *text = written(rule);

	(void)state;
	assert_string_equal(
		text, "backend=command\nstop=/bin/shut\nstop=web\nstop=\nstop=--from=192.0.2.1\n");
	assert_false(rule_expires(rule));
	assert_true(rule_is_whole(rule));
	assert_string_equal(rule->start[1], "192.0.2.1");
	assert_string_equal(rule->start[2], "5");
	free(text);
	rule_free(rule);
}

static void test_family_without_a_rule(void **state)
{
	const struct door ipset4 = {
		.name = "a",
		.backend = BACKEND_IPSET,
		.set = {TEXT("s")},
		.entry = TEXT("%IP%"),
	};
	const struct door command6 = {
		.name = "b",
		.backend = BACKEND_COMMAND,
		.start_command = {NULL, COMMAND(TEXT("/bin/true"))},
		.stop_command = {COMMAND(TEXT("/bin/true")), NULL},
	};
	struct address v4 = address("192.0.2.1"), v6 = address("2001:db8::1");
	struct rule *rule = NULL;

	(void)state;
	assert_int_equal(rule_new(&ipset4, &(struct caller){.source = v6}, &rule), -EAFNOSUPPORT);
	assert_int_equal(rule_new(&command6, &(struct caller){.source = v4}, &rule), -EAFNOSUPPORT);
	assert_null(rule);
	assert_int_equal(rule_new(&command6, &(struct caller){.source = v6}, &rule), 0);
	assert_null(rule->stop);
	rule_free(rule);
}

/* Equal is what is closed in the same way: the start command does not count. */
static void test_equal(void **state)
{
	static const struct {
		const char *a, *b;
		bool equal;
	} cases[] = {
		{"backend=ipset\nset=s\nelement=e\n", "backend=ipset\nset=s\nelement=e\n", true},
		{"backend=ipset\nset=s\nelement=e\n", "backend=ipset\nset=t\nelement=e\n", false},
		{"backend=ipset\nset=s\nelement=e\n", "backend=ipset\nset=s\nelement=f\n", false},
		{"backend=ipset\nset=s\nelement=e\n", "backend=command\n", false},
		{"backend=command\n", "backend=ipset\n", false},
		{"backend=command\n", "backend=command\n", true},
		{"backend=command\nstop=a\n", "backend=command\n", false},
		{"backend=command\n", "backend=command\nstop=a\n", false},
		{"backend=command\nstop=a\nstop=b\n", "backend=command\nstop=a\nstop=b\n", true},
		{"backend=command\nstop=a\nstop=b\n", "backend=command\nstop=a\n", false},
		{"backend=command\nstop=a\n", "backend=command\nstop=a\nstop=b\n", false},
		{"backend=command\nstop=a\nstop=b\n", "backend=command\nstop=a\nstop=c\n", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rule *a = NULL, *b = NULL;

		assert_int_equal(read_text(cases[i].a, &a), 0);
		assert_int_equal(read_text(cases[i].b, &b), 0);
		if (rule_equal(a, b) != cases[i].equal)
			fail_msg("case %zu", i);
		rule_free(a);
		rule_free(b);
	}
}

static void test_reads_what_it_wrote(void **state)
{
	const struct door door = {
		.name = "web",
		.backend = BACKEND_COMMAND,
		.start_command = {COMMAND(TEXT("/bin/open"))},
		.stop_command = {COMMAND(TEXT("/bin/shut"), TEXT(""), TEXT("a=b=%IP%"))},
	};
	struct rule *rules[] = {
		new_rule(&door, "192.0.2.1"),
		new_rule(&ipset_door, "192.0.2.1"),
		new_rule(&ipset_door, "2001:db8::1"),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		struct rule *again = NULL;
		char *text = written(rules[i]);

		assert_int_equal(read_text(text, &again), 0);
		assert_true(rule_is_whole(again));
		assert_true(rule_equal(rules[i], again));
		assert_int_equal(rule_expires(rules[i]), rule_expires(again));
		free(text);
		rule_free(again);
		rule_free(rules[i]);
	}
}

static void test_reads_nothing_else(void **state)
{
	static const struct {
		const char *text;
		int result;
		bool whole;
	} cases[] = {
		{"backend=ipset\nset=s\nelement=e\n", 0, true},
		{"backend=ipset\nelement=e\nset=s\n", 0, true},
		{"backend=command\n", 0, true},
		{"backend=ipset\nset=s\n", 0, false},
		{"backend=ipset\nelement=e\n", 0, false},
		{"backend=ipset\n", 0, false},
		{"backend=\n", -EINVAL, false},
		{"backend=Ipset\n", -EINVAL, false},
		{"backend=ipset2\n", -EINVAL, false},
		{"backend=ipset\nbackend=ipset\n", -EINVAL, false},
		{"set=s\n", -EINVAL, false},
		{"element=e\n", -EINVAL, false},
		{"stop=x\n", -EINVAL, false},
		{"backend=ipset\nset=s\nset=s\n", -EINVAL, false},
		{"backend=ipset\nset=\n", -EINVAL, false},
		{"backend=ipset\nelement=e\nelement=e\n", -EINVAL, false},
		{"backend=command\nstart=x\n", -ENOENT, true},
		{"backend=command\nStop=x\n", -ENOENT, true},
		{"door=ssh\n", -ENOENT, false},
	};

	(void)state;
	assert_false(rule_is_whole(NULL));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rule *rule = NULL;
		int r = read_text(cases[i].text, &rule);

		if (r != cases[i].result || (r == 0 && rule_is_whole(rule) != cases[i].whole))
			fail_msg("\"%s\": %d", cases[i].text, r);
		rule_free(rule);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tokens),
		cmocka_unit_test(test_token_of_callers),
		cmocka_unit_test(test_token_argv),
		cmocka_unit_test(test_ipset_rule),
		cmocka_unit_test(test_nft_rule),
		cmocka_unit_test(test_iptables_rule),
		cmocka_unit_test(test_command_rule),
		cmocka_unit_test(test_family_without_a_rule),
		cmocka_unit_test(test_equal),
		cmocka_unit_test(test_reads_what_it_wrote),
		cmocka_unit_test(test_reads_nothing_else),
	};

	return cmocka_run_group_tests_name("rule", tests, NULL, NULL);
}
