/* Whole files, at once. */
#pragma once

#include <stddef.h>

struct stat;

/* Opens a regular file to be read, with these flags more, and reports its status; what is something
 * else keeps nobody waiting. -EBADF: it is something else; another negative errno. */
int file_open_regular(const char *path, int flags, int *ret_fd, struct stat *ret_status);

/* All that is left to read of the file, and a NUL behind it, to be freed. 0; -EFBIG: it is longer
 * than `max`; another negative errno. */
int file_read(int fd, size_t max, char **ret_data, size_t *ret_size);

/* The same into a buffer that is not moved, which suits secrets; without a NUL. After an error,
 * too, part of the file may be in it. 0; -EFBIG: the file is longer than `size`; another negative
 * errno. */
int file_read_into(int fd, char *buffer, size_t size, size_t *ret_length);

/* Writes all of it. 0 or a negative errno. */
int file_write(int fd, const void *data, size_t size);
