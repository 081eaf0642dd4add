#include "cli/rules/managed-block.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/file.h"
#include "util/replace.h"
#include "util/text/stream.h"

static const char begin_mark[] = "# BEGIN knocktail";
static const char end_mark[] = "# END knocktail";

enum { FILE_SIZE_MAX = 4 << 20 };

/* The whole file, to be freed. */
static int block_file_read(const char *path, char **ret_text, mode_t *ret_mode)
{
	CLEANUP(cleanup_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat status;
	size_t size;

	if (fd < 0 || fstat(fd, &status) < 0)
		return -errno;
	*ret_mode = status.st_mode & 07777;
	return file_read(fd, FILE_SIZE_MAX, ret_text, &size);
}

/* Replaces the file, even if it is behind a link. */
static int block_file_replace(const char *path, const char *text, size_t size, mode_t mode)
{
	char *real CLEANUP(cleanup_free) = realpath(path, NULL);

	return real ? file_replace_path(real, text, size, mode, true) : -errno;
}

static bool is_line(const char *line, size_t length, const char *expected)
{
	return length == strlen(expected) && memcmp(line, expected, length) == 0;
}

/* Copies the file's lines, with ours (NULL: none) in their place; false: there is no place, or
 * there is nothing to take out. */
static bool block_merge(const char *old, const char *after, const char *before, const char *text,
			FILE *file)
{
	bool seen = false, done = false, ours = false;

	while (*old) {
		size_t length = strcspn(old, "\n");

		seen = seen || (text && is_line(old, length, after));
		if (is_line(old, length, begin_mark)) {
			ours = true;
			done = done || !text;
		}
		if (!done && seen && is_line(old, length, before)) {
			fprintf(file, "%s\n%s%s\n", begin_mark, text, end_mark);
			done = true;
		}
		if (!ours)
			fprintf(file, "%.*s\n", (int)length, old);
		if (is_line(old, length, end_mark))
			ours = false;
		old += length + (old[length] == '\n');
	}
	return done && !ours;
}

/* The file as it is, and as it would be with our lines in it. */
struct block_change {
	char *old, *merged;
	size_t size;
	mode_t mode;
};

static void block_change_done(struct block_change *change)
{
	free(change->old);
	free(change->merged);
}

static int block_change_make(const char *path, const char *after, const char *before,
			     const char *text, struct block_change *change)
{
	FILE *file;
	bool done;
	int r = block_file_read(path, &change->old, &change->mode);

	if (r < 0)
		return r;
	file = text_stream_open(&change->merged, &change->size);
	if (!file)
		return -ENOMEM;
	done = block_merge(change->old, after, before, text, file);
	if (fclose(file) != 0)
		return -ENOMEM;
	return done ? 0 : -ENOENT;
}

static int block_put(const char *path, const char *after, const char *before, const char *text)
{
	struct block_change change = {0};
	int r = block_change_make(path, after, before, text, &change);

	if (r == 0)
		r = block_file_replace(path, change.merged, change.size, change.mode);
	block_change_done(&change);
	return r;
}

int managed_block_put(const char *path, const char *after, const char *before, const char *text)
{
	return block_put(path, after, before, text);
}

bool managed_block_is(const char *path, const char *after, const char *before, const char *text)
{
	struct block_change change = {0};
	bool is = block_change_make(path, after, before, text, &change) == 0 &&
		  strcmp(change.old, change.merged) == 0;

	block_change_done(&change);
	return is;
}

int managed_block_remove(const char *path)
{
	return block_put(path, NULL, NULL, NULL);
}
