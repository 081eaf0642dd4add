/* A configuration of several files: what of conf.d counts, and what is said of which line. */
#include "config/config.h"
#include "config/load.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmocka-all.h"
#include "util/cleanup.h"

static const char door[] = "[door %s]\nsequence = 9000, 7000, 8000\nbackend = ipset\nset = %s\n";

#define OPTIONS "[options]\nlog_prefix = knock\n"

enum { FILES_MAX = 256 };

/* A directory with a knocktail.conf, and what the last load said. */
struct fixture {
	char directory[32];
	struct config *config;
	struct complaints complaints;
};

static int fixture_set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof *fixture);
	char path[64];

	assert_non_null(fixture);
	strcpy(fixture->directory, "/tmp/test-files.XXXXXX");
	assert_non_null(mkdtemp(fixture->directory));
	snprintf(path, sizeof path, "%s/conf.d", fixture->directory);
	assert_int_equal(mkdir(path, 0750), 0);
	assert_int_equal(chmod(path, 0750), 0);
	*state = fixture;
	return 0;
}

static void forget_last_load(struct fixture *fixture)
{
	complaints_done(&fixture->complaints);
	config_free(fixture->config);
	fixture->config = NULL;
}

static void remove_all(const char *directory)
{
	DIR *entries = opendir(directory);
	struct dirent *entry;
	char path[512];

	assert_non_null(entries);
	while ((entry = readdir(entries))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
		assert_int_equal(remove(path), 0);
	}
	closedir(entries);
}

static int fixture_tear_down(void **state)
{
	struct fixture *fixture = *state;
	char path[64];

	forget_last_load(fixture);
	snprintf(path, sizeof path, "%s/conf.d", fixture->directory);
	if (access(path, F_OK) == 0)
		remove_all(path);
	remove_all(fixture->directory);
	assert_int_equal(rmdir(fixture->directory), 0);
	free(fixture);
	return 0;
}

static const char *path_in(const struct fixture *fixture, const char *name, char path[static 128])
{
	snprintf(path, 128, "%s/%s", fixture->directory, name);
	return path;
}

__attribute__((format(printf, 3, 4))) static void put(const struct fixture *fixture,
						      const char *name, const char *format, ...)
{
	char path[128];
	FILE *file = fopen(path_in(fixture, name, path), "we");
	va_list arguments;

	assert_non_null(file);
	va_start(arguments, format);
	assert_true(vfprintf(file, format, arguments) >= 0);
	va_end(arguments);
	assert_int_equal(fchmod(fileno(file), 0640), 0);
	assert_int_equal(fclose(file), 0);
}

static void put_first(const struct fixture *fixture, const char *name)
{
	put(fixture, "knocktail.conf",
	    OPTIONS "[door %s]\nsequence = 9000, 7000, 8000\nbackend = ipset\nset = %s\n", name,
	    name);
}

static int load(struct fixture *fixture)
{
	char path[128];

	forget_last_load(fixture);
	return config_load(path_in(fixture, "knocktail.conf", path), &fixture->config,
			   &fixture->complaints);
}

/* The only complaint: NAME:LINE: error: TEXT, in which @ stands for the directory. */
static void expect_complaint(struct fixture *fixture, const char *wanted)
{
	char got[COMPLAINT_LINE_MAX], text[1024], path[128];
	size_t n;

	assert_int_equal(load(fixture), -EBADMSG);
	assert_int_equal(fixture->complaints.n_items, 1);
	complaint_format(&fixture->complaints.items[0], path_in(fixture, "knocktail.conf", path),
			 got);
	n = (size_t)snprintf(text, sizeof text, "%s/", fixture->directory);
	for (const char *at = wanted; *at; at++)
		n += (size_t)(*at == '@' ? snprintf(text + n, sizeof text - n, "%s/",
						    fixture->directory)
					 : snprintf(text + n, sizeof text - n, "%c", *at));
	assert_string_equal(got, text);
}

static void expect_doors(struct fixture *fixture, const char *wanted)
{
	char got[256] = "";

	assert_int_equal(load(fixture), 0);
	assert_int_equal(fixture->complaints.n_items, 0);
	for (size_t i = 0; i < fixture->config->n_doors; i++)
		snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s", i > 0 ? " " : "",
			 fixture->config->doors[i].name);
	assert_string_equal(got, wanted);
}

