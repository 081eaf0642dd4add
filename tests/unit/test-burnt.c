#include "keys/burnt.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/token.h"
#include "keys/burnt-file.h"
#include "support.h"

#include "cmocka-all.h"

#define NOW   UINT64_C(1795384800)
#define STEP  (NOW / TOKEN_STEP_S)
#define SKEW  30
#define LATER (NOW + 100000)

static const struct key_id alice = {"alice"}, bob = {"bob"};
static const uint8_t one[BURNT_NONCE_SIZE] = {1}, two[BURNT_NONCE_SIZE] = {2};

/* The fsync() that fails: 1 is the next one, 0 none. */
static unsigned failing_sync;

/* Stands before libc's. */
int fsync(int fd)
{
	if (failing_sync == 0 || --failing_sync > 0)
		return (int)syscall(SYS_fsync, fd);
	errno = EIO;
	return -1;
}

struct trial {
	char *parent, *directory, *file;
	struct burnt *burnt;
};

static void start(struct trial *trial)
{
	assert_int_equal(burnt_new(trial->directory, SKEW, &trial->burnt), 0);
}

static void restart(struct trial *trial)
{
	burnt_free(trial->burnt);
	start(trial);
}

static struct trial begin(void)
{
	struct trial trial = {.parent = support_directory()};
	char name[BURNT_NAME_SIZE];

	trial.directory = support_path(trial.parent, "burnt");
	burnt_file_name(&alice, name);
	trial.file = support_path(trial.directory, name);
	start(&trial);
	return trial;
}

static void end(struct trial *trial)
{
	burnt_free(trial->burnt);
	free(trial->directory);
	free(trial->file);
	support_remove(trial->parent);
}

static int token(struct trial *trial, const struct key_id *id, const char *door, uint64_t step)
{
	return burnt_token(trial->burnt, id, door, step, NOW);
}

/* With and without what the process remembers. */
static void test_a_token_is_good_once(void **state)
{
	struct trial trial = begin();

	(void)state;
	assert_int_equal(token(&trial, &alice, "ssh", STEP), 0);
	assert_int_equal(token(&trial, &alice, "ssh", STEP), -EALREADY);
	for (int i = 0; i < 2; i++) {
		restart(&trial);
		assert_int_equal(token(&trial, &alice, "ssh", STEP), -EALREADY);
		assert_int_equal(token(&trial, &alice, "ssh", STEP - 1), -ESTALE);
	}
	assert_int_equal(token(&trial, &alice, "web", STEP - 1), 0);
	assert_int_equal(token(&trial, &bob, "ssh", STEP - 1), 0);
	assert_int_equal(token(&trial, &alice, "ssh", STEP + 1), 0);
	restart(&trial);
	assert_int_equal(token(&trial, &alice, "web", STEP - 1), -EALREADY);
	assert_int_equal(token(&trial, &alice, "web", STEP), 0);
	assert_int_equal(token(&trial, &alice, "ssh", STEP), -ESTALE);
	end(&trial);
}

static void test_a_token_that_came_too_early(void **state)
{
	struct trial trial = begin();

	(void)state;
	assert_int_equal(burnt_token_ahead(trial.burnt, &alice, "ssh", STEP + 4, NOW), 0);
	assert_int_equal(burnt_token_ahead(trial.burnt, &alice, "ssh", STEP + 4, NOW), -EALREADY);
	restart(&trial);
	assert_int_equal(token(&trial, &alice, "ssh", STEP), 0);
	assert_int_equal(token(&trial, &alice, "ssh", STEP + 3), 0);
	assert_int_equal(token(&trial, &alice, "ssh", STEP + 4), -EALREADY);
	assert_int_equal(token(&trial, &alice, "ssh", STEP + 5), 0);
	assert_int_equal(token(&trial, &alice, "ssh", STEP + 4), -ESTALE);
	/* More than can be told apart are used with all before them. */
	for (uint64_t i = 0; i < BURNT_AHEAD_MAX + 1; i++)
		assert_int_equal(
			burnt_token_ahead(trial.burnt, &alice, "ssh", STEP + 10 + 2 * i, NOW), 0);
	assert_int_equal(token(&trial, &alice, "ssh", STEP + 11), -ESTALE);
	end(&trial);
}

