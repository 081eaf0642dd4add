#include "fleet/config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cmocka-all.h"

static char complaints[2000];

static void on_complaint(void *userdata, unsigned line, const char *text)
{
	size_t length = strlen(complaints);

	(void)userdata;
	snprintf(complaints + length, sizeof complaints - length, "%u: %s\n", line, text);
}

static int parse(const char *text, struct fleet_config **ret)
{
	complaints[0] = '\0';
	return fleet_config_parse(text, strlen(text), on_complaint, NULL, ret);
}

#define FLEET "[fleet]\nname = prod\nhost = web1\nkey = /etc/knocktail/fleet.key\n"
#define DOORS "[doors]\nssh = ssh\nweb = www\n"

static void test_a_right_one(void **state)
{
	struct fleet_config *config;

	(void)state;
	assert_int_equal(
		parse("# a fleet\n" FLEET "\n[broker]\nhost = mq.example.net\nport = 8883\n"
		      "ca = /etc/ssl/mq.pem\n  user=knock \r\npassword_file = /etc/p\n" DOORS,
		      &config),
		0);
	assert_string_equal(complaints, "");
	assert_string_equal(config->name, "prod");
	assert_string_equal(config->broker, "mq.example.net");
	assert_string_equal(config->user, "knock");
	assert_int_equal(config->port, 8883);
	assert_int_equal(fleet_config_line(config, config->key), 5);
	assert_int_equal(fleet_config_line(config, config->password_file), 12);
	assert_int_equal(fleet_config_line(config, config->socket), 0);
	assert_int_equal(config->shares[1].line, 15);
	assert_string_equal(fleet_config_name(config, "web"), "www");
	assert_string_equal(fleet_config_door(config, "www"), "web");
	assert_null(fleet_config_name(config, "www"));
	assert_false(fleet_config_is_local(config));
	fleet_config_free(config);
	assert_int_equal(parse(FLEET "[broker]\nsocket = /run/mq\n" DOORS, &config), 0);
	assert_true(fleet_config_is_local(config));
	fleet_config_free(config);
	assert_int_equal(parse(FLEET "[broker]\nhost = ::1\n" DOORS, &config), 0);
	fleet_config_free(config);
}

static void test_wrong_ones(void **state)
{
	static const struct {
		const char *text, *complaint;
	} cases[] = {
		{"", "0: [fleet] needs name, host and key\n"},
		{FLEET "[broker]\nhost = 192.0.2.1\n" DOORS, "0: [broker]: 192.0.2.1 needs TLS"},
		{FLEET "[broker]\nhost = localhost\n" DOORS, "0: [broker]: localhost needs TLS"},
		{FLEET "[broker]\nhost = 127.0.0.1\nsocket = /x\n" DOORS, "needs either"},
		{FLEET "[broker]\nhost = 127.0.0.1\nport = 0\n" DOORS, "7: port is '0'"},
		{FLEET "[broker]\nhost = 127.0.0.1\nhost = ::1\n" DOORS, "7: host stood before"},
		{FLEET "[broker]\nhost = 127.0.0.1\nhast = 1\n" DOORS, "7: there is no key hast"},
		{FLEET "[broker]\nhost = 127.0.0.1 # here\n" DOORS,
		 "6: host is '127.0.0.1 # here'"},
		{FLEET "[broker]\nhost = mq.example.net:8883\n" DOORS,
		 "6: host is 'mq.example.net:8883'"},
		{FLEET "[broker]\nhost = 127.0.0.1\n", "0: [doors] shares none"},
		{FLEET "[broker]\nhost = 127.0.0.1\n[doors]\nssh = a\nweb = a\n",
		 "9: the door web"},
		{FLEET "[broker]\nhost = 127.0.0.1\n[doors]\nssh = A\n", "8: expected DOOR = NAME"},
		{FLEET "[broker]\nhost = 127.0.0.1\ncertificate = /x\n" DOORS, "need each other"},
		{FLEET "[broker]\nhost = 127.0.0.1\npassword_file = /x\n" DOORS, "needs user"},
		{"name = prod\n" FLEET, "1: a key before the first section\n"},
		{"[flet]\nname = prod\n", "1: there is no section [flet]"},
		{"[fleet\n", "1: expected [SECTION]\n"},
		{"[fleet]\nname prod\n", "2: expected KEY = VALUE"},
		{"[fleet]\nname = pr\001od\n", "2: a control character\n"},
		{"[fleet]\nname = a/b\n", "2: name is 'a/b'"},
		{"[fleet]\nhost = a+\n", "2: host is 'a+'"},
		{"[fleet]\nkey = fleet.key\n", "2: key is 'fleet.key'"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct fleet_config *config = NULL;

		assert_int_equal(parse(cases[i].text, &config), -EBADMSG);
		assert_null(config);
		if (!strstr(complaints, cases[i].complaint))
			fail_msg("case %zu: %s", i, complaints);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_right_one),
		cmocka_unit_test(test_wrong_ones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
