#include "core/sequence.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "cmocka-all.h"

static void test_steps(void **state)
{
	static const struct {
		const char *text;
		uint16_t port;
		uint8_t protocol;
	} cases[] = {
		{"7000", 7000, IPPROTO_TCP},	   {"7000/tcp", 7000, IPPROTO_TCP},
		{"8000/udp", 8000, IPPROTO_UDP},   {"8000:udp", 8000, IPPROTO_UDP},
		{"8000:TCP", 8000, IPPROTO_TCP},   {"1", 1, IPPROTO_TCP},
		{"65535/Udp", 65535, IPPROTO_UDP}, {"007", 7, IPPROTO_TCP},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct step step;

		assert_int_equal(step_parse(cases[i].text, &step), 0);
		assert_int_equal(step.port, cases[i].port);
		assert_int_equal(step.protocol, cases[i].protocol);
	}
}

static void test_refuses_what_is_no_step(void **state)
{
	static const char *const cases[] = {
		"",	     "0",	  "0/tcp",     "65536", "70000",  "99999999999999999999",
		"-1",	     "+1",	  "x",	       "7000x", "7000/",  "7000/tc",
		"7000/tcpx", "7000/icmp", "7000//tcp", "/tcp",	"7000.5", "0x10",
		"7000 ",     " 7000",
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct step step;

		assert_int_equal(step_parse(cases[i], &step), -EINVAL);
	}
}

static void test_sequences(void **state)
{
	struct sequence a, b;
	size_t step;

	(void)state;
	assert_int_equal(sequence_parse("7000, 8000/udp, 9000", &a, &step), 0);
	assert_int_equal(a.n_steps, 3);
	assert_int_equal(a.steps[1].port, 8000);
	assert_int_equal(a.steps[1].protocol, IPPROTO_UDP);
	assert_int_equal(sequence_parse("7000,8000:udp\t9000/tcp,", &b, &step), 0);
	assert_true(sequence_equal(&a, &b));
	assert_int_equal(sequence_parse("7000,8000,9000", &b, &step), 0);
	assert_false(sequence_equal(&a, &b));
	assert_int_equal(sequence_parse("7000,8000/udp", &b, &step), 0);
	assert_false(sequence_equal(&a, &b));
}

static void test_names_the_wrong_step(void **state)
{
	struct sequence sequence;
	size_t step = 99;

	(void)state;
	assert_int_equal(sequence_parse("7000, 8000/sctp, 9000", &sequence, &step), -EINVAL);
	assert_int_equal(step, 2);
	assert_int_equal(sequence_parse(" , ", &sequence, &step), -EINVAL);
	assert_int_equal(step, 0);
}

static void test_bounds_the_steps(void **state)
{
	char text[64 * 3] = "";
	struct sequence sequence;
	size_t step;

	(void)state;
	for (int i = 0; i < SEQUENCE_STEPS_MAX; i++)
		strcat(text, "77 ");
	assert_int_equal(sequence_parse(text, &sequence, &step), 0);
	assert_int_equal(sequence.n_steps, SEQUENCE_STEPS_MAX);
	strcat(text, "77 ");
	assert_int_equal(sequence_parse(text, &sequence, &step), -E2BIG);
}

static void test_tells_ascending_ones(void **state)
{
	static const struct {
		const char *text;
		bool ascends;
	} cases[] = {
		{"7000 8000 9000", true}, {"7000/udp 8000", false}, {"7000", true},
		{"9000 8000", false},	  {"7000 7000", false},	    {"7000 9000 8000", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct sequence sequence;
		size_t step;

		assert_int_equal(sequence_parse(cases[i].text, &sequence, &step), 0);
		assert_int_equal(sequence_ascends(&sequence), cases[i].ascends);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_steps),
		cmocka_unit_test(test_refuses_what_is_no_step),
		cmocka_unit_test(test_sequences),
		cmocka_unit_test(test_names_the_wrong_step),
		cmocka_unit_test(test_bounds_the_steps),
		cmocka_unit_test(test_tells_ascending_ones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
