/* Makes what is made at the start, burns knocks and opens doors, again and again, each time with
 * one more allocation succeeding before one fails: it must end in -ENOMEM, without a crash, and
 * (under a sanitizer) without a leak. */
#include <errno.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cmocka-all.h"
#include "config/config.h"
#include "config/load.h"
#include "core/door.h"
#include "core/event.h"
#include "core/key-file.h"
#include "core/placeholder.h"
#include "core/strv.h"
#include "core/visitor.h"
#include "grant/grants.h"
#include "input/input.h"
#include "keys/burnt.h"
#include "keys/keyring.h"
#include "keys/one-time.h"
#include "match/matcher.h"
#include "shortage.h"
#include "support.h"

/* A file of one-time sequences, a directory with two keys, and the configuration that names both.
 */
struct world {
	char *directory, *sequences, *keys, *burnt, *grants;
	struct config *config;
};

static void put(const char *directory, const char *name, const char *text)
{
	char *path = support_path(directory, name);

	support_write(path, text, strlen(text));
	assert_int_equal(chmod(path, 0600), 0);
	free(path);
}

static void put_key(const char *directory, const char *name, uint8_t first)
{
	const struct secret secret = {{first}};
	char line[KEY_LINE_MAX + 1];

	key_line_format("lab", &secret, line);
	put(directory, name, line);
}

static int set_up(void **state)
{
	static struct world world;
	struct complaints complaints = {0};
	char *text;

	world = (struct world){.directory = support_directory()};
	world.sequences = support_path(world.directory, "sequences");
	world.keys = support_path(world.directory, "keys");
	world.burnt = support_path(world.directory, "burnt");
	world.grants = support_path(world.directory, "grants");
	put(world.directory, "sequences", "9, 7\n8, 6\n");
	assert_int_equal(mkdir(world.keys, 0700), 0);
	put_key(world.keys, "alice.key", 1);
	put_key(world.keys, "bob.key", 2);
	assert_true(
		asprintf(
			&text,
			"[options]\nlog_prefix = '[knock] '\nkeys = %s\nrealm = lab\nmax_sources = 64\n"
			"[door a]\nsequence = 7, 9, 8\nbackend = ipset\nset = a\n"
			"[door b]\none_time_sequences = %s\nbackend = ipset\nset = b\n"
			"[door c]\nauth = token, spa\nusers = *\nbackend = ipset\nset = c\n"
			"[log edge]\nmatch = _UID=0\npattern = (?<SRC>\\S+) (?<DPT>\\S+)\n"
			"[door d]\nsequence = 7, 9\nlog = edge\nbackend = ipset\nset = d\n",
			world.keys, world.sequences) > 0);
	assert_int_equal(config_load_bytes(text, strlen(text), NULL, &world.config, &complaints),
			 0);
	complaints_done(&complaints);
	free(text);
	*state = &world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;

	config_free(world->config);
	free(world->sequences);
	free(world->keys);
	free(world->burnt);
	free(world->grants);
	support_remove(world->directory);
	return 0;
}

/* Tries until it has enough memory. Each failure must be one for want of it, and each want of it a
 * failure. */
static void expect_failures_of(struct world *world, int (*try_it)(struct world *world))
{
	size_t enough = 0;

	do {
		int r;

		shortage_met = false;
		shortage_left = enough;
		r = try_it(world);
		shortage_left = SIZE_MAX;
		assert_int_equal(r, shortage_met ? -ENOMEM : 0);
		enough++;
	} while (shortage_met);
	assert_true(enough > 1);
}

/* Even if there is memory again right after. */
static void expect_failures(struct world *world, int (*try_it)(struct world *world))
{
	shortage_is_brief = true;
	expect_failures_of(world, try_it);
	shortage_is_brief = false;
	expect_failures_of(world, try_it);
}

static int make_matcher(struct world *world)
{
	struct matcher *matcher = NULL;
	int r = matcher_new(world->config, MATCH_LIVE, NULL, &matcher);

	assert_true((r == 0) == (matcher != NULL));
	matcher_free(matcher);
	return r;
}

static void ignore(void *userdata, const char *file, const char *text)
{
	(void)userdata;
	fail_msg("%s: %s", file, text);
}

static int load_keys(struct world *world)
{
	struct keyring *keyring = NULL;
	int r = keyring_load(world->keys, "lab", ignore, NULL, &keyring);

	assert_true((r == 0) == (keyring != NULL));
	if (r == 0)
		assert_int_equal(keyring->n, 2);
	keyring_free(keyring);
	return r;
}

static int make_text_input(struct world *world)
{
	struct input *input = NULL;
	int r = input_new_text(world->sequences, NULL, 0, UINT64_MAX, &input);

	assert_true((r == 0) == (input != NULL));
	input_free(input);
	return r;
}

