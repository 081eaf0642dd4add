#include "keys/machine.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-id128.h>

#include "cmocka-all.h"

/* The same as systemd says: systemd-id128 machine-id --app-specific=... */
static void test_the_machines_own_realm(void **state)
{
	const sd_id128_t application =
		SD_ID128_MAKE(61, 6a, ea, 08, 47, 43, 44, d5, 90, c2, 5d, 45, 64, aa, 7c, cb);
	char expected[SD_ID128_STRING_MAX], realm[REALM_MAX + 1];
	sd_id128_t id;
	int r = sd_id128_get_machine_app_specific(application, &id);

	(void)state;
	if (r < 0) { /* so has this machine no ID */
		assert_true(machine_realm(realm) < 0);
		skip();
	}
	assert_int_equal(machine_realm(realm), 0);
	sd_id128_to_string(id, expected);
	expected[16] = '\0';
	assert_string_equal(realm, expected);
	assert_true(realm_is_name(realm));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_machines_own_realm),
	};

	return sodium_init() < 0 ? 99 : cmocka_run_group_tests(tests, NULL, NULL);
}
