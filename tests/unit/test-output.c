/* What is shown to people and to programs: JSON of any bytes. */
#include <string.h>

#include "cmocka-all.h"

#include "cli/common/json.h"
#include "cli/common/output.h"

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
		cmocka_unit_test(test_text_of_any_bytes),
		cmocka_unit_test(test_what_is_missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