static int make_empty_keyring(struct world *world)
{
	struct keyring *keyring = NULL;
	int r = keyring_new(&keyring);

	(void)world;
	assert_true((r == 0) == (keyring != NULL));
	keyring_free(keyring);
	return r;
}

static void ignore_line(void *userdata, unsigned line, bool warning, const char *text)
{
	(void)userdata;
	(void)line;
	if (!warning && !strstr(text, strerror(ENOMEM)))
		fail_msg("%s", text);
}

static int open_sequences(struct world *world)
{
	struct one_time *file = NULL;
	int r = one_time_open(world->sequences, ignore_line, NULL, &file);

	assert_true((r == 0) == (file != NULL));
	one_time_free(file);
	return r;
}

/* A line that cannot be marked for want of memory stays as it is. */
static int use_a_sequence(struct world *world)
{
	struct one_time *file = NULL;
	size_t enough = shortage_left;
	char *text;
	int r;

	shortage_left = SIZE_MAX;
	put(world->directory, "sequences", "9, 7\n8, 6\n");
	assert_int_equal(one_time_open(world->sequences, ignore_line, NULL, &file), 0);
	shortage_left = enough;
	r = one_time_mark(file, 0, "used");
	shortage_left = SIZE_MAX;
	text = support_read(world->sequences, NULL);
	assert_true((r == 0) == (strcmp(text, "9, 7\n8, 6\n") != 0));
	free(text);
	one_time_free(file);
	return r;
}

/* What was refused for want of memory is not good later, but for when the key was not even known.
 */
static int burn(struct world *world)
{
	static const struct key_id alice = {"alice"}, bob = {"bob"};
	static const uint8_t nonce[BURNT_NONCE_SIZE] = {1};
	struct burnt *burnt = NULL;
	int r = burnt_new(world->burnt, 30, &burnt);

	assert_true((r == 0) == (burnt != NULL));
	if (r == 0)
		r = burnt_token(burnt, &alice, "ssh", 100, 3000);
	if (r == 0)
		r = burnt_nonce(burnt, &bob, nonce, 3000, 3000);
	shortage_left = SIZE_MAX;
	if (r == 0) {
		assert_int_equal(burnt_token(burnt, &alice, "ssh", 100, 3000), -EALREADY);
		assert_int_equal(burnt_nonce(burnt, &bob, nonce, 3000, 3000), -EALREADY);
	}
	burnt_free(burnt);
	if (support_exists(world->burnt))
		support_remove(strdup(world->burnt));
	return r;
}

/* All words of a command, or none. */
static int expand_a_command(struct world *world)
{
	static char *words[] = {(char *)"/bin/echo", (char *)"%DOOR%", NULL};
	char **expanded =
		placeholder_expand_all(words, &(struct placeholder_values){.door = "ssh"});

	(void)world;
	if (!expanded)
		return -ENOMEM;
	assert_string_equal(expanded[0], "/bin/echo");
	assert_string_equal(expanded[1], "ssh");
	assert_null(expanded[2]);
	strv_free(expanded);
	return 0;
}

static void note_refusal(void *userdata, const struct event *event)
{
	bool *is_refused = userdata;

	*is_refused |= event->kind == EVENT_REFUSED;
}

/* Who cannot be let in is told so. */
static int open_a_door(struct world *world)
{
	static char *nothing[] = {(char *)"/bin/true", NULL};
	const struct door door = {.name = "ssh",
				  .timeout_us = 30000000,
				  .max_open = 1,
				  .opening.backend = BACKEND_COMMAND,
				  .opening.start_command = {nothing, nothing}};
	const struct visitor alice = {.source = {{[10] = 0xff, 0xff, 192, 0, 2, 1}}};
	bool is_refused = false;
	const struct grants_options options = {.directory = world->grants,
					       .boot_id = "11111111111111111111111111111111",
					       .on_event = note_refusal,
					       .userdata = &is_refused};
	struct grants *grants = NULL;
	int r = grants_new(&options, &grants);

	assert_true((r == 0) == (grants != NULL));
	if (r == 0 && !grants_open(grants, &door, &alice, 0))
		assert_true(is_refused);
	grants_free(grants);
	return is_refused ? -ENOMEM : r;
}

static void test_no_memory(void **state)
{
	struct world *world = *state;

	expect_failures(world, make_matcher);
	expect_failures(world, load_keys);
	expect_failures(world, make_empty_keyring);
	expect_failures(world, make_text_input);
	expect_failures(world, open_sequences);
	expect_failures(world, use_a_sequence);
	expect_failures(world, burn);
	expect_failures(world, expand_a_command);
	expect_failures(world, open_a_door);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_no_memory, set_up, tear_down),
	};

	return sodium_init() < 0 ? 99 : cmocka_run_group_tests(tests, NULL, NULL);
}