/* Whatever other hosts say: it uses up nothing before it. */
static void test_what_was_used_elsewhere(void **state)
{
	struct trial trial = begin();

	(void)state;
	for (uint64_t i = 0; i < BURNT_AHEAD_MAX; i++)
		assert_int_equal(
			burnt_token_elsewhere(trial.burnt, &alice, "ssh", STEP + 10 + 2 * i, NOW),
			0);
	assert_int_equal(burnt_token_elsewhere(trial.burnt, &alice, "ssh", STEP + 90, NOW),
			 -ENOBUFS);
	assert_int_equal(token(&trial, &alice, "ssh", STEP), 0);
	assert_int_equal(token(&trial, &alice, "ssh", STEP + 12), -EALREADY);
	end(&trial);
}

/* However many keys there are, and in whatever order they come: each has a record of its own. */
static void test_keys_are_kept_apart(void **state)
{
	struct trial trial = begin();
	const uint8_t *const first = (const uint8_t *)"alphabetical";

	(void)state;
	for (int round = 0; round < 2; round++) {
		for (unsigned i = 0; i < 101; i++) {
			struct key_id id = {.bytes = {(uint8_t)(i * 37 % 101), 1}};

			assert_int_equal(token(&trial, &id, "ssh", STEP + i),
					 round == 0 ? 0 : -EALREADY);
			assert_int_equal(burnt_nonce(trial.burnt, &id, first, NOW + i, NOW),
					 round == 0 ? 0 : -EALREADY);
		}
		restart(&trial);
	}
	end(&trial);
}

/* A nonce is remembered for as long as the time in it may still be good. */
static void test_another_skew(void **state)
{
	struct trial trial = begin();

	(void)state;
	assert_int_equal(burnt_nonce(trial.burnt, &alice, one, NOW, NOW), 0);
	burnt_set_skew(trial.burnt, 3600);
	assert_int_equal(burnt_nonce(trial.burnt, &alice, two, NOW + 1, NOW + 3600), 0);
	assert_int_equal(
		burnt_nonce(trial.burnt, &alice, (const uint8_t *)"another one.", NOW, NOW + 3600),
		0);
	burnt_set_skew(trial.burnt, 3599);
	assert_int_equal(
		burnt_nonce(trial.burnt, &alice, (const uint8_t *)"and one more", NOW, NOW + 3600),
		-ESTALE);
	assert_int_equal(burnt_nonce(trial.burnt, &alice, two, NOW + 1, NOW + 3600), -EALREADY);
	end(&trial);
}

static void test_a_nonce_is_good_once(void **state)
{
	struct trial trial = begin();

	(void)state;
	assert_int_equal(burnt_nonce(trial.burnt, &alice, one, NOW, NOW), 0);
	assert_int_equal(burnt_nonce(trial.burnt, &alice, one, NOW, NOW), -EALREADY);
	restart(&trial);
	assert_int_equal(burnt_nonce(trial.burnt, &alice, one, NOW, NOW + 1), -EALREADY);
	assert_int_equal(burnt_nonce(trial.burnt, &alice, two, NOW - SKEW, NOW), 0);
	assert_int_equal(burnt_nonce(trial.burnt, &bob, one, NOW, NOW), 0);
	end(&trial);
}

