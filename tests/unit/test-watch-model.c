/* What watch knows is bounded, and the oldest gives way. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka-all.h"

#include "cli/watch/model.h"

static struct watch_probe probe_of(unsigned host, const char *door, unsigned n_steps,
				   uint64_t at_us)
{
	struct watch_probe probe = {
		.realtime_us = at_us, .port = 7000, .n_steps = n_steps, .n_needed = 3};
	char text[ADDRESS_TEXT_MAX];

	snprintf(text, sizeof text, "198.51.%u.%u", host / 256, host % 256);
	assert_int_equal(address_parse(text, &probe.source), 0);
	snprintf(probe.door, sizeof probe.door, "%s", door);
	return probe;
}

static size_t count_knocks(const struct watch_model *model)
{
	size_t n = 0;

	for (size_t i = 0; i < WATCH_KNOCKS; i++)
		n += model->knocks[i].at_us > 0;
	return n;
}

static int make(void **state)
{
	*state = calloc(1, sizeof(struct watch_model));
	return *state ? 0 : -1;
}

static int destroy(void **state)
{
	free(*state);
	return 0;
}

static void test_probes_are_a_ring(void **state)
{
	struct watch_model *model = *state;

	assert_null(watch_probe_at(model, 0));
	for (unsigned i = 1; i <= WATCH_PROBES + 10; i++) {
		struct watch_probe probe = probe_of(1, "", 0, i);

		watch_add_probe(model, &probe);
	}
	assert_int_equal(watch_probe_at(model, 0)->realtime_us, WATCH_PROBES + 10);
	assert_int_equal(watch_probe_at(model, WATCH_PROBES - 1)->realtime_us, 11);
	assert_null(watch_probe_at(model, WATCH_PROBES));
}

static void test_a_knock_goes_on_and_breaks(void **state)
{
	struct watch_model *model = *state;
	struct watch_probe probe = probe_of(1, "ssh", 1, 10);

	watch_add_probe(model, &probe);
	probe = probe_of(1, "ssh", 2, 20);
	watch_add_probe(model, &probe);
	assert_int_equal(count_knocks(model), 1);
	assert_int_equal(model->knocks[0].n_steps, 2);
	probe = probe_of(2, "", 0, 30);
	watch_add_probe(model, &probe);
	assert_int_equal(count_knocks(model), 1);
	probe = probe_of(1, "", 0, 40);
	watch_add_probe(model, &probe);
	assert_int_equal(count_knocks(model), 0);
}

static void test_the_oldest_knock_gives_way(void **state)
{
	struct watch_model *model = *state;

	for (unsigned i = 1; i <= WATCH_KNOCKS + 1; i++) {
		struct watch_probe probe = probe_of(i, "ssh", 1, i);

		watch_add_probe(model, &probe);
	}
	assert_int_equal(count_knocks(model), WATCH_KNOCKS);
	for (size_t i = 0; i < WATCH_KNOCKS; i++)
		assert_int_not_equal(model->knocks[i].at_us, 1);
	watch_expire(model, 10);
	assert_int_equal(count_knocks(model), WATCH_KNOCKS + 1 - 9);
}

static struct watch_door door_of(unsigned number, uint64_t deadline_us)
{
	struct watch_door door = {.door = "ssh", .deadline_us = deadline_us};

	snprintf(door.source, sizeof door.source, "host %u", number);
	return door;
}

static void test_doors(void **state)
{
	struct watch_model *model = *state;
	struct watch_door door;

	for (unsigned i = 0; i < WATCH_DOORS + 5; i++) {
		door = door_of(i, 100);
		watch_open(model, &door);
	}
	assert_int_equal(model->n_doors, WATCH_DOORS);
	assert_int_equal(model->n_doors_left_out, 5);
	door = door_of(3, 200);
	watch_open(model, &door);
	assert_int_equal(model->n_doors, WATCH_DOORS);
	assert_int_equal(model->doors[3].deadline_us, 200);
	watch_close(model, "ssh", "host 3");
	assert_int_equal(model->n_doors, WATCH_DOORS - 1);
	assert_string_equal(model->doors[3].source, "host 4");
	watch_close(model, "ssh", "host 259");
	assert_int_equal(model->n_doors_left_out, 4);
	watch_close_all(model);
	assert_int_equal(model->n_doors + model->n_doors_left_out, 0);
	watch_close(model, "ssh", "nobody");
	assert_int_equal(model->n_doors + model->n_doors_left_out, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_probes_are_a_ring, make, destroy),
		cmocka_unit_test_setup_teardown(test_a_knock_goes_on_and_breaks, make, destroy),
		cmocka_unit_test_setup_teardown(test_the_oldest_knock_gives_way, make, destroy),
		cmocka_unit_test_setup_teardown(test_doors, make, destroy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
