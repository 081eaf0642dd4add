#include "keys/keyring.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/key-file.h"
#include "support.h"

#include "cmocka-all.h"

static const char line[] = "knocktail2 lab AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n";
static const char other[] = "knocktail2 lab jx0qfEvgWTbTyLeh8OSdXGs6KRj35tXEs6KRgHFvXk0=";

/* How often a key's name stands in the directory, when it is read and when it is read again. */
static size_t n_names[2] = {1, 1};

/* Stands before libc's. */
struct dirent *readdir(DIR *directory)
{
	static struct dirent *(*real)(DIR * directory);
	static struct dirent *entry;
	static size_t n_left, again;

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "readdir");
	if (n_left == 0) {
		entry = real(directory);
		n_left = entry && strstr(entry->d_name, ".key") ? n_names[again] : 1;
		again ^= !entry;
	}
	n_left--;
	return entry;
}

/* What was said. */
struct complaint {
	size_t n;
	char file[64], text[300];
	char first[300];
};

static void complain(void *userdata, const char *file, const char *text)
{
	struct complaint *complaint = userdata;

	complaint->n++;
	snprintf(complaint->file, sizeof complaint->file, "%s", file ? file : "-");
	snprintf(complaint->text, sizeof complaint->text, "%s", text);
	if (complaint->n == 1)
		strcpy(complaint->first, complaint->text);
	assert_null(strstr(text, "AAEC"));
}

static void put(const char *directory, const char *name, const char *text, mode_t mode)
{
	char *path = support_path(directory, name);

	support_write(path, text, strlen(text));
	assert_int_equal(chmod(path, mode), 0);
	free(path);
}

static struct keyring *load(const char *directory, struct complaint *complaint)
{
	struct keyring *keyring = NULL;

	*complaint = (struct complaint){0};
	assert_int_equal(keyring_load(directory, "lab", complain, complaint, &keyring), 0);
	return keyring;
}

static void test_keys_are_found_by_user(void **state)
{
	char *directory = support_directory();
	struct complaint complaint;
	struct keyring *keyring;
	struct key_file file;
	const char *fault;

	(void)state;
	assert_int_equal(key_file_parse(line, strlen(line), &file, &fault), 0);
	put(directory, "bob.key", line, 0600);
	put(directory, "alice.key", other, 0640); /* the directory's group */
	put(directory, ".carol.key.0123", line, 0666);
	put(directory, "README", "of no interest", 0644);
	keyring = load(directory, &complaint);
	assert_int_equal(complaint.n, 0);
	assert_int_equal(keyring->n, 2);
	assert_string_equal(keyring->holders[0].user, "alice");
	assert_string_equal(keyring->holders[1].user, "bob");
	assert_memory_equal(keyring->holders[1].base, &file.bases[0], sizeof file.bases[0]);
	assert_memory_not_equal(keyring->holders[0].base, &file.bases[0], sizeof file.bases[0]);
	assert_int_equal(keyring_find(keyring, "bob"), 1);
	assert_int_equal(keyring_find(keyring, "carol"), SIZE_MAX);
	assert_memory_not_equal(&keyring->ids[0], &keyring->ids[1], sizeof keyring->ids[0]);
	keyring_free(keyring);
	support_remove(directory);
}

/* One key is refused, by name; the others are not. */
static void expect_refusal(const char *name, const char *text, mode_t mode, const char *why)
{
	char *directory = support_directory();
	struct complaint complaint;
	struct keyring *keyring;

	put(directory, "bob.key", line, 0600);
	put(directory, name, text, mode);
	keyring = load(directory, &complaint);
	assert_int_equal(complaint.n, 1);
	assert_string_equal(complaint.file, name);
	if (!strstr(complaint.text, why))
		fail_msg("%s: %s", name, complaint.text);
	assert_int_equal(keyring->n, 1);
	assert_string_equal(keyring->holders[0].user, "bob");
	keyring_free(keyring);
	support_remove(directory);
}

static void test_wrong_keys_are_refused_by_name(void **state)
{
	(void)state;
	expect_refusal("alice.key", other, 0604, "everybody may read");
	expect_refusal("alice.key", other, 0602, "everybody may read or write");
	expect_refusal("alice.key", other, 0620, "its group may write");
	expect_refusal("alice.key", "", 0600, "with 32 bytes in base64");
	expect_refusal("alice.key", "knocktail2 lab AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg==\n",
		       0600, "32 bytes in base64");
	expect_refusal("alice.key",
		       "knocktail2 lab jx0qfEvgWTbTyLeh8OSdXGs6KRj35tXEs6KRgHFvXk0=\n\n", 0600,
		       "a line in it is neither a key nor since DATE nor expires DATE");
	expect_refusal("alice.key",
		       "# knocktail2 lab jx0qfEvgWTbTyLeh8OSdXGs6KRj35tXEs6KRgHFvXk0=\n", 0600,
		       "its first line is not");
	expect_refusal("alice.key", "jx0qfEvgWTbTyLeh8OSdXGs6KRj35tXEs6KRgHFvXk0=\n", 0600,
		       "make a new one with knocktail keygen");
	expect_refusal("alice.key", "knocktail2 la jx0qfEvgWTbTyLeh8OSdXGs6KRj35tXEs6KRgHFvXk0=\n",
		       0600, "it is for the realm la, and this is lab: make a new one");
	expect_refusal("Alice.key", other, 0600, "not a user name");
	expect_refusal("-a.key", other, 0600, "not a user name");
	expect_refusal("carol.key", line, 0600, "another user has the same key");
}