/* What is forgotten is below a floor: a clock that is set back makes nothing good. */
static void test_forgotten_is_not_forgiven(void **state)
{
	struct trial trial = begin();

	(void)state;
	assert_int_equal(burnt_nonce(trial.burnt, &alice, one, NOW, NOW), 0);
	assert_int_equal(burnt_nonce(trial.burnt, &alice, two, NOW + 2 * SKEW, NOW + 2 * SKEW), 0);
	restart(&trial);
	assert_int_equal(burnt_nonce(trial.burnt, &alice, one, NOW, NOW), -ESTALE);
	assert_int_equal(
		burnt_nonce(trial.burnt, &alice, (const uint8_t *)"another one.", NOW, NOW),
		-ESTALE);
	assert_int_equal(
		burnt_nonce(trial.burnt, &alice, (const uint8_t *)"another one.", NOW + 1, NOW), 0);
	end(&trial);
}

static size_t size_of(const char *path)
{
	struct stat status;

	assert_int_equal(stat(path, &status), 0);
	return (size_t)status.st_size;
}

static void test_files_have_a_bound(void **state)
{
	struct trial trial = begin();
	uint8_t nonce[BURNT_NONCE_SIZE] = {0};
	char door[DOOR_NAME_MAX + 1];
	size_t size;

	(void)state;
	for (unsigned i = 0; i < BURNT_NONCES_MAX; i++) {
		nonce[0] = (uint8_t)i;
		assert_int_equal(burnt_nonce(trial.burnt, &alice, nonce, NOW, NOW), 0);
	}
	nonce[1] = 1;
	assert_int_equal(burnt_nonce(trial.burnt, &alice, nonce, NOW, NOW), -ENOBUFS);
	for (unsigned i = 0; i < BURNT_DOORS_MAX; i++) {
		snprintf(door, sizeof door, "door-with-a-name-of-%08u", i);
		assert_int_equal(token(&trial, &alice, door, STEP + 1 + i), 0);
	}
	size = size_of(trial.file);
	assert_true(size < 49152);
	for (unsigned i = 0; i < 10; i++) {
		snprintf(door, sizeof door, "door-with-a-name-of-%08u", BURNT_DOORS_MAX + i);
		assert_int_equal(token(&trial, &alice, door, STEP + BURNT_DOORS_MAX + 1 + i), 0);
	}
	assert_in_range(size_of(trial.file), size - 100, size + 100);
	/* What was dropped for others is not good again. */
	restart(&trial);
	assert_int_equal(token(&trial, &alice, "door-with-a-name-of-00000003", STEP + 4), -ESTALE);
	/* Nor is what had come too early for a door that was dropped, be it one or two. */
	for (int n = 1; n <= 2; n++) {
		const char *const name = n == 1 ? "one" : "two";
		uint64_t last = STEP + 2000 * (uint64_t)n;

		for (int i = 0; i < n; i++)
			assert_int_equal(
				burnt_token_ahead(trial.burnt, &bob, name, last - (uint64_t)i, NOW),
				0);
		for (unsigned i = 0; i < BURNT_DOORS_MAX; i++) {
			snprintf(door, sizeof door, "%s-%u", name, i);
			assert_int_equal(token(&trial, &bob, door, last + 1 + i), 0);
		}
		assert_int_equal(token(&trial, &bob, name, last), -ESTALE);
	}
	/* After their time there is room again. */
	assert_int_equal(burnt_nonce(trial.burnt, &alice, nonce, NOW + 99, NOW + 99), 0);
	end(&trial);
}

/* Wherever it stands among the others. */
static void test_the_door_of_long_ago_gives_way(void **state)
{
	char door[DOOR_NAME_MAX + 1];

	(void)state;
	for (unsigned oldest = 0; oldest < 3; oldest++) {
		struct burnt *burnt = NULL;

		assert_int_equal(burnt_new(NULL, SKEW, &burnt), 0);
		for (unsigned i = 0; i < BURNT_DOORS_MAX; i++) {
			snprintf(door, sizeof door, "door-%u", i);
			assert_int_equal(burnt_token(burnt, &alice, door,
						     i == oldest ? STEP : STEP + 1, NOW),
					 0);
		}
		assert_int_equal(burnt_token(burnt, &alice, "one-more", STEP + 1, NOW), 0);
		burnt_free(burnt);
	}
}

