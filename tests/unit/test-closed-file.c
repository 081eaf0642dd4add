#include "fleet/agent/closed-file.h"

#include <stdlib.h>
#include <string.h>

#include "cmocka-all.h"
#include "fleet/ledger.h"
#include "support.h"
#include "util/clock.h"

#define NOW (UINT64_C(1700000000) * US_PER_S)
#define S   US_PER_S

static struct ledger_entry *hear(struct ledger *ledger, enum fleet_kind kind, uint64_t stamp_us,
				 uint64_t until_us)
{
	struct fleet_message message = {.kind = kind,
					.host = "a",
					.door = "ssh",
					.source = {{[15] = 1}},
					.stamp_us = stamp_us,
					.until_us = until_us};
	struct ledger_entry *entry = NULL;
	uint64_t old_us;

	assert_int_equal(ledger_take(ledger, &message, NOW, &entry, &old_us), FLEET_ACCEPTED);
	return entry;
}

/* What is over, or shorter than it was, with all that is known of it; the rest the broker has. */
static void test_what_is_kept(void **state)
{
	char *directory = support_directory();
	struct ledger *ledger, *next;
	const struct ledger_entry *kept;
	struct ledger_entry *entry;

	(void)state;
	assert_int_equal(ledger_new("me", &ledger), 0);
	hear(ledger, FLEET_OPEN, NOW, NOW + 600 * S);
	assert_int_equal(closed_file_save(directory, ledger), 0);
	assert_int_equal(ledger_new("me", &next), 0);
	assert_int_equal(closed_file_load(directory, next), 0);
	assert_int_equal(ledger_count(next), 0);
	ledger_free(next);

	hear(ledger, FLEET_OPEN, NOW + 1, NOW + 60 * S);
	entry = hear(ledger, FLEET_SHUT, NOW, NOW + 60 * S);
	entry->is_asked = true;
	assert_int_equal(closed_file_save(directory, ledger), 0);
	assert_int_equal(ledger_new("me", &next), 0);
	assert_int_equal(closed_file_load(directory, next), 0);
	assert_int_equal(ledger_count(next), 2);
	kept = ledger_find(next, &entry->message);
	assert_true(kept->is_due && !kept->is_asked);
	assert_int_equal(kept->forget_us, entry->forget_us);
	assert_int_equal(kept->heard_us, NOW);
	assert_int_equal(kept->message.stamp_us, NOW);
	entry->is_asked = false;
	ledger_free(next);
	ledger_free(ledger);
	support_remove(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