static void test_order(void **state)
{
	struct fixture *fixture = *state;
	char path[128];

	put_first(fixture, "main");
	put(fixture, "conf.d/20-b.conf", door, "b", "b");
	put(fixture, "conf.d/10-c.conf", door, "c", "c");
	put(fixture, "conf.d/Z.conf", door, "z", "z");
	put(fixture, "conf.d/a.conf", door, "a", "a");
	put(fixture, "conf.d/a.conf~", "garbage");
	put(fixture, "conf.d/.hidden.conf", "garbage");
	put(fixture, "conf.d/.conf", "garbage");
	put(fixture, "conf.d/README", "garbage");
	expect_doors(fixture, "main c b z a");
	remove_all(path_in(fixture, "conf.d", path));
	expect_doors(fixture, "main");
	assert_int_equal(rmdir(path), 0);
	expect_doors(fixture, "main");
}

/* All of the doors may stand in files of their own. */
static void test_empty_first(void **state)
{
	struct fixture *fixture = *state;

	put(fixture, "knocktail.conf", OPTIONS);
	put(fixture, "conf.d/ssh.conf", door, "ssh", "ssh");
	expect_doors(fixture, "ssh");
}

static void test_a_section_goes_on(void **state)
{
	struct fixture *fixture = *state;

	put(fixture, "knocktail.conf", OPTIONS "max_open = 7\n");
	put(fixture, "conf.d/1.conf", "[door a]\nsequence = 9000, 7000, 8000\n");
	put(fixture, "conf.d/2.conf", "[options]\nmax_sources = 77\n");
	put(fixture, "conf.d/3.conf", "[DOOR  a]\nbackend = ipset\nset = a\n");
	expect_doors(fixture, "a");
	assert_int_equal(fixture->config->max_open, 7);
	assert_int_equal(fixture->config->max_sources, 77);
}

static void test_where_it_stands(void **state)
{
	struct fixture *fixture = *state;

	put_first(fixture, "a");
	put(fixture, "conf.d/1.conf",
	    "\n[door b]\nsequence = 9000, 7000, 8000\nbackend = ipset\n"
	    "set = b\ntimeout = never\n");
	put(fixture, "conf.d/2.conf", door, "c", "c");
	assert_int_equal(load(fixture), -EBADMSG);
	assert_int_equal(fixture->complaints.items[0].line, 6);
	assert_true(strstr(fixture->complaints.items[0].file, "/conf.d/1.conf"));
	put(fixture, "conf.d/1.conf",
	    "timeout = 10s\n[door b]\nsequence = 9000, 7000, 8000\n"
	    "backend = ipset\nset = b\n");
	expect_complaint(fixture, "conf.d/1.conf:1: error: a key before any [section]");
	put(fixture, "conf.d/1.conf", "\xef\xbb\xbf");
	expect_complaint(fixture, "conf.d/1.conf:1: error: the file starts with a byte order mark: "
				  "save it without");
	put(fixture, "conf.d/1.conf", "[door a]\ntimeout = 10s\nset = other\n");
	expect_complaint(fixture,
			 "conf.d/1.conf:3: error: door a: duplicate key \"set\", the first is "
			 "in line 6 of @knocktail.conf");
	put(fixture, "conf.d/1.conf", "[door a]\ntimeout = 10s\n[door a]\n");
	expect_complaint(fixture,
			 "conf.d/1.conf:3: error: duplicate section [door a], the first is "
			 "in line 1 of @conf.d/1.conf");
	put(fixture, "conf.d/1.conf", "[options]\n");
	put(fixture, "knocktail.conf",
	    OPTIONS "[door a]\nsequence = 9000, 7000, 8000\nbackend = ipset\n");
	assert_int_equal(load(fixture), -EBADMSG);
	assert_null(fixture->complaints.items[0].file);
	assert_int_equal(fixture->complaints.items[0].line, 3);
}

/* Too many keys are too many in several files as well. */
static void test_many_keys(void **state)
{
	struct fixture *fixture = *state;

	put_first(fixture, "a");
	for (int file = 1; file <= 2; file++) {
		char name[32], keys[1024] = "";

		snprintf(name, sizeof name, "conf.d/%d.conf", file);
		for (int i = 0; i < 40; i++)
			snprintf(keys + strlen(keys), sizeof keys - strlen(keys), "k%d-%d = 1\n",
				 file, i);
		put(fixture, name, "[door a]\n%s", keys);
	}
	assert_int_equal(load(fixture), -EBADMSG);
	assert_string_equal(fixture->complaints.items[fixture->complaints.n_items - 1].text,
			    "door a: more than 64 keys");
}

