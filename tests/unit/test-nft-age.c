#include "cli/rules/nft-age.h"

#include <stdlib.h>

#include "cmocka-all.h"

#define MS UINT64_C(1000)

static void test_elements_grow_older(void **state)
{
	static const struct {
		const char *before, *after;
		uint64_t ms;
	} cases[] = {
		{"table inet t {\n}\n", "table inet t {\n}\n", 5},
		{"elements = { 22, 23 }\n\tx { 1, 2 }", "elements = { 22, 23 }\n\tx { 1, 2 }", 99},
		{"elements = { a timeout 3s expires 2s984ms }", "", 2984},
		{"elements = { a timeout 3s expires 2s984ms }",
		 "elements = { a timeout 3s expires 0s1ms }", 2983},
		{"elements = { a expires 1m59s,\n\t b expires 10s984ms comment \"x\",\n\tc }",
		 "elements = { a expires 60s0ms,\n\tc }", 59000},
		{"elements = { a expires 1d2h3m4s5ms, b }\n",
		 "elements = { a expires 93784s4ms, b }\n", 1},
		{"elements = { a comment \"b, } expires 1s\" }",
		 "elements = { a comment \"b, } expires 1s\" }", 9999},
		{"elements = { a limit rate 3/minute burst 5 packets expires 1s, 2 : drop }",
		 "elements = {  2 : drop }", 2000},
		{"comment \"elements = { a expires 1s }\"",
		 "comment \"elements = { a expires 1s }\"", 2000},
		{"elements = { a expires 1s", "", 2000},
		{"elements = { ", "elements = { }", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char *after = nft_age(cases[i].before, cases[i].ms * MS);

		assert_string_equal(after, cases[i].after);
		free(after);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_elements_grow_older)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