static void check_warning(const struct keyring *keyring, size_t i, const char *now,
			  const char *expected)
{
	char text[KEY_WARNING_SIZE];
	const char *said;
	uint64_t now_s;

	assert_int_equal(key_date_parse(now, strlen(now), &now_s), 0);
	said = keyring_warning(keyring, i, now_s, text);
	assert_string_equal(said ? said : "", expected);
}

/* The one before stands behind its successor, and nobody needs to be warned of its end. */
static void test_two_keys_and_their_times(void **state)
{
	char *directory = support_directory(), text[400];
	struct complaint complaint;
	struct keyring *keyring;

	(void)state;
	snprintf(text, sizeof text,
		 "%s\nsince 2026-11-01\nexpires 2027-01-01\n%sexpires 2026-11-08T12:00:00Z\n",
		 other, line);
	put(directory, "bob.key", text, 0600);
	put(directory, "alice.key", "knocktail2 lab AQECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
	    0600);
	keyring = load(directory, &complaint);
	assert_int_equal(complaint.n, 0);
	assert_int_equal(keyring->n, 3);
	assert_int_equal(keyring_find(keyring, "bob"), 1);
	assert_string_equal(keyring->holders[2].user, "bob");
	assert_false(keyring_is_before(keyring, 0));
	assert_false(keyring_is_before(keyring, 1));
	assert_true(keyring_is_before(keyring, 2));
	assert_true(keyring->terms[0].expires_s == 0);
	assert_true(keyring->terms[1].expires_s == 1798761600);
	assert_true(keyring->terms[2].expires_s == 1794139200);
	check_warning(keyring, 0, "2027-01-01", "");
	check_warning(keyring, 1, "2026-10-31", "it opens nothing before 2026-11-01");
	check_warning(keyring, 1, "2026-12-17T23:59:59Z", "");
	check_warning(keyring, 1, "2026-12-18",
		      "it expires on 2027-01-01: knocktail keygen --rotate");
	check_warning(keyring, 1, "2027-01-01",
		      "it expired on 2027-01-01, and opens nothing: knocktail keygen --rotate");
	check_warning(keyring, 2, "2027-01-01", "");
	keyring_free(keyring);
	support_remove(directory);
}

/* What is left out takes neither another's key nor its name along. */
static void test_twins_leave_the_others_alone(void **state)
{
	char *directory = support_directory();
	struct complaint complaint;
	struct key_id carols;
	struct keyring *keyring;

	(void)state;
	put(directory, "carol.key", other, 0600);
	keyring = load(directory, &complaint);
	carols = keyring->ids[0];
	keyring_free(keyring);
	put(directory, "alice.key", line, 0600);
	put(directory, "bob.key", line, 0600);
	keyring = load(directory, &complaint);
	assert_int_equal(complaint.n, 1);
	assert_string_equal(complaint.file, "bob.key");
	assert_int_equal(keyring->n, 2);
	assert_string_equal(keyring->holders[0].user, "alice");
	assert_string_equal(keyring->holders[1].user, "carol");
	assert_memory_equal(&keyring->ids[1], &carols, sizeof carols);
	keyring_free(keyring);
	support_remove(directory);
}

/* Whichever of its keys another user has: none of them is good, and the file is named once. */
static void test_a_twin_takes_its_whole_file_along(void **state)
{
	static const char third[] = "knocktail2 lab AQECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
	const struct {
		const char *bobs, *before;
	} cases[] = {{other, third}, {third, other}, {other, line}};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char *directory = support_directory(), text[400];
		struct complaint complaint;
		struct keyring *keyring;

		snprintf(text, sizeof text, "%s\n%sexpires 2027-01-01\n", other, line);
		put(directory, "alice.key", text, 0600);
		snprintf(text, sizeof text, "%s\n%.*s\nexpires 2027-01-01\n", cases[i].bobs,
			 (int)strcspn(cases[i].before, "\n"), cases[i].before);
		put(directory, "bob.key", text, 0600);
		put(directory, "carol.key",
		    "knocktail2 lab AgECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n", 0600);
		keyring = load(directory, &complaint);
		assert_int_equal(complaint.n, 1);
		assert_string_equal(complaint.file, "bob.key");
		assert_string_equal(complaint.text, "another user has the same key");
		assert_int_equal(keyring->n, 3);
		assert_int_equal(keyring_find(keyring, "alice"), 0);
		assert_int_equal(keyring_find(keyring, "bob"), SIZE_MAX);
		assert_int_equal(keyring_find(keyring, "carol"), 2);
		keyring_free(keyring);
		support_remove(directory);
	}
}

