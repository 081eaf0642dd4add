#include "cli/import/knockd/doors.h"

#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>

#include "cli/import/fwknop/access.h"
#include "cli/import/fwknop/client.h"
#include "cli/import/fwknop/file.h"
#include "cli/import/knockd/command.h"
#include "cli/import/knockd/defaults.h"
#include "cli/import/knockd/file.h"
#include "cli/import/knockd/iptables.h"
#include "cli/import/result.h"
#include "cmocka-all.h"
#include "config/config.h"
#include "config/load.h"
#include "support.h"
#include "tap/profile.h"
#include "tap/settings.h"

static void parse(const char *text, struct knockd_file *ret)
{
	struct knockd_fault fault;

	assert_int_equal(knockd_parse(text, strlen(text), ret, &fault), 0);
}

static void test_lines_as_knockd_reads_them(void **state)
{
	struct knockd_file file;
	const struct knockd_section *section;

	(void)state;
	parse("# a comment\n\n\t[options]\r\nUseSyslog\n[ b ]\nA = x=y # z\na=\n[ b ]", &file);
	assert_int_equal(file.n_sections, 3);
	section = &file.sections[0];
	assert_string_equal(section->name, "options");
	assert_int_equal(section->line, 3);
	assert_string_equal(section->entries[0].key, "usesyslog");
	assert_null(section->entries[0].value);
	section = &file.sections[1];
	assert_string_equal(section->name, " b ");
	assert_string_equal(section->entries[0].key, "a");
	assert_string_equal(section->entries[0].value, "x=y # z");
	assert_string_equal(knockd_find(section, "a")->value, "");
	assert_int_equal(knockd_find(section, "a")->line, 7);
	assert_null(knockd_find(section, "b"));
	knockd_done(&file);
}

static void assert_fault(const char *text, size_t length, unsigned line)
{
	struct knockd_fault fault = {0};
	struct knockd_file file;

	assert_int_equal(knockd_parse(text, length, &file, &fault), -EBADMSG);
	assert_int_equal(fault.line, line);
	assert_non_null(fault.text);
}

static void test_what_is_no_file_of_knockds(void **state)
{
	char longest[KNOCKD_LINE_MAX + 2];

	(void)state;
	assert_fault("a = b\n", 6, 1);
	assert_fault("[a]\n[]\n", 7, 2);
	assert_fault("[a]\nx\0y\n", 8, 2);
	memset(longest, '#', sizeof longest);
	assert_fault(longest, KNOCKD_LINE_MAX + 1, 1);
}

