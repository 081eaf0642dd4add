#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka-all.h"
#include "core/address.h"
#include "core/door.h"
#include "core/placeholder.h"
#include "core/strv.h"
#include "core/visitor.h"
#include "firewall/backend.h"
#include "firewall/backends.h"
#include "firewall/firewall.h"
#include "firewall/iptables/table.h"
#include "firewall/listing.h"
#include "firewall/passage.h"

#define COMMAND(...)  ((char *[]){__VA_ARGS__, NULL})
#define TEXT(literal) ((char *)(literal))

static struct address address(const char *text)
{
	struct address address;

	assert_int_equal(address_parse(text, &address), 0);
	return address;
}

static struct passage *new_rule(const struct door *door, const char *source)
{
	struct address from = address(source);
	const struct placeholder_values values =
		placeholder_values(door, &(struct visitor){.source = from});
	struct passage *passage = NULL;

	assert_int_equal(passage_new(&door->opening, &values, &passage), 0);
	assert_non_null(passage);
	return passage;
}

static char *written(const struct passage *passage)
{
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);

	assert_non_null(file);
	passage_write(passage, file);
	assert_int_equal(fclose(file), 0);
	return text;
}

/* The first error of its lines, or 0. */
static int read_text(const char *text, struct passage **passage)
{
	char *copy = strdup(text), *rest = NULL;
	int r = 0;

	assert_non_null(copy);
	for (char *line = strtok_r(copy, "\n", &rest); line && r == 0;
	     line = strtok_r(NULL, "\n", &rest)) {
		char *value = strchr(line, '=');

		assert_non_null(value);
		*value++ = '\0';
		r = passage_read_line(line, value, passage);
	}
	free(copy);
	return r;
}

static const struct door ipset_door = {
	.name = "ssh",
	.timeout_us = 30000000,
	.opening.backend = BACKEND_IPSET,
	.opening.set = {TEXT("knock_ssh"), TEXT("knock_ssh_6")},
	.opening.entry = TEXT("%IP%,tcp:22"),
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
		struct visitor visitor = {.source = address(cases[i].source), .user = "alice"};
		const struct placeholder_values values = placeholder_values(&ipset_door, &visitor);
		char *expanded = placeholder_expand(cases[i].text, &values);

		assert_non_null(expanded);
		assert_string_equal(expanded, cases[i].expanded);
		free(expanded);
	}
}