static void test_who_may_write(void **state)
{
	struct fixture *fixture = *state;
	char path[128];

	put_first(fixture, "a");
	put(fixture, "conf.d/b.conf", door, "b", "b");
	assert_int_equal(chmod(path_in(fixture, "conf.d/b.conf", path), 0660), 0);
	expect_complaint(fixture,
			 "conf.d/b.conf: error: the file's mode is 0660, so users other than "
			 "its owner may write it: chmod go-w @conf.d/b.conf");
	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(chmod(path_in(fixture, "conf.d", path), 0770), 0);
	expect_complaint(fixture,
			 "conf.d: error: the directory's mode is 0770, so users other than "
			 "its owner may write it: chmod go-w @conf.d");
	assert_int_equal(chmod(path, 0750), 0);
	expect_doors(fixture, "a b");
	assert_int_equal(chmod(path_in(fixture, "conf.d/b.conf", path), 0644), 0);
	assert_int_equal(load(fixture), 0);
	assert_int_equal(fixture->complaints.n_warnings, 1);
	assert_true(strstr(fixture->complaints.items[0].file, "/conf.d/b.conf"));
}

static void test_whose_they_are(void **state)
{
	struct fixture *fixture = *state;
	char path[128];

	if (geteuid() != 0)
		skip();
	put_first(fixture, "a");
	put(fixture, "conf.d/b.conf", door, "b", "b");
	assert_int_equal(chown(path_in(fixture, "conf.d/b.conf", path), 65534, 0), 0);
	expect_complaint(fixture,
			 "conf.d/b.conf: error: the file belongs to the user with the number "
			 "65534, who could change the configuration: chown root @conf.d/b.conf");
	/* Whose the first one is is trusted, though it is worth a word. */
	assert_int_equal(chown(path_in(fixture, "knocktail.conf", path), 65534, 0), 0);
	assert_int_equal(load(fixture), 0);
	assert_int_equal(fixture->config->n_doors, 2);
	assert_int_equal(fixture->complaints.n_items, 1);
	assert_int_equal(fixture->complaints.n_warnings, 1);
	assert_non_null(strstr(fixture->complaints.items[0].text,
			       "the file belongs to the user with the number 65534, who can"));
	assert_int_equal(chown(path, 0, 0), 0);
	assert_int_equal(chown(path_in(fixture, "conf.d/b.conf", path), 0, 0), 0);
	assert_int_equal(chown(path_in(fixture, "conf.d", path), 65533, 0), 0);
	expect_complaint(fixture,
			 "conf.d: error: the directory belongs to the user with the number "
			 "65533, who could change the configuration: chown root @conf.d");
}

/* None of these may hang. */
static void test_what_is_not_a_file(void **state)
{
	struct fixture *fixture = *state;
	char path[128];

	put_first(fixture, "a");
	assert_int_equal(mkfifo(path_in(fixture, "conf.d/b.conf", path), 0600), 0);
	expect_complaint(fixture, "conf.d/b.conf: error: the file is a FIFO, not a regular file");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("nowhere", path), 0);
	expect_complaint(fixture,
			 "conf.d/b.conf: error: cannot be read: No such file or directory");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(path_in(fixture, "conf.d", path)), 0);
	put(fixture, "conf.d", "%s", "");
	expect_complaint(fixture, "conf.d: error: cannot be read: Not a directory");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
}

static void test_many_files(void **state)
{
	struct fixture *fixture = *state;

	put_first(fixture, "a");
	for (int i = 0; i <= FILES_MAX; i++) {
		char name[32];

		if (i == FILES_MAX)
			assert_int_equal(load(fixture), 0);
		snprintf(name, sizeof name, "conf.d/%d.conf", i);
		put(fixture, name, "%s", "; nothing\n");
	}
	expect_complaint(fixture, "conf.d: error: there are more than 256 files");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_order),
		TEST(test_empty_first),
		TEST(test_a_section_goes_on),
		TEST(test_where_it_stands),
		TEST(test_many_keys),
		TEST(test_who_may_write),
		TEST(test_whose_they_are),
		TEST(test_what_is_not_a_file),
		TEST(test_many_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
