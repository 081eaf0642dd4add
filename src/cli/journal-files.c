#include "cli/journal-files.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-journal.h>

#include "util/cleanup.h"

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), end_length = strlen(end);

	return length > end_length && strcmp(text + length - end_length, end) == 0;
}

static int try_file(const char *path)
{
	sd_journal *journal = NULL;
	int r = sd_journal_open_files(&journal, (const char *[]){path, NULL}, 0);

	sd_journal_close(journal);
	return r;
}

static int check_directory(const char *directory, bool below, journal_file_fn fn, void *userdata,
			   size_t *n_files)
{
	CLEANUP(cleanup_closedir) DIR *stream = opendir(directory);
	const struct dirent *entry;

	if (!stream)
		return -errno;
	while ((entry = readdir(stream))) {
		CLEANUP(cleanup_free) char *path = NULL;
		int r = 0;

		if (*entry->d_name == '.')
			continue;
		if (asprintf(&path, "%s/%s", directory, entry->d_name) < 0)
			return -ENOMEM;
		if (ends_with(entry->d_name, ".journal") || ends_with(entry->d_name, ".journal~")) {
			(*n_files)++;
			r = try_file(path);
		} else if (!below) {
			r = check_directory(path, true, fn, userdata, n_files);
			if (r == -ENOTDIR)
				r = 0;
		}
		if (r < 0)
			fn(userdata, path, r);
	}
	return 0;
}

int journal_files_check(const char *directory, journal_file_fn fn, void *userdata,
			size_t *ret_n_files)
{
	size_t n_files = 0;
	int r = check_directory(directory, false, fn, userdata, &n_files);

	if (r == 0)
		*ret_n_files = n_files;
	return r;
}
