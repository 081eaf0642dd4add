#include "fleet/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmocka-all.h"
#include "fleet/key.h"
#include "shortage.h"
#include "support.h"

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
#define LONG                                                                                        \
	"/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" \
	"/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" \
	"/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
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
		{FLEET "[broker]\nhost = 127.0.0.1\nport = 65536\n" DOORS, "7: port is '65536'"},
		{FLEET "[broker]\nhost = 127.0.0.1\nport = mqtt\n" DOORS, "7: port is 'mqtt'"},
		{FLEET "[broker]\nhost = 127.0.0.1\nport = 1\nport = 2\n" DOORS,
		 "8: port stood before"},
		{FLEET "port = 1\n[broker]\nhost = 127.0.0.1\n" DOORS,
		 "5: there is no key port in [fleet]"},
		{FLEET "[broker]\nhost =\n" DOORS, "6: host is ''"},
		{FLEET "[broker]\nsocket = " LONG "\n" DOORS, "6: socket is '/xxx"},
		{FLEET "[broker]\nsocket = /x\nport = 1\n" DOORS, "has neither port nor ca"},
		{FLEET "[broker]\nsocket = /x\nca = /x\n" DOORS, "has neither port nor ca"},
		{FLEET "[broker]\nhost = 127.0.0.1\ncertificate = /x\nprivate_key = /x\n" DOORS,
		 "of use with a ca only"},
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
		{FLEET "[broker]\nhost = 127.0.0.1\n[doors]\nssh = a\nssh = b\n",
		 "9: the door ssh"},
		{FLEET "[broker]\nhost = 127.0.0.1\n[doors]\ns/h = a\n", "8: expected DOOR"},
		{"[fleet]\nname = prod\nkey = /k\n", "0: [fleet] needs"},
		{"[fleet]\nname = prod\nhost = a\n", "0: [fleet] needs"},
		{FLEET FLEET, "5: [fleet] stood before"},
		{"[fleet]\n= prod\n", "2: expected KEY = VALUE"},
		/* In a section that there is not, keys are not complained about as well. */
		{"[flet]\nname = prod\n",
		 "1: there is no section [flet]: expected fleet, broker or "
		 "doors\n"},
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

/* Lines that are too long, or are none; and that are as long as may be. */
static void test_lines(void **state)
{
	static const char right[] = FLEET "[broker]\n; ours\nsocket\t=\t/x\n" DOORS "#";
	char text[4000];
	struct fleet_config *config = NULL;
	size_t length = strlen(right);

	(void)state;
	memset(text, 'x', sizeof text);
	memcpy(text, right, length);
	complaints[0] = '\0';
	assert_int_equal(fleet_config_parse(text, length + 999, on_complaint, NULL, &config), 0);
	assert_string_equal(config->socket, "/x");
	assert_int_equal(fleet_config_line(config, "not of it"), 0);
	config = fleet_config_free(config);
	assert_int_equal(fleet_config_parse(text, length + 1000, on_complaint, NULL, &config),
			 -EBADMSG);
	assert_string_equal(complaints, "11: a line of more than 1000 bytes, or a zero byte\n");
	text[length + 5] = '\0';
	complaints[0] = '\0';
	assert_int_equal(fleet_config_parse(text, length + 9, on_complaint, NULL, &config),
			 -EBADMSG);
	assert_string_equal(complaints, "11: a line of more than 1000 bytes, or a zero byte\n");
}

static void test_how_many_doors(void **state)
{
	static char text[65536] = FLEET "[broker]\nsocket = /x\n[doors]\n";
	struct fleet_config *config = NULL;

	(void)state;
	for (int i = 0; i < FLEET_SHARES_MAX; i++)
		sprintf(text + strlen(text), "door%d = name%d\n", i, i);
	assert_int_equal(parse(text, &config), 0);
	assert_int_equal(config->n_shares, FLEET_SHARES_MAX);
	assert_string_equal(fleet_config_door(config, "name1023"), "door1023");
	config = fleet_config_free(config);
	strcat(text, "more = more\n");
	assert_int_equal(parse(text, &config), -EBADMSG);
	assert_string_equal(complaints, "1032: more than 1024 doors\n");
}

/* Memory: each time one more allocation succeeds before one fails. */

/* Of what could not be read nothing is said to be wrong. */
static void test_no_memory(void **state)
{
	struct fleet_config *config = NULL;

	(void)state;
	for (size_t n = 0; n < 3; n++) {
		shortage_left = n;
		assert_int_equal(parse(FLEET "[broker]\nsocket = /x\n" DOORS, &config), -ENOMEM);
		assert_string_equal(complaints, "");
		assert_null(config);
	}
	shortage_left = 3;
	assert_int_equal(parse(FLEET "[broker]\nsocket = /x\n" DOORS, &config), 0);
	shortage_left = SIZE_MAX;
	fleet_config_free(config);
}

/* The fleet's key: what is in the file, whose mode is this. */
static void test_keys(void **state)
{
	static const struct {
		const char *text;
		mode_t mode;
		int result;
		const char *fault;
	} cases[] = {
		{"knocktail-fleet1 AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n", 0640, 0, NULL},
		{"knocktail-fleet1 AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", 0400, 0, NULL},
		{"knocktail-fleet1 AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n", 0644, -EPERM,
		 "others than its owner and its group may read it"},
		{"knocktail-fleet1 AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n", 0660, -EPERM,
		 "others than its owner may write it"},
		{"knocktail-fleet2 AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n", 0600, -EINVAL,
		 "it is not a fleet's key"},
		{"knocktail-fleet1 AQAA\n", 0600, -EINVAL, "it is not a fleet's key"},
		{"knocktail-fleet1 ", 0600, -EINVAL, "it is not a fleet's key"},
		{"", 0600, -EINVAL, "it is not a fleet's key"},
		{"knocktail-fleet1 AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\nand more", 0600,
		 -EINVAL, "it is not a fleet's key"},
	};
	char *directory = support_directory(), *path = support_path(directory, "key");
	const char *fault;
	struct secret key;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		support_write(path, cases[i].text, strlen(cases[i].text));
		assert_int_equal(chmod(path, cases[i].mode), 0);
		assert_int_equal(fleet_key_read(path, &key, &fault), cases[i].result);
		if (cases[i].result == 0)
			assert_int_equal(key.bytes[0], 1);
		else
			assert_non_null(strstr(fault, cases[i].fault));
		assert_int_equal(unlink(path), 0);
	}
	assert_int_equal(fleet_key_read(path, &key, &fault), -ENOENT);
	assert_string_equal(fault, "No such file or directory");
	assert_int_equal(fleet_key_read(directory, &key, &fault), -EINVAL);
	assert_non_null(strstr(fault, "it is not a fleet's key"));
	free(path);
	support_remove(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_right_one), cmocka_unit_test(test_wrong_ones),
		cmocka_unit_test(test_lines),	    cmocka_unit_test(test_how_many_doors),
		cmocka_unit_test(test_no_memory),   cmocka_unit_test(test_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
