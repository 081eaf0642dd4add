#include "core/opening/forward.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cmocka-all.h"

static void test_what_they_are(void **state)
{
	static const struct {
		enum family family;
		const char *text, *canonical;
		uint16_t port;
	} cases[] = {
		{FAMILY_IPV4, "10.0.0.5", "10.0.0.5", 0},
		{FAMILY_IPV4, "10.0.0.5:443", "10.0.0.5:443", 443},
		{FAMILY_IPV4, "192.0.2.255:65535", "192.0.2.255:65535", 65535},
		{FAMILY_IPV6, "fd00::5", "fd00::5", 0},
		{FAMILY_IPV6, "[FD00:0::5]", "fd00::5", 0},
		{FAMILY_IPV6, "[fd00::5]:443", "[fd00::5]:443", 443},
		{FAMILY_IPV6, "2001:db8:1111:2222:3333:4444:5555:6666",
		 "2001:db8:1111:2222:3333:4444:5555:6666", 0},
		{FAMILY_IPV6, "[2001:db8:1111:2222:3333:4444:5555:6666]:65535",
		 "[2001:db8:1111:2222:3333:4444:5555:6666]:65535", 65535},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char text[FORWARD_TEXT_MAX];
		struct forward forward;

		assert_int_equal(forward_parse(cases[i].text, cases[i].family, &forward), 0);
		assert_true(forward.is_there);
		assert_int_equal(forward.port, cases[i].port);
		assert_string_equal(forward_format(&forward, text), cases[i].canonical);
	}
}

static void test_what_they_are_not(void **state)
{
	static const struct {
		enum family family;
		const char *text;
	} cases[] = {
		{FAMILY_IPV4, ""},
		{FAMILY_IPV4, ":443"},
		{FAMILY_IPV4, "inner"},
		{FAMILY_IPV4, "10.0.0.5:"},
		{FAMILY_IPV4, "10.0.0.5:0"},
		{FAMILY_IPV4, "10.0.0.5:65536"},
		{FAMILY_IPV4, "10.0.0.5:443/tcp"},
		{FAMILY_IPV4, "10.0.0.5:443 "},
		{FAMILY_IPV4, "10.0.0.5:443-444"},
		{FAMILY_IPV4, "[10.0.0.5]:443"},
		{FAMILY_IPV4, "10.0.0.0/24"},
		{FAMILY_IPV4, "127.0.0.2:22"},
		{FAMILY_IPV4, "0.0.0.0"},
		{FAMILY_IPV4, "224.0.0.1"},
		{FAMILY_IPV4, "255.255.255.255"},
		{FAMILY_IPV4, "fd00::5"},
		{FAMILY_IPV6, "10.0.0.5"},
		{FAMILY_IPV6, "::ffff:10.0.0.5"},
		{FAMILY_IPV6, "::1"},
		{FAMILY_IPV6, "::"},
		{FAMILY_IPV6, "[::1]:22"},
		{FAMILY_IPV6, "[fd00::5"},
		{FAMILY_IPV6, "[fd00::5]443"},
		{FAMILY_IPV6, "[fd00::5]:"},
		{FAMILY_IPV6, "[]:443"},
		{FAMILY_IPV6, "fe80::5"},
		{FAMILY_IPV6, "fe80::5%eth0"},
		{FAMILY_IPV6, "ff02::1"},
		{FAMILY_IPV6, "[2001:db8:1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa]:443"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct forward forward = {.port = 7};

		assert_int_equal(forward_parse(cases[i].text, cases[i].family, &forward), -EINVAL);
		assert_int_equal(forward.port, 7);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_they_are),
		cmocka_unit_test(test_what_they_are_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
