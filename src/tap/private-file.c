#include "tap/private-file.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/file.h"

/* Root reads with anybody's files on their behalf, and anybody trusts root's. */
static int check_private(int fd, mode_t forbidden)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (st.st_uid != geteuid() && st.st_uid != 0 && geteuid() != 0)
		return -EOWNERDEAD;
	return st.st_mode & forbidden ? -EPERM : 0;
}

int private_file_read(const char *path, mode_t forbidden, char *buffer, size_t size,
		      size_t *ret_length)
{
	/* A FIFO must not keep us waiting. */
	CLEANUP(cleanup_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int r;

	if (fd < 0)
		return -errno;
	r = check_private(fd, forbidden);
	if (r == 0)
		r = file_read_into(fd, buffer, size, ret_length);
	if (r < 0)
		sodium_memzero(buffer, size);
	return r;
}

const char *private_file_problem(int error)
{
	switch (error) {
	case -EFBIG:
		return "it is too long";
	case -EINVAL:
		return "it is not a regular file";
	case -EOWNERDEAD:
		return "it belongs to another user";
	case -EPERM:
		return "others may read or write it: chmod 600 it";
	default:
		return strerror(-error);
	}
}
