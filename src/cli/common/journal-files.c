#include "cli/common/journal-files.h"

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

struct journal_files {
	const char *verb;
	size_t n_files, n_unreadable;
};

static void journal_files_complain(struct journal_files *files, const char *path, int error)
{
	files->n_unreadable++;
	fprintf(stderr, "knocktail %s: cannot read %s: %s\n", files->verb, path, strerror(-error));
}

static int journal_files_try(struct journal_files *files, const char *directory, bool below)
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
			files->n_files++;
			r = try_file(path);
		} else if (!below) {
			r = journal_files_try(files, path, true);
			if (r == -ENOTDIR)
				r = 0;
		}
		if (r < 0)
			journal_files_complain(files, path, r);
	}
	return 0;
}

bool journal_files_check(const char *verb, const char *directory)
{
	struct journal_files files = {.verb = verb};
	int r = journal_files_try(&files, directory, false);

	if (r < 0)
		journal_files_complain(&files, directory, r);
	else if (files.n_files == 0)
		fprintf(stderr, "knocktail %s: there is no journal file in %s\n", verb, directory);
	return files.n_files > 0 && files.n_unreadable == 0;
}
