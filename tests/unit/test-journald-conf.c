/* journald's settings as journald.conf(5) has them. */
#include "input/journald-conf.h"

#include <stdio.h>
#include <string.h>

#include "cmocka-all.h"

static struct journald_conf conf_of(const char *settings)
{
	struct journald_conf conf;
	char text[512];

	snprintf(text, sizeof text, "# /etc/systemd/journald.conf\n[Journal]\n%s\n", settings);
	journald_conf_read(text, &conf);
	return conf;
}

static void test_what_it_is_without_a_setting(void **state)
{
	static const char *const texts[] = {
		"", "#Storage=none", "; ReadKMsg=no", "Storage", "ReadKMsg=", "MaxLevelStore=", "=",
	};

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		struct journald_conf conf = conf_of(texts[i]);

		if (!conf.stores || !conf.reads_kernel || conf.is_volatile ||
		    conf.max_level != JOURNALD_LEVEL_MAX || conf.system_max || conf.runtime_max)
			fail_msg("%s", texts[i]);
	}
}

static void test_what_is_before_the_text(void **state)
{
	char text[] = "  =\n";
	struct journald_conf conf;

	(void)state;
	journald_conf_read(text + 1, &conf);
	assert_int_equal(text[0], ' ');
}

static void test_where_it_stores(void **state)
{
	(void)state;
	assert_false(conf_of("Storage=none").stores);
	assert_true(conf_of("Storage=none\n  Storage = volatile \t\r").stores);
	assert_true(conf_of("Storage=volatile").is_volatile);
	assert_false(conf_of("Storage=volatile\nStorage=auto").is_volatile);
}

static void test_whether_it_reads_the_kernel(void **state)
{
	static const char *const noes[] = {"0", "no", "n", "false", "f", "off", "No"},
				 *const yeses[] = {"1", "yes", "y", "true", "t", "on", "YES"};
	char text[32];

	(void)state;
	for (size_t i = 0; i < sizeof noes / sizeof noes[0]; i++) {
		snprintf(text, sizeof text, "ReadKMsg=%s", noes[i]);
		assert_false(conf_of(text).reads_kernel);
		snprintf(text, sizeof text, "ReadKMsg=no\nReadKMsg=%s", yeses[i]);
		assert_true(conf_of(text).reads_kernel);
	}
	/* That it has no value is no answer. */
	assert_false(conf_of("ReadKMsg=no\nReadKMsg=\r").reads_kernel);
}

static void test_what_it_stores(void **state)
{
	static const char *const names[] = {"emerg",   "alert",	 "crit", "err",
					    "warning", "notice", "info", "debug"};
	char text[32];

	(void)state;
	for (unsigned i = 0; i <= JOURNALD_LEVEL_MAX; i++) {
		snprintf(text, sizeof text, "MaxLevelStore=%s", names[i]);
		assert_int_equal(conf_of(text).max_level, i);
		snprintf(text, sizeof text, "MaxLevelStore=%u", i);
		assert_int_equal(conf_of(text).max_level, i);
	}
	assert_int_equal(conf_of("MaxLevelStore=33").max_level, JOURNALD_LEVEL_MAX);
	assert_int_equal(conf_of("MaxLevelStore=loud").max_level, JOURNALD_LEVEL_MAX);
	assert_int_equal(conf_of("MaxLevelSyslog=err").max_level, JOURNALD_LEVEL_MAX);
}

static void test_how_much_it_keeps(void **state)
{
	static const struct {
		const char *text;
		uint64_t size;
	} cases[] = {
		{"1000000", 1000000},
		{"64K", 65536},
		{"1M", 1048576},
		{"4G", UINT64_C(4294967296)},
		{"1T", UINT64_C(1099511627776)},
		{"1P", UINT64_C(1125899906842624)},
		{"1E", UINT64_C(1152921504606846976)},
		{"1.5G", 1610612736},
		{"0.5M", 524288},
		{"8E", UINT64_MAX},
		{"99999999999E", UINT64_MAX},
		{"1.0000000000000000000000000G", UINT64_C(1073741824)},
		{"", 0},
		{"lots", 0},
		{"1x", 0},
		{"K", 0},
		{"-1", 0},
	};
	char text[64];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		snprintf(text, sizeof text, "SystemMaxUse=%s\nRuntimeMaxUse=7M", cases[i].text);
		if (conf_of(text).system_max != cases[i].size)
			fail_msg("%s: %llu", cases[i].text,
				 (unsigned long long)conf_of(text).system_max);
		snprintf(text, sizeof text, "RuntimeMaxUse = %s ", cases[i].text);
		assert_true(conf_of(text).runtime_max == cases[i].size);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_it_is_without_a_setting),
		cmocka_unit_test(test_what_is_before_the_text),
		cmocka_unit_test(test_where_it_stores),
		cmocka_unit_test(test_whether_it_reads_the_kernel),
		cmocka_unit_test(test_what_it_stores),
		cmocka_unit_test(test_how_much_it_keeps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