static void test_commands(void **state)
{
	static const struct {
		const char *text, *value;
		enum import_way way;
	} cases[] = {
		{"/bin/a -b %IP%", "/bin/a -b %IP%", IMPORT_PLAIN},
		{"/bin/a 'b c' \"d\"", "/bin/a 'b c' \"d\"", IMPORT_PLAIN},
		{"\"/bin/a b\" c", "'\"/bin/a b\" c'", IMPORT_PLAIN},
		{"/bin/a 5% %DOOR% %%IP%", "/bin/a 5%% %%DOOR%% %%%IP%", IMPORT_PLAIN},
		{"/bin/a ! -s", "/bin/a ! -s", IMPORT_PLAIN},
		{"/bin/a; b", "\"/bin/sh -c '/bin/a; b'\"", IMPORT_SHELL},
		{"/bin/a|b", "/bin/sh -c '/bin/a|b'", IMPORT_SHELL},
		{"/bin/a 'b' >c", "/bin/sh -c \"/bin/a 'b' >c\"", IMPORT_SHELL},
		{"/bin/a \"$x\\y\"", "/bin/sh -c '/bin/a \"$x\\y\"'", IMPORT_SHELL},
		{"/bin/a 'b' \"c\" >\\d", "/bin/sh -c \"/bin/a 'b' \\\"c\\\" >\\\\d\"",
		 IMPORT_SHELL},
		{"/bin/a 'b'; c", "\"/bin/sh -c /bin/a\\ \\'b\\'\\;\\ c\"", IMPORT_SHELL},
		{"/bin/a \"b\"; c", "'/bin/sh -c \"/bin/a \\\"b\\\"; c\"'", IMPORT_SHELL},
		{"A=1 /bin/a", "/bin/sh -c 'A=1 /bin/a'", IMPORT_SHELL},
		{"no-such-program x", "/bin/sh -c 'no-such-program x'", IMPORT_MISSING},
		{"cd /x", "/bin/sh -c 'cd /x'", IMPORT_SHELL},
		{"/bin/a 'b' \"c\"; d", NULL, IMPORT_SHELL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		enum import_way way;
		char *value = NULL;
		int r = import_command(cases[i].text, &value, &way);

		assert_int_equal(r, cases[i].value ? 0 : -ENOTSUP);
		assert_int_equal(way, cases[i].way);
		if (cases[i].value)
			assert_string_equal(value, cases[i].value);
		free(value);
	}
}

static void test_a_program_gets_its_path(void **state)
{
	enum import_way way;
	char *value;

	(void)state;
	assert_int_equal(import_command("sh -c %IP%", &value, &way), 0);
	assert_int_equal(way, IMPORT_ABSOLUTE);
	assert_int_equal(value[0], '/');
	assert_string_equal(strrchr(value, '/'), "/sh -c %IP%");
	free(value);
}

static void test_rules_that_accept(void **state)
{
	static const char *const others[] = {
		"/sbin/ip6tables -A INPUT -s %IP% -p tcp --dport 22 -j ACCEPT",
		"/sbin/iptables -A FORWARD -s %IP% -p tcp --dport 22 -j ACCEPT",
		"/sbin/iptables -A INPUT -s 10.0.0.1 -p tcp --dport 22 -j ACCEPT",
		"/sbin/iptables -A INPUT -s %IP% -p tcp --dport 22 -j DROP",
		"/sbin/iptables -A INPUT -s %IP% -p icmp -j ACCEPT",
		"/sbin/iptables -A INPUT -j ACCEPT",
		"/sbin/iptables -A INPUT -s %IP% -p tcp --dport 22 -d 10.0.0.1 -j ACCEPT",
		"/sbin/iptables -A INPUT -s %IP% -p tcp --dport 22 -m limit -j ACCEPT",
		"/sbin/iptables -A INPUT -s %IP% -p tcp --dport 22 -m state --state INVALID -j ACCEPT",
		"/sbin/iptables -A INPUT -s %IP% -p tcp --dport 22 -j ACCEPT; x",
		"/sbin/iptables -A INPUT -s %IP% -p tcp --dport no-such-service -j ACCEPT",
		"/sbin/iptables -A INPUT -s %IP% -p tcp --dport 22,0 -j ACCEPT",
		"/sbin/iptables -A INPUT -s %IP% -p tcp --dport",
		"/sbin/iptables -A INPUT ! -s %IP% -p tcp --dport 22 -j ACCEPT",
		"",
		"iptables",
		"iptables -A",
		"iptables -A INPUT -s",
		"iptables -A INPUT -s %IP% -j",
		"iptables -A INPUT -s %IP% -j ACCEPT -p",
		"iptables -A INPUT -s %IP% -j ACCEPT -i",
		"iptables -A INPUT -s %IP% -j ACCEPT -i a-name-that-is-too-long",
		"iptables -A INPUT -s %IP% -j ACCEPT -m",
		"iptables -A INPUT -s %IP% -j ACCEPT -m ''",
		"iptables -A INPUT -s %IP% -j ACCEPT -m tc",
		"iptables -A INPUT -s %IP% -j ACCEPT -m port",
		"iptables -A INPUT -s %IP% -j ACCEPT -m 'tcp udp'",
		"iptables -A INPUT -s %IP% -j ACCEPT -m ' tcp'",
		"iptables -A INPUT -s %IP% -j ACCEPT -m state --state",
		"iptables -A INPUT -s %IP% -j ACCEPT -m comment --comment",
		"iptables -A INPUT -s %IP% -j ACCEPT -t",
		"iptables -t mangle -A INPUT -s %IP% -j ACCEPT",
		"iptables -A INPUT -s %IP% -p tcp --dport 22:21 -j ACCEPT",
		"iptables -A INPUT -s %IP% -p tcp --dport 22:x -j ACCEPT",
		"iptables -A INPUT -s %IP% -p tcp --dport ssh:23 -j ACCEPT",
		"iptables -A INPUT -s %IP% -p tcp --dport 22:65536 -j ACCEPT",
		"iptables -A INPUT -s %IP% -p tcp --dport 65536 -j ACCEPT",
		"iptables -A INPUT -s %IP% -p tcp --dport 22, -j ACCEPT",
		"iptables -A INPUT -s %IP% -p tcp --dport 'ssh -j ACCEPT",
		"iptables -A INPUT -s \"%IP%\\\" -j ACCEPT",
		"iptables -A INPUT -s $IP -j ACCEPT",
		"iptables -A PREROUTING -s %IP% -j ACCEPT",
		"iptables -t nat -A PREROUTING -s %IP% -p tcp -j DNAT --to-destination 10.0.0.5:1",
		"iptables -t nat -A PREROUTING -s %IP% -p tcp --dport 1 -j DNAT --to-destination",
		"iptables -t nat -A PREROUTING -s %IP% -p tcp --dport 1 -j DNAT --to 10.0.0.5:x",
		"iptables -t nat -A PREROUTING -s %IP% -p tcp --dport 1 -j ACCEPT --to 10.0.0.5:1",
	};
	char text[2048];
	static const struct {
		const char *text, *ports, *interface;
	} rules[] = {
		{"iptables -w -I INPUT 1 -s %IP% -m udp -p udp --dport 53 -j ACCEPT", "53/udp", ""},
		{"iptables -A INPUT -m state --state NEW -s %IP% -p tcp --dport ssh -j ACCEPT",
		 "22/tcp", ""},
		{"iptables -A INPUT -m conntrack --ctstate NEW,ESTABLISHED -s %IP%/32 -p tcp "
		 "--dport 22 -j ACCEPT",
		 "22/tcp", ""},
		{"iptables -A INPUT -i eth0 -s %IP% -p tcp --dport 5900:5910 -j ACCEPT",
		 "5900-5910/tcp", "eth0"},
		{"/usr/sbin/iptables -A INPUT -s %IP% -j ACCEPT", "all", ""},
		{"iptables -I INPUT -s %IP% -p all -j ACCEPT", "all", ""},
		{"iptables -A INPUT -s %IP% -p udp -j ACCEPT", "1-65535/udp", ""},
		{"iptables -A INPUT -s %IP% --dport 22 -j ACCEPT", "22/tcp", ""},
		{"/sbin/iptables -I INPUT -s %IP% -p tcp -m multiport --dports 22,https,80:81 -j "
		 "ACCEPT",
		 "22/tcp, 443/tcp, 80-81/tcp", ""},
		{"iptables --insert INPUT --src %IP% --protocol tcp --destination-port 22 -m comment "
		 "--comment 'for %IP%; ssh' --jump ACCEPT",
		 "22/tcp", ""},
		{"iptables-nft --table filter --append INPUT --source %IP% --proto udp --match udp "
		 "--destination-ports domain --wait --in-interface eth0 -j ACCEPT",
		 "53/udp", "eth0"},
		{" \tiptables-legacy -A INPUT -s '%IP%' -p \"tcp\" --syn --dport 22:22 -j ACCEPT ",
		 "22/tcp", ""},
	};
	struct iptables_rule rule;

	(void)state;
	for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
		if (!iptables_accepts(rules[i].text, &rule))
			fail_msg("%s", rules[i].text);
		assert_string_equal(rule.ports, rules[i].ports);
		assert_string_equal(rule.interface, rules[i].interface);
	}
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		if (iptables_accepts(others[i], &rule))
			fail_msg("%s", others[i]);
	/* Too many words, words that are too long, and too many ports: nothing is cut. */
	snprintf(text, sizeof text, "iptables -A INPUT -s %%IP%% -j ACCEPT");
	for (size_t i = 0; i < 50; i++)
		strcat(text, " -w");
	assert_false(iptables_accepts(text, &rule));
	for (size_t length = 960; length < 1040; length++) {
		snprintf(text, sizeof text,
			 "iptables -A INPUT -s %%IP%% -j ACCEPT -m comment --comment %0*d",
			 (int)length, 0);
		if (iptables_accepts(text, &rule) != (length <= 966))
			fail_msg("%zu", length);
	}
	snprintf(text, sizeof text, "iptables -A INPUT -s %%IP%% -j ACCEPT -p tcp --dports 60000");
	for (size_t i = 0; i < 200; i++)
		strcat(text, ",60000");
	assert_false(iptables_accepts(text, &rule));
}

