#include "keys/burn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cmocka-all.h"
#include "keys/one-time.h"
#include "support.h"

#define NOW UINT64_C(1795384800)

static struct burn token_of(const char *key, const char *door, uint64_t step)
{
	struct burn burn = {.kind = BURN_TOKEN, .now_s = NOW, .skew_s = 30, .step = step};

	memcpy(burn.key.bytes, key, sizeof burn.key.bytes);
	strcpy(burn.door, door);
	return burn;
}

static struct burn spa_of(const char *key, uint8_t nonce)
{
	struct burn burn = token_of(key, "ssh", 0);

	burn.kind = BURN_SPA;
	burn.time_s = (uint32_t)NOW;
	burn.nonce[BURNT_NONCE_SIZE - 1] = nonce;
	return burn;
}

static const char alice[KEY_ID_SIZE] = "alice", bob[KEY_ID_SIZE] = "bob";

static void test_each_is_good_once(void **state)
{
	const uint64_t step = NOW / 30;
	struct burn ahead = token_of(alice, "ssh", step + 2);
	const struct burn first = token_of(alice, "ssh", step), spa = spa_of(alice, 1),
			  other = spa_of(alice, 2);
	struct burnt *burnt;

	(void)state;
	ahead.kind = BURN_TOKEN_AHEAD;
	assert_int_equal(burnt_new(NULL, 0, &burnt), 0);
	assert_int_equal(burn_run(burnt, &ahead), 0);
	assert_int_equal(burn_run(burnt, &first), 0); /* not older than what came too early */
	assert_int_equal(burn_run(burnt, &first), -EALREADY);
	assert_int_equal(burn_run(burnt, &spa), 0);
	assert_int_equal(burn_run(burnt, &spa), -EALREADY);
	assert_int_equal(burn_run(burnt, &other), 0);
	burnt_free(burnt);
}

static void test_what_is_the_same(void **state)
{
	const struct burn token = token_of(alice, "ssh", 7), spa = spa_of(alice, 1);
	struct burn other = token;

	(void)state;
	assert_true(burn_equal(&token, &other));
	other.kind = BURN_TOKEN_AHEAD; /* of the same step all the same */
	assert_true(burn_equal(&token, &other));
	other = token_of(alice, "ssh", 8);
	assert_false(burn_equal(&token, &other));
	other = token_of(alice, "web", 7);
	assert_false(burn_equal(&token, &other));
	other = token_of(bob, "ssh", 7);
	assert_false(burn_equal(&token, &other));
	assert_false(burn_equal(&token, &spa));
	assert_false(burn_equal(&spa, &token));
	other = spa_of(alice, 1);
	assert_true(burn_equal(&spa, &other));
	other = spa_of(alice, 2);
	assert_false(burn_equal(&spa, &other));
	other = spa_of(bob, 1);
	assert_false(burn_equal(&spa, &other));
}

static void test_lines(void **state)
{
	static const struct address source = {
		.bytes = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 203, 0, 113, 9}};
	char *directory = support_directory(), *path = support_path(directory, "sequences");
	struct one_time *file;
	struct burn first, second;
	char *text;

	(void)state;
	support_write(path, "9, 7\n8, 6\n", 10);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(one_time_open(path, NULL, NULL, &file), 0);
	burn_init_line(&first, file, 0, &source, NOW);
	burn_init_line(&second, file, 1, &source, 0);
	assert_true(burn_equal(&first, &first));
	assert_false(burn_equal(&first, &second));
	assert_int_equal(burn_run(NULL, &first), 0);
	assert_int_equal(burn_run(NULL, &second), 0);
	text = support_read(path, NULL);
	assert_string_equal(text, "# used 2026-11-22 22:00:00 UTC by 203.0.113.9: 9, 7\n"
				  "# used by 203.0.113.9: 8, 6\n");
	free(text);
	one_time_free(file);
	free(path);
	support_remove(directory);
}

static void test_reasons(void **state)
{
	const struct burn token = token_of(alice, "ssh", 7), line = {.kind = BURN_LINE};
	char text[BURN_REASON_SIZE];

	(void)state;
	assert_null(burn_explain(&token, 0, text));
	assert_null(burn_explain(&line, 0, text));
	assert_string_equal(burn_explain(&token, -EALREADY, text), "replayed: it was used before");
	assert_string_equal(burn_explain(&token, -ENOSPC, text),
			    "it cannot be recorded as used: No space left on device");
	assert_string_equal(
		burn_explain(&line, -ESTALE, text),
		"its sequence is used up, but cannot be marked as used: the file has changed; reload");
	assert_string_equal(
		burn_explain(&line, -EROFS, text),
		"its sequence is used up, but cannot be marked as used: Read-only file system");
}

/* What an operator counts: an attack, haste, or a disk. */
static void test_refusals(void **state)
{
	const struct burn token = token_of(alice, "ssh", 7), line = {.kind = BURN_LINE};

	(void)state;
	assert_int_equal(burn_refusal(&token, -EALREADY), REFUSAL_REPLAYED);
	assert_int_equal(burn_refusal(&token, -ESTALE), REFUSAL_REPLAYED);
	assert_int_equal(burn_refusal(&line, -ESTALE), REFUSAL_DISK);
	assert_int_equal(burn_refusal(&token, -EBADMSG), REFUSAL_DISK);
	assert_int_equal(burn_refusal(&token, -ENOBUFS), REFUSAL_RATE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_is_good_once),
		cmocka_unit_test(test_what_is_the_same),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_refusals),
	};

	return cmocka_run_group_tests_name("burn", tests, NULL, NULL);
}
