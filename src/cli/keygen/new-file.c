#include "cli/keygen/new-file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/file.h"

static int file_fill(int fd, const char *text, gid_t group)
{
	int r;

	if (group != (gid_t)-1 &&
	    (fchown(fd, (uid_t)-1, group) < 0 || fchmod(fd, S_IRUSR | S_IWUSR | S_IRGRP) < 0))
		return -errno;
	r = file_write(fd, text, strlen(text));
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	return r;
}

int new_file_put(int directory, const char *name, const char *text, gid_t group, bool replaces)
{
	char temporary[NAME_MAX + 1];
	CLEANUP(cleanup_close) int fd = -1;
	int r;

	if (snprintf(temporary, sizeof temporary, ".%s.%08x", name, randombytes_random()) >=
	    (int)sizeof temporary)
		return -ENAMETOOLONG;
	fd = openat(directory, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		    0600);
	if (fd < 0)
		return -errno;
	r = file_fill(fd, text, group);
	if (r == 0 && (replaces ? renameat(directory, temporary, directory, name)
				: linkat(directory, temporary, directory, name, 0)) < 0)
		r = -errno;
	unlinkat(directory, temporary, 0);
	if (r == 0 && fsync(directory) < 0)
		r = -errno;
	return r;
}
