/* Loads a configuration again and again, each time with one more allocation succeeding before one
 * fails: it must end in -ENOMEM, without a crash, and (under a sanitizer) without a leak. Linked
 * with -Wl,--wrap for each allocator below, and for what puts a value into iniparser's hands; what
 * libiniparser and libc allocate by themselves is not counted. */
#include "config/config.h"
#include "config/load.h"
#include "shortage.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <iniparser.h>

int __real_iniparser_set(dictionary *kept, const char *key, const char *value);
int __wrap_iniparser_set(dictionary *kept, const char *key, const char *value);

/* What iniparser does with a value. */
static enum { KEEPS, REFUSES, LOSES, UNESCAPES } way = KEEPS;

int __wrap_iniparser_set(dictionary *kept, const char *key, const char *value)
{
	char *copy, *to;
	int r = 0;

	if (way == KEEPS)
		return __real_iniparser_set(kept, key, value);
	if (way == REFUSES)
		return -1;
	if (way == LOSES)
		return 0;
	copy = to = malloc(strlen(value) + 1);
	assert_non_null(copy);
	for (; *value; value++)
		if (*value != '\\')
			*to++ = *value;
	*to = '\0';
	r = __real_iniparser_set(kept, key, copy);
	free(copy);
	return r;
}

/* How often it failed for want of memory before it came to an end of its own, which is returned. */
static int load_until_enough(const char *text, size_t *ret_failures)
{
	struct config *config = NULL;
	struct complaints complaints;
	int r;

	for (size_t enough = 0;; enough++) {
		shortage_left = enough;
		r = config_load_bytes(text, strlen(text), TEST_DATA_DIR "/config/proc-net", &config,
				      &complaints);
		shortage_left = SIZE_MAX;
		complaints_done(&complaints);
		if (r != -ENOMEM) {
			*ret_failures = enough;
			break;
		}
		assert_null(config);
	}
	config_free(config);
	return r;
}

static void test_good(void **state)
{
	static const char text[] = "[options]\nlog_prefix = 'a long prefix, over 29 characters'\n"
				   "[door a]\nsequence = 3001, 3001\nbackend = ipset\nset = a\n"
				   "set_6 = b\nallow = 192.0.2.0/24, 2001:db8::/32\n"
				   "[door b]\nsequence = 3001\nbackend = command\n"
				   "start_command = /bin/echo %IP% ;\nstop_command_6 = /bin/true\n"
				   "start_command_6 = /bin/echo '>' x | y\n"
				   "[door c]\none_time_sequences = /a\nbackend = iptables\n"
				   "ports = 22\nlog = E\n"
				   "[log e]\nmatch = A=1 B=2\npattern = x\n";
	size_t failures;

	(void)state;
	assert_int_equal(load_until_enough(text, &failures), 0);
	assert_true(failures > 50);
}

static void test_bad(void **state)
{
	static const char text[] = "x = 1\n[options]\nlog_prefix = ''\nfoo = 1\nmax_age = 1\"\n"
				   "[door a]\nsequence = 3001, 0\nbackend = ipset\nset = '-'\n"
				   "allow = 192.0.2.0/33\ntimeout = x\n[door a]\n[doors b]\n[\n]\n"
				   "[door b]\nsequence = 1\nbackend = command\nset = a\n"
				   "start_command = a\nstart_command_6 = /bin/a\nset = b\n";
	size_t failures;

	(void)state;
	assert_int_equal(load_until_enough(text, &failures), -EBADMSG);
	assert_true(failures > 50);
}

/* A version of iniparser that makes another value of one is found out, and so is one that has had
 * no memory for it (4.1 does not tell). */
static void test_iniparser(void **state)
{
	static const char text[] = "[options]\nlog_prefix = 'a\\b'\nmax_age = 5s\n[door a]\n"
				   "sequence = 3001, 3000\nbackend = ipset\nset = a\n";
	struct config *config = NULL;
	struct complaints complaints;

	(void)state;
	for (way = REFUSES; way <= LOSES; way++) {
		assert_int_equal(config_load_bytes(text, strlen(text), NULL, &config, &complaints),
				 -ENOMEM);
		complaints_done(&complaints);
	}
	assert_int_equal(config_load_bytes(text, strlen(text), NULL, &config, &complaints),
			 -EBADMSG);
	assert_int_equal(complaints.n_items, 1);
	assert_int_equal(complaints.items[0].line, 2);
	assert_non_null(strstr(complaints.items[0].text, "iniparser does not keep the value"));
	complaints_done(&complaints);
	way = KEEPS;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_iniparser),
	};

	return cmocka_run_group_tests_name("config-memory", tests, NULL, NULL);
}
