#include "util/replace.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/file.h"

/* What has the name already, of a writer that died, goes: it may be a pipe that nobody reads, or
 * another file's second name. */
static int write_new(int directory_fd, const char *name, const void *data, size_t size, mode_t mode,
		     bool sync)
{
	CLEANUP(cleanup_close) int fd = -1;
	int r;

	unlinkat(directory_fd, name, 0);
	fd = openat(directory_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	r = file_write(fd, data, size);
	if (r == 0 && (fchmod(fd, mode) < 0 || (sync && fsync(fd) < 0)))
		r = -errno;
	return r;
}

static int replace_file(int directory_fd, const char *name, const void *data, size_t size,
			mode_t mode, bool sync)
{
	char temporary[NAME_MAX + 1];
	int r;

	if (snprintf(temporary, sizeof temporary, ".%s.new", name) >= (int)sizeof temporary)
		return -ENAMETOOLONG;
	r = write_new(directory_fd, temporary, data, size, mode, sync);
	if (r == 0 && renameat(directory_fd, temporary, directory_fd, name) < 0)
		r = -errno;
	if (r < 0) {
		unlinkat(directory_fd, temporary, 0);
		return r;
	}
	return sync && fsync(directory_fd) < 0 ? -errno : 0;
}

int file_replace(int directory_fd, const char *name, const void *data, size_t size, mode_t mode)
{
	return replace_file(directory_fd, name, data, size, mode, true);
}

int file_replace_unsynced(int directory_fd, const char *name, const void *data, size_t size,
			  mode_t mode)
{
	return replace_file(directory_fd, name, data, size, mode, false);
}

static int sync_parent(const char *path)
{
	const char *slash = strrchr(path, '/');
	CLEANUP(cleanup_free)
	char *parent =
		slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
	CLEANUP(cleanup_close) int fd = -1;

	if (!parent)
		return -ENOMEM;
	fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

int file_replace_path(const char *path, const void *data, size_t size, mode_t mode, bool sync)
{
	CLEANUP(cleanup_free) char *temporary = NULL;
	CLEANUP(cleanup_close) int fd = -1;
	int r;

	if (asprintf(&temporary, "%s.XXXXXX", path) < 0) {
		temporary = NULL;
		return -ENOMEM;
	}
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = file_write(fd, data, size);
	if (r == 0 &&
	    (fchmod(fd, mode) < 0 || (sync && fsync(fd) < 0) || rename(temporary, path) < 0))
		r = -errno;
	if (r < 0) {
		unlink(temporary);
		return r;
	}
	return sync ? sync_parent(path) : 0;
}
