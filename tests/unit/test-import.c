#include "cli/import/door.h"

#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>

#include "cli/import/command.h"
#include "cli/import/knockd.h"
#include "cmocka-all.h"
#include "config/config.h"
#include "config/load.h"
#include "core/sequence.h"
#include "support.h"

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
		{"no-such-program x", "/bin/sh -c 'no-such-program x'", IMPORT_SHELL},
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
		"/sbin/iptables -A INPUT -s %IP% -p tcp --dport 22:25 -j ACCEPT",
		"/sbin/iptables -A INPUT -s %IP% -p tcp -j ACCEPT",
		"/sbin/iptables -A INPUT -s %IP% -p tcp --dport 22 -i eth0 -j ACCEPT",
		"/sbin/iptables -A INPUT -s %IP% -p tcp --dport",
	};
	struct step port;

	(void)state;
	assert_true(import_accepts(
		"iptables -w -I INPUT 1 -s %IP% -m udp -p udp --dport 53 -j ACCEPT", &port));
	assert_int_equal(port.port, 53);
	assert_int_equal(port.protocol, IPPROTO_UDP);
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		assert_false(import_accepts(others[i], &port));
	assert_true(import_undoes("iptables -A INPUT -j X", "iptables  -D INPUT -j X"));
	assert_false(import_undoes("iptables -A INPUT -j X", "iptables -A INPUT -j X"));
	assert_false(import_undoes("iptables -A INPUT -j X", "iptables -D INPUT -j Y"));
	assert_false(import_undoes("iptables -A INPUT -j X", "iptables -D INPUT -j X Y"));
}

static char *import(const char *path, struct import_result *ret)
{
	char *data, *text, *told;
	size_t length, size, told_size;
	struct knockd_file file;
	FILE *out = open_memstream(&text, &size), *words = open_memstream(&told, &told_size);

	data = support_read(path, &length);
	parse(data, &file);
	assert_int_equal(import_doors("knockd.conf", &file, out, words, ret), 0);
	fclose(out);
	fclose(words);
	/* No step is told: each of the files has one of these. */
	assert_null(strstr(told, "8000"));
	assert_null(strstr(told, "3428"));
	knockd_done(&file);
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

/* tests/import: NAME.knockd becomes NAME.conf, comments and all. */
static void test_whole_files(void **state)
{
	glob_t found;

	(void)state;
	assert_int_equal(glob(TEST_DATA_DIR "/import/*.knockd", 0, NULL, &found), 0);
	assert_true(found.gl_pathc >= 7);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		struct import_result result;
		char *text = import(found.gl_pathv[i], &result), *expected, path[4096];
		size_t length;

		snprintf(path, sizeof path, "%.*sconf",
			 (int)(strlen(found.gl_pathv[i]) - strlen("knockd")), found.gl_pathv[i]);
		if (getenv("WRITE_EXPECTED"))
			support_write(path, text, strlen(text));
		expected = support_read(path, &length);
		assert_string_equal(text, expected);
		if (result.n_doors > 0)
			assert_loads(text);
		free(expected);
		free(text);
	}
	globfree(&found);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines_as_knockd_reads_them),
		cmocka_unit_test(test_what_is_no_file_of_knockds),
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_a_program_gets_its_path),
		cmocka_unit_test(test_rules_that_accept),
		cmocka_unit_test(test_whole_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
