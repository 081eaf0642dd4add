/* What is shown to people and to programs: times, spans, JSON of any bytes. */
#include <string.h>

#include "cmocka-all.h"

#include "cli/common/json.h"
#include "cli/common/output.h"

static void test_spans(void **state)
{
	static const struct {
		uint64_t us;
		const char *text;
	} cases[] = {
		{0, "0s"},
		{499999, "0s"},
		{999999, "1s"},
		{59499999, "59s"},
		{60000000, "1min"},
		{61000000, "1min 1s"},
		{3600000000, "1h"},
		{3661000000, "1h 1min"},
		{86399000000, "23h 59min"},
		{90061000000, "1d 1h"},
		{UINT64_C(86400000000) * 400, "400d"},
	};
	char text[TIME_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_string_equal(output_span(cases[i].us, text), cases[i].text);
}

static void test_times(void **state)
{
	char text[TIME_TEXT_MAX];

	(void)state;
	assert_string_equal(output_time_iso(UINT64_C(1795384800000042), text),
			    "2026-11-22T22:00:00.000042Z");
	assert_string_equal(output_time(0, text), "-");
	assert_int_equal(strlen(output_time(UINT64_C(1795384800000042), text)), 19);
	/* Far beyond what a year can be. */
	assert_non_null(output_time_iso(UINT64_MAX, text));
}

static void check_text(const char *given, const char *expected)
{
	struct json_object *object = json_object_new_object(), *value;

	json_put_text(object, "text", given);
	assert_true(json_object_object_get_ex(object, "text", &value));
	assert_string_equal(json_object_get_string(value), expected);
	json_object_put(object);
}

/* RFC 8259, 8.1: JSON is UTF-8, and a journal need not be. */
static void test_text_of_any_bytes(void **state)
{
	(void)state;
	check_text("plain", "plain");
	check_text("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x9a\xaa",
		   "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x9a\xaa");
	check_text("\xff\xfe", "??");
	check_text("a\xc3", "a?");
	check_text("\xc0\xaf", "??");
	check_text("\xed\xa0\x80", "???");
	check_text("\xf4\x90\x80\x80", "????");
	check_text("\xe2\x82", "??");
}

static void test_what_is_missing(void **state)
{
	struct json_object *object = json_object_new_object(), *value = object;

	(void)state;
	json_put_text(object, "text", NULL);
	json_put_time(object, "time", 0);
	assert_true(json_object_object_get_ex(object, "text", &value));
	assert_null(value);
	assert_true(json_object_object_get_ex(object, "time", &value));
	assert_null(value);
	json_object_put(object);
	json_put_number(NULL, "nowhere", 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spans),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_text_of_any_bytes),
		cmocka_unit_test(test_what_is_missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