static void test_user_placeholder(void **state)
{
	struct door door = {.name = "ssh", .timeout_us = 30000000, .max_timeout_us = 100000000};
	static const struct {
		struct visitor visitor;
		const char *expanded;
	} cases[] = {
		{{.user = NULL}, "<>30"},
		{{.user = ""}, "<>30"},
		{{.user = "bob", .seconds = 1}, "<bob>1"},
		{{.user = "bob", .seconds = 9}, "<bob>9"},
		{{.user = "bob", .seconds = 10}, "<bob>10"},
		{{.user = "bob", .seconds = 99}, "<bob>99"},
		{{.user = "bob", .seconds = 65535}, "<bob>100"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const struct placeholder_values values =
			placeholder_values(&door, &cases[i].visitor);
		char *expanded = placeholder_expand("<%USER%>%TIMEOUT%", &values);

		assert_string_equal(expanded, cases[i].expanded);
		free(expanded);
	}
}

static void test_token_argv(void **state)
{
	struct visitor visitor = {.source = address("192.0.2.1")};
	const struct placeholder_values values = placeholder_values(&ipset_door, &visitor);
	char **argv =
		placeholder_expand_all(COMMAND(TEXT("/bin/x"), TEXT(""), TEXT("-s %IP%")), &values);

	(void)state;
	assert_non_null(argv);
	assert_string_equal(argv[0], "/bin/x");
	assert_string_equal(argv[1], "");
	assert_string_equal(argv[2], "-s 192.0.2.1");
	assert_null(argv[3]);
	strv_free(argv);
	strv_free(NULL);
}

static void test_ipset_rule(void **state)
{
	struct passage *rule4 = new_rule(&ipset_door, "192.0.2.1");
	struct passage *rule6 = new_rule(&ipset_door, "2001:db8::1");
	char *text4 = written(rule4), *text6 = written(rule6);

	(void)state;
	assert_string_equal(text4, "backend=ipset\nset=knock_ssh\nelement=192.0.2.1,tcp:22\n");
	assert_string_equal(text6, "backend=ipset\nset=knock_ssh_6\nelement=2001:db8::1,tcp:22\n");
	assert_true(passage_expires(rule4));
	assert_true(passage_is_whole(rule4));
	assert_false(passage_equal(rule4, rule6));
	free(text4);
	free(text6);
	passage_free(rule4);
	passage_free(rule6);
	assert_null(passage_free(NULL));
}

static void test_nft_rule(void **state)
{
	const struct door door = {
		.name = "ssh",
		.opening.backend = BACKEND_NFT,
		.opening.set = {NULL, TEXT("inet filter knock_ssh")},
		.opening.entry = TEXT("%IP% . 22"),
	};
	struct address from = address("192.0.2.1");
	struct passage *passage = new_rule(&door, "2001:db8::1"), *read = NULL, *none = NULL;
	char *text = written(passage);

	(void)state;
	assert_string_equal(text,
			    "backend=nft\nset=inet filter knock_ssh\nelement=2001:db8::1 . 22\n");
	assert_true(passage_expires(passage));
	assert_int_equal(read_text(text, &read), 0);
	assert_true(passage_is_whole(read));
	assert_true(passage_equal(passage, read));
	assert_int_equal(
		passage_new(&door.opening,
			    &(struct placeholder_values){.door = door.name, .source = from}, &none),
		-EAFNOSUPPORT);
	free(text);
	passage_free(read);
	passage_free(passage);
}

static void test_networks(void **state)
{
	static const struct {
		enum backend_kind backend;
		const char *entry, *source, *element;
	} cases[] = {
		{BACKEND_IPSET, "%IP%", "192.0.2.7", "192.0.2.0/24"},
		{BACKEND_IPSET, "%IP%,tcp:22", "2001:db8::7", "2001:db8::/56,tcp:22"},
		{BACKEND_NFT, "22 . %IP%", "192.0.2.7", "22 . 192.0.2.0/24"},
		{BACKEND_NFT, "%IP%", "2001:db8::7", "2001:db8::/56"},
		{BACKEND_IPTABLES, NULL, "192.0.2.7", "192.0.2.0/24"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct door door = {
			.name = "ssh",
			.opening.backend = cases[i].backend,
			.opening.set = {TEXT("four"), TEXT("six")},
			.opening.entry = (char *)cases[i].entry,
			.opening.chain = TEXT("KNOCKTAIL"),
			.opening.prefix = {24, 56},
			.opening.ports.is_all = true,
		};
		struct passage *passage = new_rule(&door, cases[i].source);
		char text[NETWORK_TEXT_MAX];
		struct network network;

		assert_string_equal(passage->element, cases[i].element);
		assert_true(passage_find_network(passage, &network));
		assert_non_null(strstr(cases[i].element, network_format(&network, text)));
		passage_free(passage);
		door.opening.prefix[FAMILY_IPV4] = 32;
		door.opening.prefix[FAMILY_IPV6] = 0;
		passage = new_rule(&door, cases[i].source);
		assert_non_null(strstr(passage->element, cases[i].source));
		assert_false(passage_find_network(passage, &network));
		passage_free(passage);
	}
}

/* All neighbours have the same network, of whatever length it is. */
static void test_link_local_sources_are_no_network(void **state)
{
	struct door door = {
		.name = "ssh",
		.opening.backend = BACKEND_IPTABLES,
		.opening.chain = TEXT("KNOCKTAIL"),
		.opening.prefix = {24, 56},
		.opening.ports.is_all = true,
	};
	struct passage *passage = new_rule(&door, "fe80::1:2");
	struct network network;

	(void)state;
	assert_string_equal(passage->element, "fe80::1:2");
	assert_false(passage_find_network(passage, &network));
	passage_free(passage);
}

static void test_iptables_rules_of_ranges(void **state)
{
	static const struct {
		const char *ports, *lines;
	} cases[] = {
		{"all", "ports=all ports\n"},
		{"60000-61000/udp, 22, 1-2", "ports=tcp 22,1:2\nports=udp 60000:61000\n"},
		{"1 2 3 4 5 6 7 8 9 10 11 12 13 14 20-30 31",
		 "ports=tcp 1,2,3,4,5,6,7,8,9,10,11,12,13,14\nports=tcp 20:30,31\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct door door = {
			.name = "ssh",
			.opening.backend = BACKEND_IPTABLES,
			.opening.chain = TEXT("KNOCKTAIL"),
		};
		struct port_range fault[2];
		struct passage *passage, *read = NULL;
		char *text;

		assert_int_equal(port_set_parse(cases[i].ports, &door.opening.ports, fault), 0);
		passage = new_rule(&door, "192.0.2.1");
		text = written(passage);
		assert_string_equal(strstr(text, "ports="), cases[i].lines);
		assert_int_equal(read_text(text, &read), 0);
		assert_true(passage_equal(passage, read));
		free(text);
		passage_free(read);
		passage_free(passage);
	}
}

/* Sent on: each range has a rule of its own, and what is for this machine is another passage. */
static void test_iptables_rules_that_send_on(void **state)
{
	struct door door = {.name = "web",
			    .opening = {.backend = BACKEND_IPTABLES, .chain = TEXT("K-FORWARD")}};
	struct passage *passage, *here, *read = NULL;
	struct port_range fault[2];
	char *text;

	(void)state;
	assert_int_equal(port_set_parse("80, 443, 53/udp", &door.opening.ports, fault), 0);
	here = new_rule(&door, "192.0.2.1");
	assert_int_equal(forward_parse("10.0.0.5", FAMILY_IPV4, &door.opening.forward[FAMILY_IPV4]),
			 0);
	passage = new_rule(&door, "192.0.2.1");
	text = written(passage);
	assert_string_equal(text, "backend=iptables\nelement=192.0.2.1\nchain=K-FORWARD\n"
				  "comment=knocktail:web\nforward=10.0.0.5\nports=tcp 80\n"
				  "ports=tcp 443\nports=udp 53\n");
	assert_int_equal(read_text(text, &read), 0);
	assert_true(passage_equal(passage, read));
	assert_false(passage_equal(passage, here));
	assert_true(door_opens_for(&door, FAMILY_IPV4));
	assert_false(door_opens_for(&door, FAMILY_IPV6));
	free(text);
	passage_free(passage);
	passage_free(here);
	passage_free(read);
}

static void test_iptables_rule(void **state)
{
	const struct door door = {
		.name = "ssh",
		.opening.backend = BACKEND_IPTABLES,
		.opening.ports = {.n_ranges = 3,
				  .ranges = {{22, 22, 6}, {53, 53, 17}, {443, 443, 6}}},
		.opening.chain = TEXT("KNOCKTAIL"),
	};
	struct passage *passage = new_rule(&door, "2001:db8::1"), *read = NULL;
	char *text = written(passage);

	(void)state;
	assert_string_equal(text, "backend=iptables\nelement=2001:db8::1\nchain=KNOCKTAIL\n"
				  "comment=knocktail:ssh\nports=tcp 22,443\nports=udp 53\n");
	assert_true(passage_expires(passage));
	assert_int_equal(read_text(text, &read), 0);
	assert_true(passage_is_whole(read));
	assert_true(passage_equal(passage, read));
	free(text);
	passage_free(read);
	passage_free(passage);
}

static void test_command_rule(void **state)
{
	const struct door door = {
		.name = "web",
		.timeout_us = 5000000,
		.opening.backend = BACKEND_COMMAND,
		.opening.start_command = {COMMAND(TEXT("/bin/open"), TEXT("%IP%"),
						  TEXT("%TIMEOUT%"))},
		.opening.stop_command = {COMMAND(TEXT("/bin/shut"), TEXT("%DOOR%"), TEXT(""),
						 TEXT("--from=%IP%"))},
	};
	struct passage *passage = new_rule(&door, "192.0.2.1");
	char *text = written(passage);

	(void)state;
	assert_string_equal(
		text, "backend=command\nstop=/bin/shut\nstop=web\nstop=\nstop=--from=192.0.2.1\n");
	assert_false(passage_expires(passage));
	assert_true(passage_is_whole(passage));
	assert_string_equal(passage->start[1], "192.0.2.1");
	assert_string_equal(passage->start[2], "5");
	free(text);
	passage_free(passage);
}

static void test_family_without_a_rule(void **state)
{
	const struct door ipset4 = {
		.name = "a",
		.opening.backend = BACKEND_IPSET,
		.opening.set = {TEXT("s")},
		.opening.entry = TEXT("%IP%"),
	};
	const struct door command6 = {
		.name = "b",
		.opening.backend = BACKEND_COMMAND,
		.opening.start_command = {NULL, COMMAND(TEXT("/bin/true"))},
		.opening.stop_command = {COMMAND(TEXT("/bin/true")), NULL},
	};
	struct address v4 = address("192.0.2.1"), v6 = address("2001:db8::1");
	struct passage *passage = NULL;

	(void)state;
	assert_int_equal(
		passage_new(&ipset4.opening,
			    &(struct placeholder_values){.door = ipset4.name, .source = v6},
			    &passage),
		-EAFNOSUPPORT);
	assert_int_equal(
		passage_new(&command6.opening,
			    &(struct placeholder_values){.door = command6.name, .source = v4},
			    &passage),
		-EAFNOSUPPORT);
	assert_null(passage);
	assert_int_equal(
		passage_new(&command6.opening,
			    &(struct placeholder_values){.door = command6.name, .source = v6},
			    &passage),
		0);
	assert_null(passage->stop);
	passage_free(passage);
}

#define RULE(chain, element, comment, more)                                                        \
	"backend=iptables\nelement=" element "\nchain=" chain "\ncomment=" comment "\n" more

/* Equal is what is closed in the same way: the start command does not count. */
static void test_equal(void **state)
{
	static const struct {
		const char *a, *b;
		bool equal, shares; /* a place */
	} cases[] = {
		{"backend=ipset\nset=s\nelement=e\n", "backend=ipset\nset=s\nelement=e\n", true,
		 true},
		{"backend=ipset\nset=s\nelement=e\n", "backend=ipset\nset=t\nelement=e\n", false,
		 false},
		{"backend=ipset\nset=s\nelement=e\n", "backend=ipset\nset=s\nelement=f\n", false,
		 true},
		{"backend=ipset\nset=s\nelement=e\n", "backend=command\n", false, false},
		{"backend=command\n", "backend=ipset\n", false, false},
		{"backend=command\n", "backend=command\n", true, true},
		{"backend=command\nstop=a\n", "backend=command\n", false, true},
		{"backend=command\n", "backend=command\nstop=a\n", false, true},
		{"backend=command\nstop=a\nstop=b\n", "backend=command\nstop=a\nstop=b\n", true,
		 true},
		{"backend=command\nstop=a\nstop=b\n", "backend=command\nstop=a\n", false, true},
		{"backend=command\nstop=a\n", "backend=command\nstop=a\nstop=b\n", false, true},
		{"backend=command\nstop=a\nstop=b\n", "backend=command\nstop=a\nstop=c\n", false,
		 true},
		{RULE("K", "192.0.2.1", "c", ""), RULE("K", "192.0.2.1", "c", ""), true, true},
		{RULE("K", "192.0.2.1", "c", ""), RULE("L", "192.0.2.1", "c", ""), false, false},
		{RULE("K", "192.0.2.1", "c", ""), RULE("K", "192.0.2.2", "c", ""), false, true},
		{RULE("K", "192.0.2.1", "c", ""), RULE("K", "2001:db8::1", "c", ""), false, false},
		{RULE("K", "192.0.2.1", "c", ""), RULE("K", "192.0.2.1", "d", ""), false, true},
		{RULE("K", "192.0.2.1", "c", "forward=10.0.0.5:1\n"),
		 RULE("K", "192.0.2.1", "c", "forward=10.0.0.5:2\n"), false, true},
		{RULE("K", "192.0.2.1", "c", "forward=10.0.0.5:1\n"),
		 RULE("K", "192.0.2.1", "c", ""), false, true},
		{RULE("K", "192.0.2.1", "c", "") "ports=tcp 22\n",
		 RULE("K", "192.0.2.1", "c", "") "ports=tcp 23\n", false, true},
		{"backend=iptables\nchain=K\n", RULE("K", "2001:db8::1", "c", ""), false, true},
		{RULE("K", "2001:db8::1", "c", ""), "backend=iptables\nchain=K\n", false, true},
		{"backend=iptables\n", RULE("K", "192.0.2.1", "c", ""), false, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct passage *a = NULL, *b = NULL;

		assert_int_equal(read_text(cases[i].a, &a), 0);
		assert_int_equal(read_text(cases[i].b, &b), 0);
		if (passage_equal(a, b) != cases[i].equal ||
		    passage_shares_place(a, b) != cases[i].shares)
			fail_msg("%s, %s", cases[i].a, cases[i].b);
		passage_free(a);
		passage_free(b);
	}
}

static void test_reads_what_it_wrote(void **state)
{
	const struct door door = {
		.name = "web",
		.opening.backend = BACKEND_COMMAND,
		.opening.start_command = {COMMAND(TEXT("/bin/open"))},
		.opening.stop_command = {COMMAND(TEXT("/bin/shut"), TEXT(""), TEXT("a=b=%IP%"))},
	};
	struct passage *passages[] = {
		new_rule(&door, "192.0.2.1"),
		new_rule(&ipset_door, "192.0.2.1"),
		new_rule(&ipset_door, "2001:db8::1"),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(passages) / sizeof(passages[0]); i++) {
		struct passage *again = NULL;
		char *text = written(passages[i]);

		assert_int_equal(read_text(text, &again), 0);
		assert_true(passage_is_whole(again));
		assert_true(passage_equal(passages[i], again));
		assert_int_equal(passage_expires(passages[i]), passage_expires(again));
		free(text);
		passage_free(again);
		passage_free(passages[i]);
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
	assert_false(passage_is_whole(NULL));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct passage *passage = NULL;
		int r = read_text(cases[i].text, &passage);

		if (r != cases[i].result || (r == 0 && passage_is_whole(passage) != cases[i].whole))
			fail_msg("\"%s\": %d", cases[i].text, r);
		passage_free(passage);
	}
}

/* What `iptables -n -L CHAIN` prints, of several releases; of each line, how it is found again. */
static void test_rules_as_they_are_listed(void **state)
{
	static const struct {
		const char *line, *key; /* NULL: it is not one of ours */
		unsigned left_s;
	} cases[] = {
		{"ACCEPT     6    --  192.0.2.1  0.0.0.0/0  multiport dports 22 TIME until date "
		 "2023-11-14 22:13:30 UTC /* knocktail:ssh:1700000010 */",
		 "ACCEPT 192.0.2.1 6 22 knocktail:ssh", 10},
		{"ACCEPT tcp -- 192.0.2.1 0.0.0.0/0 multiport dports 60000:61000 TIME until date "
		 "2023-11-14 22:13:30 UTC /* knocktail:ssh:1700000010 */",
		 "ACCEPT 192.0.2.1 6 60000:61000 knocktail:ssh", 10},
		{"ACCEPT  udp  2001:db8::1  ::/0  multiport dports 53 TIME x /* "
		 "knocktail:dns:1700000010 */",
		 "ACCEPT 2001:db8::1 17 53 knocktail:dns", 10},
		{"ACCEPT 17 -- 192.0.2.0/24 0.0.0.0/0 multiport dports 53 TIME x /* "
		 "knocktail:dns:1700000010 */",
		 "ACCEPT 192.0.2.0 17 53 knocktail:dns", 10},
		{"ACCEPT 0 -- 192.0.2.1 0.0.0.0/0 TIME x /* knocktail:all:1700000010 */",
		 "ACCEPT 192.0.2.1 0  knocktail:all", 10},
		{"DNAT 6 -- 192.0.2.1 0.0.0.0/0 ctorigdstport 22 TIME x /* knocktail:ssh:1700000010 "
		 "*/ to:10.0.0.5:22",
		 "DNAT 192.0.2.1 6 22 knocktail:ssh", 10},
		{"ACCEPT 6 -- 192.0.2.1 0.0.0.0/0 TIME x /* knocktail:ssh:1699999999 */",
		 "ACCEPT 192.0.2.1 6  knocktail:ssh", 0},
		{"ACCEPT 6 -- 192.0.2.1 0.0.0.0/0 TIME x /* knocktail:ssh:1700000010 */ dports 9 ",
		 "ACCEPT 192.0.2.1 6  knocktail:ssh", 10},
		{"Chain KNOCKTAIL (1 references)", NULL, 0},
		{"target prot opt source destination", NULL, 0},
		{"ACCEPT", NULL, 0},
		{" ", NULL, 0},
		{"ACCEPT 6 -- 192.0.2.1 0.0.0.0/0 /* somebody */", NULL, 0},
		{"/* knocktail:ssh:1700000010 */", NULL, 0},
		{"ACCEPT /* knocktail:ssh:1700000010 */", NULL, 0},
		{"ACCEPT 6 /* knocktail:ssh:1700000010 */", NULL, 0},
		{"ACCEPT 6 -- 192.0.2.1 0.0.0.0/0 TIME x /* knocktail:ssh:1700000010", NULL, 0},
		{"ACCEPT 6 -- 192.0.2.1 0.0.0.0/0 TIME x /* knocktail:ssh: */", NULL, 0},
		{"ACCEPT 6 -- 192.0.2.1 0.0.0.0/0 TIME x /* knocktail:ssh:soon */", NULL, 0},
	};
	struct passage *passage = new_rule(&ipset_door, "192.0.2.1");
	char text[1024], longest[512];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct listing *listing = NULL;
		uint64_t left_us = 0;

		assert_int_equal(listing_new(passage, &listing), 0);
		snprintf(text, sizeof text, "\n%s\n", cases[i].line);
		assert_int_equal(iptables_read_table(listing, text, UINT64_C(1700000000000000)), 0);
		listing_sort(listing);
		if (listing->n_items != (cases[i].key != NULL) ||
		    (cases[i].key && !listing_find(listing, cases[i].key, &left_us)) ||
		    left_us != cases[i].left_s * UINT64_C(1000000))
			fail_msg("%s: %s", cases[i].line,
				 listing->n_items > 0 ? listing->items[0].key : "");
		listing_free(listing);
	}
	/* More than any of ours says. */
	memset(longest, 'x', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	for (int is_name = 0; is_name < 2; is_name++) {
		struct listing *listing = NULL;

		assert_int_equal(listing_new(passage, &listing), 0);
		snprintf(
			text, sizeof text,
			"ACCEPT 6 -- 192.0.2.1 0.0.0.0/0 dports %s /* knocktail:%s:1700000010 */\n",
			is_name ? "22" : longest, is_name ? longest : "ssh");
		assert_int_equal(iptables_read_table(listing, text, 0), 0);
		assert_int_equal(listing->n_items, 0);
		listing_free(listing);
	}
	passage_free(passage);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tokens),
		cmocka_unit_test(test_user_placeholder),
		cmocka_unit_test(test_token_argv),
		cmocka_unit_test(test_ipset_rule),
		cmocka_unit_test(test_nft_rule),
		cmocka_unit_test(test_iptables_rule),
		cmocka_unit_test(test_link_local_sources_are_no_network),
		cmocka_unit_test(test_iptables_rules_of_ranges),
		cmocka_unit_test(test_iptables_rules_that_send_on),
		cmocka_unit_test(test_networks),
		cmocka_unit_test(test_command_rule),
		cmocka_unit_test(test_family_without_a_rule),
		cmocka_unit_test(test_equal),
		cmocka_unit_test(test_reads_what_it_wrote),
		cmocka_unit_test(test_reads_nothing_else),
		cmocka_unit_test(test_rules_as_they_are_listed),
	};

	return cmocka_run_group_tests_name("rule", tests, NULL, NULL);
}