/* Pretends that the file was written then. */
static void date(const char *path, uint64_t when_s)
{
	const struct timespec times[2] = {{.tv_sec = (time_t)when_s}, {.tv_sec = (time_t)when_s}};

	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

/* Every cut makes it a file that refuses all that may have been used. */
static void test_a_damaged_file_refuses(void **state)
{
	struct trial trial = begin();
	size_t size;
	char *whole;

	(void)state;
	assert_int_equal(token(&trial, &alice, "ssh", STEP), 0);
	assert_int_equal(burnt_token_ahead(trial.burnt, &alice, "ssh", STEP + 4, NOW), 0);
	assert_int_equal(burnt_nonce(trial.burnt, &alice, one, NOW, NOW), 0);
	whole = support_read(trial.file, &size);
	for (size_t cut = 0; cut < size; cut++) {
		support_write(trial.file, whole, cut);
		restart(&trial);
		assert_int_equal(token(&trial, &alice, "ssh", STEP), -EBADMSG);
		assert_int_equal(token(&trial, &alice, "web", STEP + 1), -EBADMSG);
		assert_int_equal(burnt_nonce(trial.burnt, &alice, two, NOW, NOW), -EBADMSG);
		assert_int_equal(token(&trial, &bob, "ssh", STEP + cut), 0);
	}
	support_write(trial.file, "", 0);
	date(trial.file, LATER); /* a clock that was set back since */
	restart(&trial);
	assert_int_equal(token(&trial, &alice, "ssh", LATER / TOKEN_STEP_S), -EBADMSG);
	assert_int_equal(burnt_token(trial.burnt, &alice, "ssh", UINT32_MAX, NOW), 0);
	restart(&trial);
	assert_int_equal(token(&trial, &alice, "web", STEP), -ESTALE);
	support_write(trial.file, "", 0);
	date(trial.file, (uint64_t)-1); /* before 1970 */
	restart(&trial);
	assert_int_equal(token(&trial, &alice, "ssh", STEP), -EBADMSG);
	free(whole);
	end(&trial);
}

static void test_damage_passes(void **state)
{
	struct trial trial = begin();

	(void)state;
	assert_int_equal(token(&trial, &alice, "ssh", STEP), 0);
	support_write(trial.file, "x", 1);
	date(trial.file, 1000);
	restart(&trial);
	assert_int_equal(token(&trial, &alice, "ssh", STEP), -EBADMSG);
	assert_int_equal(burnt_token(trial.burnt, &alice, "ssh", STEP + 7, NOW + 210), -EBADMSG);
	assert_int_equal(burnt_token(trial.burnt, &alice, "ssh", STEP + 8, NOW + 240), 0);
	assert_int_equal(burnt_nonce(trial.burnt, &alice, one, NOW + 240, NOW + 240), 0);
	restart(&trial);
	assert_int_equal(burnt_token(trial.burnt, &alice, "web", STEP + 7, NOW + 240), -ESTALE);
	assert_int_equal(burnt_token(trial.burnt, &alice, "web", STEP + 8, NOW + 240), 0);
	end(&trial);
}

/* Up to the very second, and step, for which something may have been used, the damage is the
 * reason; beyond it there is none. */
static void test_damage_is_the_reason_to_the_last_second(void **state)
{
	const uint64_t until = NOW + SKEW + 6 * TOKEN_STEP_S;
	struct trial trial = begin();

	(void)state;
	assert_int_equal(token(&trial, &alice, "ssh", STEP), 0);
	support_write(trial.file, "x", 1);
	date(trial.file, 1000);
	restart(&trial);
	assert_int_equal(burnt_nonce(trial.burnt, &alice, one, (uint32_t)until, NOW), -EBADMSG);
	assert_int_equal(burnt_nonce(trial.burnt, &alice, one, (uint32_t)until + 1, NOW), 0);
	assert_int_equal(token(&trial, &alice, "ssh", until / TOKEN_STEP_S), -EBADMSG);
	assert_int_equal(token(&trial, &alice, "ssh", until / TOKEN_STEP_S + 1), 0);
	end(&trial);
}

static unsigned mode_of(const char *path)
{
	struct stat status;

	assert_int_equal(stat(path, &status), 0);
	return status.st_mode & 07777;
}

/* Who knocks where, and when, is nobody's business. */
static void test_others_cannot_read_it(void **state)
{
	mode_t umask_before = umask(0);
	struct trial trial = begin();

	(void)state;
	assert_int_equal(token(&trial, &alice, "ssh", STEP), 0);
	assert_int_equal(mode_of(trial.directory), 0700);
	assert_int_equal(mode_of(trial.file), 0600);
	/* Nor when somebody has removed the directory. */
	assert_int_equal(unlink(trial.file), 0);
	assert_int_equal(rmdir(trial.directory), 0);
	assert_int_equal(token(&trial, &alice, "ssh", STEP + 1), 0);
	assert_int_equal(mode_of(trial.directory), 0700);
	assert_int_equal(mode_of(trial.file), 0600);
	umask(umask_before);
	end(&trial);
}

static void test_what_cannot_be_written_is_refused(void **state)
{
	struct trial trial = begin();

	(void)state;
	/* A file where the directory should be. */
	support_write(trial.directory, "", 0);
	assert_int_equal(token(&trial, &alice, "ssh", STEP), -ENOTDIR);
	assert_int_equal(burnt_nonce(trial.burnt, &alice, one, NOW, NOW), -ENOTDIR);
	assert_int_equal(unlink(trial.directory), 0);
	/* Nor is it good as soon as it can be written. */
	assert_int_equal(token(&trial, &alice, "ssh", STEP), -EBADMSG);
	assert_int_equal(token(&trial, &bob, "ssh", STEP), 0);
	/* A directory where its file should be. */
	assert_int_equal(unlink(trial.file), -1);
	restart(&trial);
	assert_int_equal(token(&trial, &alice, "ssh", STEP), 0);
	assert_int_equal(unlink(trial.file), 0);
	assert_int_equal(mkdir(trial.file, 0700), 0);
	assert_true(token(&trial, &alice, "ssh", STEP + 1) < 0);
	assert_int_equal(rmdir(trial.file), 0);
	assert_int_equal(token(&trial, &alice, "ssh", STEP + 1), -EALREADY);
	end(&trial);
}

/* The file, its name in the directory, and the directory's own name. */
static void test_what_is_not_on_disk_has_no_effect(void **state)
{
	struct trial trial;

	(void)state;
	for (unsigned i = 1; i <= 3; i++) {
		trial = begin();
		failing_sync = i;
		assert_int_equal(token(&trial, &alice, "ssh", STEP), -EIO);
		assert_int_equal(failing_sync, 0);
		assert_true(token(&trial, &alice, "ssh", STEP) < 0);
		end(&trial);
	}
	trial = begin();
	assert_int_equal(token(&trial, &alice, "ssh", STEP), 0);
	failing_sync = 1;
	assert_int_equal(burnt_nonce(trial.burnt, &alice, one, NOW, NOW), -EIO);
	end(&trial);
}

/* Then the directory is what has its number. */
static void test_without_standard_input(void **state)
{
	struct trial trial = begin();
	int input = dup(STDIN_FILENO);

	(void)state;
	assert_int_equal(close(STDIN_FILENO), 0);
	assert_int_equal(token(&trial, &alice, "ssh", STEP), 0);
	end(&trial);
	assert_int_equal(dup2(input, STDIN_FILENO), STDIN_FILENO);
	close(input);
}

static void test_a_directory_that_vanishes(void **state)
{
	struct trial trial = begin();

	(void)state;
	assert_int_equal(token(&trial, &alice, "ssh", STEP), 0);
	assert_int_equal(unlink(trial.file), 0);
	assert_int_equal(rmdir(trial.directory), 0);
	assert_int_equal(token(&trial, &alice, "ssh", STEP + 1), 0);
	restart(&trial);
	assert_int_equal(token(&trial, &alice, "ssh", STEP + 1), -EALREADY);
	end(&trial);
}

/* For a rehearsal. */
static void test_nothing_but_memory(void **state)
{
	struct burnt *burnt;

	(void)state;
	assert_int_equal(burnt_new(NULL, SKEW, &burnt), 0);
	assert_int_equal(burnt_token(burnt, &alice, "ssh", STEP, NOW), 0);
	assert_int_equal(burnt_token(burnt, &alice, "ssh", STEP, NOW), -EALREADY);
	assert_int_equal(burnt_nonce(burnt, &bob, one, NOW, NOW), 0);
	assert_int_equal(burnt_nonce(burnt, &bob, one, NOW, NOW), -EALREADY);
	burnt_free(burnt);
}

static void test_strange_files(void **state)
{
	static const char *const wrong[] = {
		"",
		"knocktail-burnt 1\n",
		"knocktail-burnt 1\nend",
		"knocktail-burnt 1\nend\n\n",
		"knocktail-burnt 2\nend\n",
		"knocktail-burnt 1\nahead ssh 1\nend\n",
		"knocktail-burnt 1\ntoken ssh 1\nahead web 1\nend\n",
		"knocktail-burnt 1\ntoken ssh\nend\n",
		"knocktail-burnt 1\ntoken ssh -1\nend\n",
		"knocktail-burnt 1\ntoken ssh 1 2\nend\n",
		"knocktail-burnt 1\ntoken  1\nend\n",
		"knocktail-burnt 1\ntoken ssh 1\ntoken web 1\ntoken ssh 2\nend\n",
		"knocktail-burnt 1\ntoken-floor 1 1\nend\n",
		"knocktail-burnt 1\nspa 1 00\nend\n",
		"knocktail-burnt 1\nspa 4294967296 000000000000000000000000\nend\n",
		"knocktail-burnt 1\nspa 1 00000000000000000000000000\nend\n",
		"knocktail-burnt 1\nspa 1 00000000000000000000000g\nend\n",
		"knocktail-burnt 1\n\nend\n",
	};
	struct burnt_key key = {.id = alice};

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		if (burnt_file_parse(wrong[i], strlen(wrong[i]), &key) != -EBADMSG)
			fail_msg("taken: %s", wrong[i]);
		burnt_key_done(&key);
	}
	assert_int_equal(burnt_file_parse("knocktail-burnt 1\nend\n\0", 23, &key), -EBADMSG);
	assert_int_equal(burnt_file_parse("knocktail-burnt 1\nend\n", 22, &key), 0);
	burnt_key_done(&key);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_token_is_good_once),
		cmocka_unit_test(test_a_token_that_came_too_early),
		cmocka_unit_test(test_what_was_used_elsewhere),
		cmocka_unit_test(test_keys_are_kept_apart),
		cmocka_unit_test(test_another_skew),
		cmocka_unit_test(test_a_nonce_is_good_once),
		cmocka_unit_test(test_forgotten_is_not_forgiven),
		cmocka_unit_test(test_files_have_a_bound),
		cmocka_unit_test(test_the_door_of_long_ago_gives_way),
		cmocka_unit_test(test_a_damaged_file_refuses),
		cmocka_unit_test(test_damage_passes),
		cmocka_unit_test(test_damage_is_the_reason_to_the_last_second),
		cmocka_unit_test(test_others_cannot_read_it),
		cmocka_unit_test(test_what_cannot_be_written_is_refused),
		cmocka_unit_test(test_what_is_not_on_disk_has_no_effect),
		cmocka_unit_test(test_without_standard_input),
		cmocka_unit_test(test_a_directory_that_vanishes),
		cmocka_unit_test(test_nothing_but_memory),
		cmocka_unit_test(test_strange_files),
	};

	return sodium_init() < 0 ? 99 : cmocka_run_group_tests(tests, NULL, NULL);
}