/* What cannot be read is not what is no key. */
static void test_a_key_that_cannot_be_read(void **state)
{
	char *directory = support_directory();
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const char *fault = NULL;
	struct key_file file;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(keyring_read_file(fd, &file, &fault), -EISDIR);
	close(fd);
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(keyring_read_file(fd, &file, &fault), -EINVAL);
	close(fd);
	support_remove(directory);
}

static void test_files_that_are_none(void **state)
{
	char *directory = support_directory(), *path = support_path(directory, "alice.key");
	char *target = support_path(directory, "target");
	struct complaint complaint;
	struct keyring *keyring;

	(void)state;
	put(directory, "target", line, 0600);
	assert_int_equal(symlink(target, path), 0);
	keyring = load(directory, &complaint);
	assert_string_equal(complaint.text, "it is a symbolic link");
	assert_int_equal(keyring->n, 0);
	keyring_free(keyring);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0); /* which nobody writes to */
	keyring = load(directory, &complaint);
	assert_string_equal(complaint.text, "it is not a regular file");
	assert_int_equal(keyring->n, 0);
	keyring_free(keyring);
	free(path);
	free(target);
	support_remove(directory);
}

static void test_owners_and_groups(void **state)
{
	char *directory = support_directory(), *path = support_path(directory, "alice.key");
	struct complaint complaint;
	struct keyring *keyring;

	(void)state;
	if (geteuid() != 0) {
		free(path);
		support_remove(directory);
		skip();
	}
	put(directory, "alice.key", line, 0640);
	assert_int_equal(chown(path, 0, 12345), 0);
	keyring = load(directory, &complaint);
	assert_non_null(strstr(complaint.text, "not the group of the directory"));
	keyring_free(keyring);
	assert_int_equal(chown(directory, 0, 12345), 0);
	keyring = load(directory, &complaint);
	assert_int_equal(complaint.n, 0);
	assert_int_equal(keyring->n, 1);
	keyring_free(keyring);
	assert_int_equal(chown(path, 12345, 12345), 0);
	keyring = load(directory, &complaint);
	assert_string_equal(complaint.text, "it belongs to another user");
	keyring_free(keyring);
	free(path);
	support_remove(directory);
}

static void test_directories(void **state)
{
	char *directory = support_directory(), *missing = support_path(directory, "missing");
	struct complaint complaint;
	struct keyring *keyring;

	(void)state;
	keyring = load(missing, &complaint);
	assert_int_equal(complaint.n, 1);
	assert_string_equal(complaint.file, "-");
	assert_int_equal(keyring->n, 0);
	keyring_free(keyring);
	put(directory, "alice.key", line, 0600);
	assert_int_equal(chmod(directory, 0770), 0);
	keyring = load(directory, &complaint);
	assert_non_null(strstr(complaint.text, "others than its owner may put keys there"));
	assert_int_equal(keyring->n, 0);
	keyring_free(keyring);
	free(missing);
	support_remove(directory);
}

static void test_more_keys_than_there_may_be(void **state)
{
	static const struct {
		size_t n_names[2];
	} cases[] = {
		{{1, 3}}, /* somebody puts two there meanwhile, the first of them a twin */
		{{KEYRING_MAX + 1, KEYRING_MAX + 1}}, /* most are twins of the first */
	};
	char *directory = support_directory();

	(void)state;
	put(directory, "alice.key", line, 0600);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct complaint complaint;
		struct keyring *keyring;

		memcpy(n_names, cases[i].n_names, sizeof n_names);
		keyring = load(directory, &complaint);
		n_names[0] = n_names[1] = 1;
		assert_string_equal(complaint.first, "there are too many keys");
		assert_int_equal(complaint.n, 2);
		assert_int_equal(keyring->n, 1);
		keyring_free(keyring);
	}
	support_remove(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys_are_found_by_user),
		cmocka_unit_test(test_wrong_keys_are_refused_by_name),
		cmocka_unit_test(test_two_keys_and_their_times),
		cmocka_unit_test(test_twins_leave_the_others_alone),
		cmocka_unit_test(test_a_twin_takes_its_whole_file_along),
		cmocka_unit_test(test_a_key_that_cannot_be_read),
		cmocka_unit_test(test_files_that_are_none),
		cmocka_unit_test(test_owners_and_groups),
		cmocka_unit_test(test_directories),
		cmocka_unit_test(test_more_keys_than_there_may_be),
	};

	return sodium_init() < 0 ? 99 : cmocka_run_group_tests(tests, NULL, NULL);
}
