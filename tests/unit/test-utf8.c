#include "util/text/utf8.h"

#include <string.h>

#include "cmocka-all.h"

static void test_decodes(void **state)
{
	static const struct {
		const char *text;
		size_t n;
		uint32_t code;
	} cases[] = {
		{"a", 1, 'a'},
		{"\x7f", 1, 0x7f},
		{"\xc2\x80", 2, 0x80},
		{"\xdf\xbf", 2, 0x7ff},
		{"\xe0\xa0\x80", 3, 0x800},
		{"\xed\x9f\xbf", 3, 0xd7ff},
		{"\xee\x80\x80", 3, 0xe000},
		{"\xef\xbf\xbf", 3, 0xffff},
		{"\xf0\x90\x80\x80", 4, 0x10000},
		{"\xf4\x8f\xbf\xbf", 4, 0x10ffff},
		{"\x80", 0, 0},	    /* begins none */
		{"\xc1\xbf", 0, 0}, /* longer than need be, as the next two */
		{"\xe0\x9f\xbf", 0, 0},
		{"\xf0\x8f\xbf\xbf", 0, 0},
		{"\xed\xa0\x80", 0, 0},	    /* a surrogate */
		{"\xf4\x90\x80\x80", 0, 0}, /* beyond Unicode, as the next */
		{"\xf5\x80\x80\x80", 0, 0},
		{"\xe2\x82", 0, 0}, /* cut short */
		{"\xe2\x82z", 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		uint32_t code = 0;

		assert_int_equal(utf8_decode(cases[i].text, strlen(cases[i].text), &code),
				 cases[i].n);
		assert_int_equal(code, cases[i].code);
	}
}

static void test_controls(void **state)
{
	(void)state;
	assert_true(utf8_is_control(0));
	assert_true(utf8_is_control(0x1f));
	assert_false(utf8_is_control(' '));
	assert_false(utf8_is_control('~'));
	assert_true(utf8_is_control(0x7f));
	assert_true(utf8_is_control(0x9f));
	assert_false(utf8_is_control(0xa0));
}

static void test_counts(void **state)
{
	(void)state;
	assert_int_equal(utf8_count(""), 0);
	assert_int_equal(utf8_count("gr\xc3\xbc\xc3\x9f"), 4);
	assert_int_equal(utf8_count("\xe2\x82\xac \xf0\x9f\x9a\xaa"), 3);
	assert_int_equal(utf8_count("a\x80\x80"), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decodes),
		cmocka_unit_test(test_controls),
		cmocka_unit_test(test_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
