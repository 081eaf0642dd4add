#include "daemon/burner.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cmocka-all.h"
#include "keys/burn.h"
#include "keys/one-time.h"
#include "support.h"
#include "util/cleanup.h"

enum { OF_ONE = 8, N_LINES = 12 };

static const char closed[] = "the door was closed before it was recorded as used";
static const char crowded[] = "the disk is too slow: too many knocks wait to be recorded as used";

/* What became of the matches, in their order. */
struct outcome {
	size_t n;
	char problems[64][BURN_REASON_SIZE]; /* "": none */
};

/* A burner, whose results wait until they are asked for: as if the disk was slow. */
struct scene {
	char *directory;
	sd_event *event;
	struct burner *burner;
	struct outcome outcome;
};

static void on_result(void *userdata, const struct burner_result *result)
{
	struct outcome *outcome = userdata;

	snprintf(outcome->problems[outcome->n++], BURN_REASON_SIZE, "%s",
		 result->match.problem ? result->match.problem : "");
}

static void scene_begin(struct scene *scene)
{
	CLEANUP(cleanup_free) char *burnt = NULL;

	*scene = (struct scene){.directory = support_directory()};
	burnt = support_path(scene->directory, "burnt");
	assert_true(sd_event_new(&scene->event) >= 0);
	assert_int_equal(
		burner_new(scene->event, burnt, on_result, &scene->outcome, &scene->burner), 0);
}

static void scene_end(struct scene *scene)
{
	burner_free(scene->burner);
	sd_event_unref(scene->event);
	support_remove(scene->directory);
}

static struct one_time *open_lines(const struct scene *scene, const char *name)
{
	char *path = support_path(scene->directory, name), text[N_LINES * 20];
	struct one_time *file = NULL;
	size_t size = 0;

	for (int i = 0; i < N_LINES; i++)
		size += (size_t)sprintf(text + size, "%d, 7, 8\n", 1000 + i);
	support_write(path, text, size);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(one_time_open(path, NULL, NULL, &file), 0);
	free(path);
	return file;
}

/* Why it is refused at once, or NULL. */
static const char *add(const struct scene *scene, const char *source, const char *door,
		       const struct burn *burn)
{
	struct match match = {.burn = burn};
	const char *problem = NULL;
	enum refusal refusal;

	assert_int_equal(address_parse(source, &match.source), 0);
	if (burner_add(scene->burner, &match, door, 0, &problem, &refusal))
		return NULL;
	assert_int_equal(refusal, REFUSAL_DISK);
	return problem;
}

static const char *add_line(const struct scene *scene, struct one_time *file, size_t line)
{
	struct address source = {.bytes = {0}};
	struct burn burn;

	burn_init_line(&burn, file, line, &source, 0);
	return add(scene, "203.0.113.9", "ssh", &burn);
}

static const char *add_token(const struct scene *scene, const char *source, const char *door,
			     uint64_t step)
{
	struct burn burn = {.kind = BURN_TOKEN, .now_s = step * 30, .step = step};

	snprintf(burn.door, sizeof burn.door, "%s/4", door);
	return add(scene, source, door, &burn);
}

static void collect(struct scene *scene, size_t n)
{
	while (scene->outcome.n < n)
		assert_true(sd_event_run(scene->event, UINT64_MAX) >= 0);
}

/* Who has a sheet of lines does not have the others wait. */
static void test_each_file_has_its_share(void **state)
{
	struct scene scene;
	struct one_time *mine, *again, *other;
	char *path;

	(void)state;
	scene_begin(&scene);
	mine = open_lines(&scene, "mine");
	other = open_lines(&scene, "other");
	path = support_path(scene.directory, "./mine");
	assert_int_equal(one_time_open(path, NULL, NULL, &again), 0);
	for (size_t i = 0; i < OF_ONE; i++)
		assert_null(add_line(&scene, mine, i));
	assert_string_equal(add_line(&scene, mine, OF_ONE), crowded);
	assert_string_equal(add_line(&scene, again, OF_ONE), crowded);
	assert_null(add_line(&scene, other, 0));
	for (uint64_t step = 1; step <= OF_ONE; step++)
		assert_null(add_token(&scene, "203.0.113.9", "ssh", step));
	assert_string_equal(add_token(&scene, "203.0.113.9", "ssh", OF_ONE + 1), crowded);
	collect(&scene, 2 * OF_ONE + 1);
	assert_null(add_line(&scene, mine, OF_ONE));
	collect(&scene, 2 * OF_ONE + 2);
	for (size_t i = 0; i < scene.outcome.n; i++)
		assert_string_equal(scene.outcome.problems[i], "");
	one_time_free(mine);
	one_time_free(again);
	one_time_free(other);
	free(path);
	scene_end(&scene);
}

/* It is burnt, but who closed the door has meant this one, too. */
static void test_a_closed_door_stays_closed(void **state)
{
	struct address source;
	struct scene scene;

	(void)state;
	scene_begin(&scene);
	assert_int_equal(address_parse("203.0.113.9", &source), 0);
	assert_null(add_token(&scene, "203.0.113.9", "ssh", 1));
	assert_null(add_token(&scene, "203.0.113.8", "ssh", 2));
	assert_null(add_token(&scene, "203.0.113.9", "web", 3));
	burner_close(scene.burner, "ssh", &source);
	assert_null(add_token(&scene, "203.0.113.9", "ssh", 4));
	collect(&scene, 4);
	assert_string_equal(scene.outcome.problems[0], closed);
	assert_string_equal(scene.outcome.problems[1], "");
	assert_string_equal(scene.outcome.problems[2], "");
	assert_string_equal(scene.outcome.problems[3], "");
	assert_null(add_token(&scene, "203.0.113.9", "ssh", 1));
	assert_null(add_token(&scene, "203.0.113.8", "ssh", 5));
	assert_null(add_token(&scene, "203.0.113.9", "web", 6));
	burner_close(scene.burner, "ssh", NULL);
	collect(&scene, 7);
	assert_non_null(strstr(scene.outcome.problems[4], "replayed"));
	assert_string_equal(scene.outcome.problems[5], closed);
	assert_string_equal(scene.outcome.problems[6], "");
	scene_end(&scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_file_has_its_share),
		cmocka_unit_test(test_a_closed_door_stays_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
