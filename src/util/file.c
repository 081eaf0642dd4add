#include "util/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"

int file_open_regular(const char *path, int flags, int *ret_fd, struct stat *ret_status)
{
	CLEANUP(cleanup_close)
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | flags);

	if (fd < 0 || fstat(fd, ret_status) < 0)
		return -errno;
	if (!S_ISREG(ret_status->st_mode))
		return -EBADF;
	*ret_fd = fd;
	fd = -1;
	return 0;
}

/* A regular file says how much room it needs. */
static size_t room_for(int fd, size_t max)
{
	struct stat status;

	return fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && (size_t)status.st_size < max
		       ? (size_t)status.st_size
		       : max;
}

int file_read(int fd, size_t max, char **ret_data, size_t *ret_size)
{
	size_t room = room_for(fd, max), size = 0;
	CLEANUP(cleanup_free) char *data = malloc(room + 1);
	ssize_t n;

	if (!data)
		return -ENOMEM;
	do {
		if (size > room) { /* it has grown meanwhile */
			char *larger = room < max ? realloc(data, max + 1) : NULL;

			if (!larger)
				return room < max ? -ENOMEM : -EFBIG;
			data = larger;
			room = max;
		}
		n = read(fd, data + size, room + 1 - size);
		if (n < 0 && errno != EINTR)
			return -errno;
		size += n > 0 ? (size_t)n : 0;
	} while (n != 0);
	data[size] = '\0';
	*ret_data = TAKE_PTR(data);
	*ret_size = size;
	return 0;
}

int file_read_into(int fd, char *buffer, size_t size, size_t *ret_length)
{
	size_t length = 0;
	ssize_t n;
	char more;

	do {
		n = length < size ? read(fd, buffer + length, size - length) : read(fd, &more, 1);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0 && length == size)
			return -EFBIG;
		length += n > 0 ? (size_t)n : 0;
	} while (n != 0);
	*ret_length = length;
	return 0;
}

int file_write(int fd, const void *data, size_t size)
{
	const char *rest = data;

	while (size > 0) {
		ssize_t n = write(fd, rest, size);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			rest += n;
			size -= (size_t)n;
		}
	}
	return 0;
}
