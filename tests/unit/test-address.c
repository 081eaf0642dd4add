#include "core/address.h"

#include <errno.h>
#include <string.h>

#include "cmocka-all.h"

static struct address parse(const char *text)
{
	struct address address;

	assert_int_equal(address_parse(text, &address), 0);
	return address;
}

static void test_round_trips(void **state)
{
	static const char *const cases[][2] = {
		{"0.0.0.0", "0.0.0.0"},
		{"203.0.113.9", "203.0.113.9"},
		{"255.255.255.255", "255.255.255.255"},
		{"::", "::"},
		{"::1", "::1"},
		{"2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1"},
		{"2001:DB8:0:1:0:0:0:1", "2001:db8:0:1::1"},
		{"fe80:0000:0000:0000:0242:acff:fe11:0002", "fe80::242:acff:fe11:2"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct address address = parse(cases[i][0]);
		char text[ADDRESS_TEXT_MAX];

		assert_string_equal(address_format(&address, text), cases[i][1]);
	}
}

static void test_refuses_what_is_no_address(void **state)
{
	static const char *const cases[] = {
		"",
		" ",
		"1.2.3",
		"1.2.3.4.5",
		"1.2.3.256",
		"1.2.3.4 ",
		" 1.2.3.4",
		"01.2.3.4",
		"1.2.3.4/32",
		"::1%eth0",
		"2001:db8::1::2",
		"localhost",
		"1",
		"::g",
		/* IPv4 in the clothes of IPv6 would meet the real one. */
		"::ffff:203.0.113.9",
		"::ffff:cb00:7109",
		"0:0:0:0:0:ffff:cb00:7109",
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct address address = {{42}};

		assert_int_equal(address_parse(cases[i], &address), -EINVAL);
		assert_int_equal(address.bytes[0], 42);
	}
}

static void test_families_and_equality(void **state)
{
	struct address four = parse("192.0.2.1"), six = parse("2001:db8::1");
	struct address compatible = parse("::192.0.2.1");

	(void)state;
	assert_int_equal(address_family(&four), FAMILY_IPV4);
	assert_int_equal(address_family(&six), FAMILY_IPV6);
	assert_int_equal(address_family(&compatible), FAMILY_IPV6);
	assert_true(address_equal(&four, &four));
	assert_false(address_equal(&four, &six));
	assert_false(address_equal(&four, &compatible));
}

static void test_which_a_host_can_have(void **state)
{
	static const char *const hosts[] = {
		"1.0.0.0",     "126.255.255.255", "128.0.0.1", "10.1.2.3", "223.255.255.255",
		"169.254.1.1", "2001:db8::",	  "fe80::1",   "::2",	   "fd00::1"};
	static const char *const others[] = {
		"0.0.0.0",	   "0.1.2.3", "127.0.0.1", "224.0.0.1", "240.0.0.1",
		"255.255.255.255", "::",      "::1",	   "ff02::1",	"ff0e::1"};
	struct address address;

	(void)state;
	for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
		assert_int_equal(address_parse(hosts[i], &address), 0);
		assert_true(address_is_host(&address));
	}
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		assert_int_equal(address_parse(others[i], &address), 0);
		assert_false(address_is_host(&address));
	}
}

static void test_masks(void **state)
{
	static const struct {
		unsigned prefix;
		const char *masked;
	} cases[] = {
		{128, "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"},
		{127, "2001:db8:ffff:ffff:ffff:ffff:ffff:fffe"},
		{64, "2001:db8:ffff:ffff::"},
		{57, "2001:db8:ffff:ff80::"},
		{56, "2001:db8:ffff:ff00::"},
		{33, "2001:db8:8000::"},
		{1, "::"},
		{0, "::"},
	};
	struct address address = parse("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff");

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct address masked = address_masked(&address, cases[i].prefix);
		char text[ADDRESS_TEXT_MAX];

		assert_string_equal(address_format(&masked, text), cases[i].masked);
	}
}