static void test_rules_that_are_taken_out(void **state)
{
	static const struct {
		const char *text, *undo;
		bool undoes;
	} cases[] = {
		{"iptables -A INPUT -j X", "iptables  -D INPUT -j X", true},
		{"iptables -I INPUT 1 -j X", "iptables -D INPUT -j X", true},
		{"/sbin/iptables -w --insert INPUT 12 -j X", "iptables --delete INPUT -j X", true},
		{"iptables -I INPUT -m comment --comment 'a b' -j X",
		 "iptables -D INPUT -m comment --comment \"a b\" -j X", true},
		{"iptables -A INPUT -j X", "iptables -A INPUT -j X", false},
		{"iptables -A INPUT -j X", "iptables -D INPUT -j Y", false},
		{"iptables -A INPUT -j X", "iptables -D INPUT -j X Y", false},
		{"iptables -A INPUT -j X", "ip6tables -D INPUT -j X", false},
		{"iptables -A INPUT -j X", "iptables -D INPUT 1", false},
		{"iptables -w -A INPUT -j X -w", "iptables -D --wait INPUT -j X", true},
		{"iptables -A INPUT -j X Y", "iptables -D INPUT -j X", false},
		{"iptables -A INPUT -j X", "iptables -D INPUT 1 -j X", false},
		{"iptables -N X", "iptables -N X", false},
		{"iptables -A INPUT -j X", "", false},
		{"", "iptables -D INPUT -j X", false},
		{"iptables -A INPUT -j X", "iptables -D INPUT -j 'X", false},
		{"iptables -A INPUT -j X\\", "iptables -D INPUT -j X", false},
		{"ip6tables -A INPUT -j X", "ip6tables -D INPUT -j X", false},
		{"/sbin/iptables -I INPUT 1", "iptables -D INPUT", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		if (iptables_undoes(cases[i].text, cases[i].undo) != cases[i].undoes)
			fail_msg("%s", cases[i].undo);
}

static void test_what_starts_knockd(void **state)
{
	static const struct {
		const char *text, *interface;
		unsigned line;
	} cases[] = {
		{"START_KNOCKD=1\n# KNOCKD_OPTS=\"-i eth0\"\nKNOCKD_OPTS=\"-i eth1\"\n", "eth1", 3},
		{"KNOCKD_OPTS='-D -i wan0 -v'", "wan0", 1},
		{"OPTIONS=\"--interface=eth2\"\n", "eth2", 1},
		{"  export KNOCKD_OPTS=-ieth3\n", "eth3", 1},
		{"KNOCKD_OPTS=\"-v\"\nX=\"-i eth0\"\n", "", 0},
		{"KNOCKD_OPTS=-i\neth0", "", 0},
		{"KNOCKD_OPTS=", "", 0},
		{"KNOCKD_OPTS=\"-i a-name-that-is-too-long\"", "", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct knockd_defaults defaults;

		knockd_defaults_parse("knockd", cases[i].text, &defaults);
		assert_string_equal(defaults.interface, cases[i].interface);
		assert_int_equal(defaults.line, cases[i].line);
	}
}

/* What comes of a file of each kind. */
static void import_text(const char *path, const char *data, struct import_result *result)
{
	enum fwknop_kind kind = fwknop_recognise(data);
	struct fwknop_users users = {0};
	struct knockd_file knockd;
	struct fwknop_file file;

	assert_int_equal(kind, strstr(path, ".access")	   ? FWKNOP_ACCESS
			       : strstr(path, ".fwknoprc") ? FWKNOP_CLIENT
							   : FWKNOP_NONE);
	if (kind == FWKNOP_NONE) {
		parse(data, &knockd);
		assert_int_equal(knockd_import(&knockd, NULL, result), 0);
		knockd_done(&knockd);
		return;
	}
	assert_int_equal(fwknop_parse(data, kind, &file), 0);
	if (kind == FWKNOP_CLIENT) {
		result->comment = '#';
		fwknop_import_client(&file, result);
	} else {
		assert_int_equal(fwknop_import_access(&file, NULL, NULL, result, &users), 0);
	}
	fwknop_done(&file);
	free(users.items);
}

static char *import(const char *path, struct import_result *ret)
{
	char *data, *text, *told;
	size_t length, size, told_size;

	*ret = (struct import_result){.path = "FILE"};
	ret->out = open_memstream(&text, &size);
	ret->told = open_memstream(&told, &told_size);
	data = support_read(path, &length);
	import_text(path, data, ret);
	fclose(ret->out);
	fclose(ret->told);
	import_result_done(ret);
	/* No step is told, and no key: each of the files has one of these. */
	assert_null(strstr(told, "8000"));
	assert_null(strstr(told, "3428"));
	assert_null(strcasestr(told, "c2VjcmV0"));
	assert_null(strcasestr(text, "c2VjcmV0"));
	assert_null(strstr(text, "ZGVtbyBob"));
	free(told);
	free(data);
	return text;
}

static void assert_loads(const char *text)
{
	struct complaints complaints;
	struct config *config = NULL;
	int r = config_load_bytes(text, strlen(text), NULL, &config, &complaints);

	for (size_t i = 0; i < complaints.n_items; i++)
		if (!complaints.items[i].warning)
			print_message("%u: %s\n", complaints.items[i].line,
				      complaints.items[i].text);
	assert_int_equal(r, 0);
	complaints_done(&complaints);
	config_free(config);
}

/* The names are asked for to have every line judged. */
static void assert_is_profile(const char *text)
{
	struct profile_fault fault;
	struct settings settings;

	settings_init(&settings);
	if (profile_apply(text, strlen(text), "gateway", &settings, &fault) < 0)
		fail_msg("%u: %s", fault.line, fault.text);
}

static void check_whole_files(const char *pattern, const char *suffix, size_t n_min)
{
	glob_t found;

	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	assert_true(found.gl_pathc >= n_min);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		struct import_result result;
		char *text = import(found.gl_pathv[i], &result), *expected, path[4096];
		size_t length;

		snprintf(path, sizeof path, "%.*s%s",
			 (int)(strrchr(found.gl_pathv[i], '.') - found.gl_pathv[i]),
			 found.gl_pathv[i], suffix);
		if (getenv("WRITE_EXPECTED"))
			support_write(path, text, strlen(text));
		expected = support_read(path, &length);
		assert_string_equal(text, expected);
		if (strcmp(suffix, ".hosts") == 0)
			assert_is_profile(text);
		else if (result.n_doors > 0)
			assert_loads(text);
		free(expected);
		free(text);
	}
	globfree(&found);
}

/* tests/import: NAME.knockd becomes NAME.conf, comments and all, and so on. */
static void test_whole_files(void **state)
{
	(void)state;
	check_whole_files(TEST_DATA_DIR "/import/*.knockd", ".conf", 8);
	check_whole_files(TEST_DATA_DIR "/import/*.access", ".access-conf", 3);
	check_whole_files(TEST_DATA_DIR "/import/*.fwknoprc", ".hosts", 3);
}

static void test_what_fwknopd_is_told(void **state)
{
	static const char access[] = "SOURCE ANY\nOPEN_PORTS tcp/22\n";
	static const char options[] =
		"PCAP_INTF   wan0;\nMAX_SPA_PACKET_AGE 900\nPCAP_FILTER udp\n";
	struct import_result result = {.path = "access.conf"};
	struct fwknop_users users;
	struct fwknop_file file, others;
	char *text, *told;
	size_t size, told_size;

	(void)state;
	result.out = open_memstream(&text, &size);
	result.told = open_memstream(&told, &told_size);
	assert_int_equal(fwknop_parse(access, FWKNOP_ACCESS, &file), 0);
	assert_int_equal(fwknop_parse(options, FWKNOP_OPTIONS, &others), 0);
	assert_int_equal(fwknop_import_access(&file, &others, "fwknopd.conf", &result, &users), 0);
	fclose(result.out);
	fclose(result.told);
	assert_non_null(strstr(text, "\ninterface = wan0\n"));
	assert_non_null(strstr(text, "\nclock_skew = 300s\n"));
	assert_non_null(strstr(told, "fwknopd.conf:3: note: \"pcap_filter\": not carried over"));
	assert_int_equal(users.n, 1);
	assert_string_equal(users.items[0].name, "user-1");
	assert_loads(text);
	import_result_done(&result);
	fwknop_done(&file);
	fwknop_done(&others);
	free(users.items);
	free(text);
	free(told);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines_as_knockd_reads_them),
		cmocka_unit_test(test_what_is_no_file_of_knockds),
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_a_program_gets_its_path),
		cmocka_unit_test(test_rules_that_accept),
		cmocka_unit_test(test_rules_that_are_taken_out),
		cmocka_unit_test(test_what_starts_knockd),
		cmocka_unit_test(test_whole_files),
		cmocka_unit_test(test_what_fwknopd_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
