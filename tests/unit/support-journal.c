#include "support-journal.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <systemd/sd-id128.h>
#include <systemd/sd-journal.h>

#include "cmocka-all.h"
#include "support.h"

int journal_field_error, journal_threshold_error;
size_t journal_threshold;

int __real_sd_journal_enumerate_available_data(sd_journal *journal, const void **data, size_t *n);
int __wrap_sd_journal_enumerate_available_data(sd_journal *journal, const void **data, size_t *n);
int __real_sd_journal_set_data_threshold(sd_journal *journal, size_t size);
int __wrap_sd_journal_set_data_threshold(sd_journal *journal, size_t size);

int __wrap_sd_journal_enumerate_available_data(sd_journal *journal, const void **data, size_t *n)
{
	int r = journal_field_error;

	journal_field_error = 0;
	return r < 0 ? r : __real_sd_journal_enumerate_available_data(journal, data, n);
}

int __wrap_sd_journal_set_data_threshold(sd_journal *journal, size_t size)
{
	int r = journal_threshold_error;

	journal_threshold_error = 0;
	journal_threshold = size;
	return r < 0 ? r : __real_sd_journal_set_data_threshold(journal, size);
}

const char *journal_writer(void)
{
	static const char *const paths[] = {
		"/lib/systemd/systemd-journal-remote",
		"/usr/lib/systemd/systemd-journal-remote",
	};

	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
		if (support_exists(paths[i]))
			return paths[i];
	print_message("systemd-journal-remote is not installed\n");
	return NULL;
}

/* Empties the one directory, makes the others on the way down, and names the file there. */
static char *make_home(const char *emptied, const char *home, const char *machine)
{
	char *directory = support_path(home, machine), *file;

	assert_int_equal(mount("none", emptied, "tmpfs", 0, NULL), 0);
	for (char *slash = strchr(directory + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(directory, 0755); /* which may be there */
		*slash = '/';
	}
	assert_int_equal(mkdir(directory, 0755), 0);
	file = support_path(directory, "system.journal");
	free(directory);
	return file;
}

bool journal_private_homes(char **ret_memory, char **ret_disk)
{
	char machine[SD_ID128_STRING_MAX];
	sd_id128_t id;

	if (sd_id128_get_machine(&id) < 0 || !support_private_mounts()) {
		print_message("no machine-id, or mounts are not permitted\n");
		return false;
	}
	sd_id128_to_string(id, machine);
	*ret_memory = make_home("/run", "/run/log/journal", machine);
	*ret_disk = make_home("/var/log", "/var/log/journal", machine);
	return true;
}

char *journal_of_user(const char *path)
{
	char *directory = strndup(path, (size_t)(strrchr(path, '/') - path)), *user;

	assert_non_null(directory);
	user = support_path(directory, "user-1000.journal");
	free(directory);
	return user;
}
