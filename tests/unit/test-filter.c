#include "core/filter.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "core/probe.h"

#include "cmocka-all.h"

static struct probe tcp(uint8_t flags)
{
	return (struct probe){.protocol = IPPROTO_TCP, .tcp_flags = flags, .interface = "eth0"};
}

static void test_reads_flags(void **state)
{
	struct filter filter = {0};

	(void)state;
	assert_int_equal(filter_parse_flags("syn, !ack", &filter), 0);
	assert_int_equal(filter.flags_set, TCP_FLAG_SYN);
	assert_int_equal(filter.flags_clear, TCP_FLAG_ACK);
	assert_int_equal(filter_parse_flags("FIN psh\t,URG,!Rst", &filter), 0);
	assert_int_equal(filter.flags_set, TCP_FLAG_FIN | TCP_FLAG_PSH | TCP_FLAG_URG);
	assert_int_equal(filter.flags_clear, TCP_FLAG_RST);
	assert_int_equal(filter_parse_flags("!ece !cwr", &filter), 0);
	assert_int_equal(filter.flags_set, 0);
	assert_int_equal(filter.flags_clear, TCP_FLAG_ECE | TCP_FLAG_CWR);
}

static void test_refuses_wrong_flags(void **state)
{
	static const char *const cases[] = {
		"",	 " , ",	  "sin", "syn,syn", "syn !syn", "!syn syn",
		"!!syn", "! syn", "s",	 "synack",  "syn,,x",
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct filter filter = {.flags_set = 42};

		assert_int_equal(filter_parse_flags(cases[i], &filter), -EINVAL);
		assert_int_equal(filter.flags_set, 42);
	}
}

static void test_default_takes_the_first_syn(void **state)
{
	struct probe syn = tcp(TCP_FLAG_SYN), syn_ack = tcp(TCP_FLAG_SYN | TCP_FLAG_ACK);
	struct probe ack = tcp(TCP_FLAG_ACK), null = tcp(0), ecn = tcp(0xc2);
	struct probe udp = {.protocol = IPPROTO_UDP};

	(void)state;
	assert_true(filter_passes(&filter_default, &syn));
	assert_true(filter_passes(&filter_default, &ecn));
	assert_true(filter_passes(&filter_default, &udp));
	assert_false(filter_passes(&filter_default, &syn_ack));
	assert_false(filter_passes(&filter_default, &ack));
	assert_false(filter_passes(&filter_default, &null));
}

static void test_wanted_and_unwanted_flags(void **state)
{
	static const struct {
		uint8_t flags;
		bool passes;
	} cases[] = {
		{TCP_FLAG_FIN | TCP_FLAG_PSH, true},
		{TCP_FLAG_FIN | TCP_FLAG_PSH | TCP_FLAG_URG, true},
		{TCP_FLAG_FIN, false},
		{TCP_FLAG_PSH, false},
		{TCP_FLAG_FIN | TCP_FLAG_PSH | TCP_FLAG_SYN, false},
		{0, false},
	};
	struct filter filter = filter_default;

	(void)state;
	assert_int_equal(filter_parse_flags("fin, psh, !syn, !ack", &filter), 0);
	assert_false(filter_equal(&filter, &filter_default));
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct probe probe = tcp(cases[i].flags);

		assert_int_equal(filter_passes(&filter, &probe), cases[i].passes);
	}
}

/* One log's probes are never another's. */
static void test_other_log(void **state)
{
	struct filter kernels = filter_default, edges = filter_default;
	struct probe probe = tcp(TCP_FLAG_SYN);

	(void)state;
	edges.log = 1;
	assert_false(filter_equal(&kernels, &edges));
	assert_true(filter_passes(&kernels, &probe));
	assert_false(filter_passes(&edges, &probe));
	probe.log = 1;
	assert_false(filter_passes(&kernels, &probe));
	assert_true(filter_passes(&edges, &probe));
	probe.log = 2;
	assert_false(filter_passes(&edges, &probe));
}

static void test_interface_and_target(void **state)
{
	struct filter filter = filter_default, other;
	struct probe probe = tcp(TCP_FLAG_SYN);

	(void)state;
	assert_int_equal(address_parse("192.0.2.1", &probe.target), 0);
	strcpy(filter.interface, "eth0");
	assert_true(filter_passes(&filter, &probe));
	strcpy(filter.interface, "eth1");
	assert_false(filter_passes(&filter, &probe));
	strcpy(filter.interface, "eth");
	assert_false(filter_passes(&filter, &probe));
	strcpy(filter.interface, "eth+");
	assert_true(filter_passes(&filter, &probe));
	strcpy(filter.interface, "eth0+");
	assert_true(filter_passes(&filter, &probe));
	strcpy(filter.interface, "+");
	assert_true(filter_passes(&filter, &probe));
	strcpy(filter.interface, "eth00+");
	assert_false(filter_passes(&filter, &probe));
	strcpy(filter.interface, "eth1+");
	assert_false(filter_passes(&filter, &probe));
	strcpy(filter.interface, "eth*");
	assert_false(filter_passes(&filter, &probe));

	filter = filter_default;
	filter.has_target = true;
	assert_int_equal(address_parse("192.0.2.1", &filter.target), 0);
	assert_true(filter_passes(&filter, &probe));
	assert_int_equal(address_parse("192.0.2.2", &filter.target), 0);
	assert_false(filter_passes(&filter, &probe));

	other = filter;
	assert_true(filter_equal(&filter, &other));
	other.target.bytes[15]++;
	assert_false(filter_equal(&filter, &other));
	assert_false(filter_equal(&filter, &filter_default));
	/* Where no target is asked for, none makes a difference. */
	filter.has_target = other.has_target = false;
	assert_true(filter_equal(&filter, &other));
}

/* Both kinds, each by itself. */
static void test_other_flags(void **state)
{
	static const char *const cases[] = {"syn", "syn, !ack, !rst", "syn, psh, !ack"};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct filter filter = filter_default;

		assert_int_equal(filter_parse_flags(cases[i], &filter), 0);
		assert_false(filter_equal(&filter, &filter_default));
		assert_int_equal(filter_parse_flags("!ack, syn", &filter), 0);
		assert_true(filter_equal(&filter, &filter_default));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads_flags),
		cmocka_unit_test(test_refuses_wrong_flags),
		cmocka_unit_test(test_default_takes_the_first_syn),
		cmocka_unit_test(test_wanted_and_unwanted_flags),
		cmocka_unit_test(test_other_log),
		cmocka_unit_test(test_interface_and_target),
		cmocka_unit_test(test_other_flags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
