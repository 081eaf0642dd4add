#include "daemon/pace.h"

#include "cmocka-all.h"
#include "util/clock.h"

#define MS UINT64_C(1000)
#define S  US_PER_S

/* A kernel that logs, a journald that stores `delay_us` later, and a tail that looks as it is told.
 */
struct scene {
	struct pace pace;
	uint64_t now_us;
	uint64_t every_us, first_us, last_us; /* lines of the kernel's log, `together` at a time */
	uint64_t together;
	uint64_t delay_us;
	uint64_t n_heard, n_read; /* lines that have rung, or were found */
	struct pace_gap gap;
	size_t n_rings, n_looks;
	uint64_t latest_us; /* how late the latest line was found, after it was stored */
};

static uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* How many lines there are at a time. */
static uint64_t lines_at(const struct scene *scene, uint64_t us)
{
	if (us < scene->first_us)
		return 0;
	return ((min(us, scene->last_us) - scene->first_us) / scene->every_us + 1) *
	       scene->together;
}

static uint64_t time_of(const struct scene *scene, uint64_t line)
{
	return scene->first_us + line / scene->together * scene->every_us;
}

static void look(struct scene *scene)
{
	uint64_t stored = lines_at(scene, scene->now_us - scene->delay_us);
	uint64_t n = stored - scene->n_read;

	if (n > 0) {
		uint64_t late_us = scene->now_us - scene->delay_us - time_of(scene, scene->n_read);

		scene->latest_us = late_us > scene->latest_us ? late_us : scene->latest_us;
	}
	scene->n_read = stored;
	scene->n_looks++;
	scene->gap = pace_look(&scene->pace, scene->now_us, n, n > 0);
}

/* When the next line rings; what has rung already rings at once. */
static uint64_t next_ring_us(const struct scene *scene)
{
	uint64_t us = time_of(scene, scene->n_heard);

	if (!scene->pace.doorbell || !scene->gap.listens || us > scene->last_us)
		return UINT64_MAX;
	return us > scene->now_us ? us : scene->now_us;
}

static void run_until(struct scene *scene, uint64_t end_us)
{
	uint64_t look_us = scene->now_us + scene->gap.us;

	while (scene->now_us < end_us) {
		uint64_t ring_us = next_ring_us(scene);

		scene->now_us = min(min(ring_us, look_us), end_us);
		if (ring_us <= scene->now_us) {
			scene->n_rings++;
			scene->n_heard = lines_at(scene, scene->now_us);
			scene->gap = pace_ring(&scene->pace, scene->now_us);
		} else if (look_us <= scene->now_us) {
			look(scene);
		} else {
			break;
		}
		look_us = scene->now_us + scene->gap.us;
	}
}

static struct scene scene_of(uint64_t every_us, uint64_t last_us, uint64_t delay_us)
{
	return (struct scene){
		.pace.doorbell = true,
		.now_us = 100 * S,
		.first_us = 101 * S,
		.every_us = every_us,
		.last_us = 101 * S + last_us,
		.together = 1,
		.delay_us = delay_us,
	};
}

static void test_it_sleeps_while_nothing_is_logged(void **state)
{
	struct scene scene = scene_of(S, 0, MS);

	(void)state;
	run_until(&scene, 101 * S - 1);
	assert_in_range(scene.n_looks, 3, 6);
}

static void test_a_line_is_worth_few_looks(void **state)
{
	struct scene scene = scene_of(100 * MS, 10 * S, 200);

	(void)state;
	run_until(&scene, 111 * S + 10 * MS);
	assert_int_equal(scene.n_read, 101);
	assert_in_range(scene.n_rings + scene.n_looks, 101 * 3, 101 * 5);
	assert_true(scene.latest_us <= 100);
}

/* It is found when it is half as late again as it was, if not before. */
static void test_a_late_line_is_awaited(void **state)
{
	(void)state;
	for (uint64_t delay_us = 0; delay_us < 100 * MS; delay_us += 50) {
		struct scene scene = scene_of(S, 0, delay_us);

		run_until(&scene, 101 * S - 1);
		scene.n_looks = 0;
		run_until(&scene, 101 * S + 180 * MS);
		assert_int_equal(scene.n_read, 1);
		assert_in_range(scene.latest_us, 0, 300 + delay_us / 2);
		assert_true(scene.n_looks < 18);
	}
}