static void test_sources(void **state)
{
	struct address address, source, expected;

	(void)state;
	assert_int_equal(address_parse("198.51.100.7", &address), 0);
	source = address_source(&address, 64);
	assert_true(address_equal(&source, &address));
	assert_int_equal(address_parse("2001:db8:1:2:3:4:5:6", &address), 0);
	assert_int_equal(address_parse("2001:db8:1:2::", &expected), 0);
	source = address_source(&address, 64);
	assert_true(address_equal(&source, &expected));
	source = address_source(&address, 128);
	assert_true(address_equal(&source, &address));
}

static void test_networks(void **state)
{
	static const struct {
		const char *network, *address;
		bool inside;
	} cases[] = {
		{"198.51.100.0/24", "198.51.100.0", true},
		{"198.51.100.0/24", "198.51.100.255", true},
		{"198.51.100.0/24", "198.51.101.0", false},
		{"198.51.100.7", "198.51.100.7", true},
		{"198.51.100.7", "198.51.100.8", false},
		{"198.51.100.8/31", "198.51.100.9", true},
		{"198.51.100.8/31", "198.51.100.10", false},
		{"0.0.0.0/0", "203.0.113.9", true},
		{"0.0.0.0/0", "2001:db8::1", false},
		{"::/0", "2001:db8::1", true},
		{"::/0", "203.0.113.9", false},
		{"2001:db8::/32", "2001:db8:ffff::1", true},
		{"2001:db8::/32", "2001:db9::1", false},
		{"2001:db8::1", "2001:db8::1", true},
		{"2001:db8::1/128", "2001:db8::2", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct address address = parse(cases[i].address);
		struct network network;

		assert_int_equal(network_parse(cases[i].network, &network), 0);
		assert_int_equal(network_contains(&network, &address), cases[i].inside);
	}
}

static void test_refuses_what_is_no_network(void **state)
{
	static const struct {
		const char *text;
		int error;
	} cases[] = {
		{"198.51.100.1/24", -EDOM},
		{"2001:db8::1/64", -EDOM},
		{"1.2.3.4/33", -EINVAL},
		{"::/129", -EINVAL},
		{"1.2.3.4/", -EINVAL},
		{"1.2.3.4/-1", -EINVAL},
		{"1.2.3.4/0x8", -EINVAL},
		{"/24", -EINVAL},
		{"", -EINVAL},
		{"1.2.3.4/8/8", -EINVAL},
		{"1.2.3.4/0032", -EINVAL},
		{"::ffff:1.2.3.4/128", -EINVAL},
		{"2001:0db8:0000:0000:0000:0000:0000:0001:0000:0000:0000/64", -EINVAL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct network network;

		assert_int_equal(network_parse(cases[i].text, &network), cases[i].error);
	}
}

static void test_networks_of_addresses(void **state)
{
	static const struct {
		const char *address;
		unsigned prefix;
		const char *network;
		bool is_host;
	} cases[] = {
		{"198.51.100.7", 24, "198.51.100.0/24", false},
		{"198.51.100.7", 32, "198.51.100.7", true},
		{"198.51.100.7", 31, "198.51.100.6/31", false},
		{"198.51.100.7", 8, "198.0.0.0/8", false},
		{"2001:db8:1:2ff::7", 56, "2001:db8:1:200::/56", false},
		{"2001:db8::7", 128, "2001:db8::7", true},
		{"2001:db8::7", 127, "2001:db8::6/127", false},
		{"2001:db8::7", 19, "2001::/19", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char text[NETWORK_TEXT_MAX];
		struct network network, again;
		struct address address;

		assert_int_equal(address_parse(cases[i].address, &address), 0);
		network = network_of(&address, cases[i].prefix);
		assert_string_equal(network_format(&network, text), cases[i].network);
		assert_int_equal(network_is_host(&network), cases[i].is_host);
		assert_int_equal(network_length(&network), cases[i].prefix);
		assert_true(network_contains(&network, &address));
		assert_int_equal(network_parse(text, &again), 0);
		assert_memory_equal(&again, &network, sizeof network);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trips),
		cmocka_unit_test(test_refuses_what_is_no_address),
		cmocka_unit_test(test_families_and_equality),
		cmocka_unit_test(test_which_a_host_can_have),
		cmocka_unit_test(test_masks),
		cmocka_unit_test(test_sources),
		cmocka_unit_test(test_networks),
		cmocka_unit_test(test_networks_of_addresses),
		cmocka_unit_test(test_refuses_what_is_no_network),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
