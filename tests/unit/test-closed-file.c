#include "fleet/agent/closed-file.h"

#include <errno.h>
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

/* What is damaged is left out, and the rest is taken. */
static void test_damage(void **state)
{
	char *directory = support_directory(), *path = support_path(directory, "closed"), *data;
	struct ledger *ledger, *next;
	size_t length = 0;

	(void)state;
	assert_int_equal(ledger_new("me", &ledger), 0);
	hear(ledger, FLEET_CLOSED, NOW, NOW + 60 * S);
	hear(ledger, FLEET_SHUT, NOW, NOW + 60 * S);
	assert_int_equal(closed_file_save(directory, ledger), 0);
	data = support_read(path, &length);
	/* The kind of the first, and the end of the file. */
	data[17] = N_FLEET_KINDS;
	support_write(path, data, length);
	assert_int_equal(ledger_new("me", &next), 0);
	assert_int_equal(closed_file_load(directory, next), 0);
	assert_int_equal(ledger_count(next), 1);
	ledger_free(next);
	support_write(path, data, length - 1);
	assert_int_equal(ledger_new("me", &next), 0);
	assert_int_equal(closed_file_load(directory, next), 0);
	assert_int_equal(ledger_count(next), 0);
	ledger_free(next);
	free(data);
	ledger_free(ledger);
	free(path);
	support_remove(directory);
}

static void test_there_is_no_directory(void **state)
{
	char *directory = support_directory(), *path = support_path(directory, "gone/closed");
	char *file = support_path(directory, "file");
	struct ledger *ledger;

	(void)state;
	assert_int_equal(ledger_new("me", &ledger), 0);
	/* Nothing was closed so far. */
	assert_int_equal(closed_file_load(path, ledger), 0);
	assert_int_equal(closed_file_save(path, ledger), -ENOENT);
	support_write(file, "", 0);
	assert_int_equal(closed_file_load(file, ledger), -ENOTDIR);
	ledger_free(ledger);
	free(file);
	free(path);
	support_remove(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_kept),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_there_is_no_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