/* One that never comes, as journald does not store it. */
static void test_a_lost_line_is_given_up(void **state)
{
	struct scene scene = scene_of(S, 0, 10 * S);

	(void)state;
	run_until(&scene, 101 * S - 1);
	scene.n_looks = 0;
	run_until(&scene, 102 * S);
	assert_in_range(scene.n_looks, 10, 20);
}

/* While one is awaited, another that comes in time is not late. */
static void test_a_line_behind_a_late_one(void **state)
{
	(void)state;
	for (uint64_t after_us = 0; after_us < 50 * MS; after_us += 100) {
		struct scene scene = scene_of(after_us + 1, 0, 10 * S);

		run_until(&scene, 101 * S + after_us);
		/* The first is lost, the second comes. */
		scene.n_heard = scene.n_read = 1;
		scene.last_us = scene.now_us + 1;
		scene.every_us = after_us + 1;
		scene.delay_us = 200;
		run_until(&scene, scene.last_us + 10 * MS);
		assert_int_equal(scene.n_read, 2);
		assert_in_range(scene.latest_us, 0, 2100);
	}
}

/* Whether or not journald keeps up. */
static void test_a_flood_does_not_keep_it_looking(void **state)
{
	static const uint64_t delays_us[] = {100, 500, 3 * MS, 30 * MS, 10 * S};

	(void)state;
	for (size_t i = 0; i < sizeof delays_us / sizeof *delays_us; i++)
		for (uint64_t every_us = 50; every_us < 50 * MS; every_us += every_us / 5) {
			struct scene scene = scene_of(every_us, 5 * S, delays_us[i]);
			size_t max_per_s = every_us < 5 * MS ? 700 : 1000;

			run_until(&scene, 106 * S);
			assert_in_range(scene.n_looks + scene.n_rings, 0, 5 * max_per_s);
		}
}

static void test_where_each_look_finds_many_there_are_fewer(void **state)
{
	struct scene scene = scene_of(50, 5 * S, 100);

	(void)state;
	run_until(&scene, 106 * S);
	assert_in_range(scene.n_looks, 5 * 190, 5 * 230);
	assert_in_range(scene.n_rings, 1, 2);
}

/* Lines that do not ring are found as soon with a doorbell as without one. */
static void test_logs_that_do_not_ring(void **state)
{
	struct scene scene = scene_of(S, 0, 0);

	(void)state;
	scene.pace.hears_logs = true;
	scene.last_us = 0;
	run_until(&scene, 101 * S);
	assert_in_range(scene.n_looks, 45, 60);
	/* A record of theirs does not answer the bell. */
	scene.gap = pace_ring(&scene.pace, scene.now_us += 100 * MS);
	scene.gap = pace_look(&scene.pace, scene.now_us += 300, 1, false);
	assert_int_equal(scene.gap.us, 300);
	scene.gap = pace_look(&scene.pace, scene.now_us += 300, 0, true);
	assert_int_equal(scene.gap.us, 1000);
}

static void test_without_a_doorbell_it_polls(void **state)
{
	struct scene scene = scene_of(S, 0, 0);

	(void)state;
	scene.pace.doorbell = false;
	run_until(&scene, 101 * S - 1);
	assert_in_range(scene.n_looks, 49, 51);
	scene.n_looks = 0;
	pace_hurry(&scene.pace, scene.now_us);
	run_until(&scene, 105 * S);
	assert_in_range(scene.n_looks, 1090, 1110);
	assert_int_equal(scene.n_rings, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_it_sleeps_while_nothing_is_logged),
		cmocka_unit_test(test_a_line_is_worth_few_looks),
		cmocka_unit_test(test_a_late_line_is_awaited),
		cmocka_unit_test(test_a_lost_line_is_given_up),
		cmocka_unit_test(test_a_line_behind_a_late_one),
		cmocka_unit_test(test_a_flood_does_not_keep_it_looking),
		cmocka_unit_test(test_where_each_look_finds_many_there_are_fewer),
		cmocka_unit_test(test_logs_that_do_not_ring),
		cmocka_unit_test(test_without_a_doorbell_it_polls),
	};

	return cmocka_run_group_tests_name("pace", tests, NULL, NULL);
}
