/* Files that only their owner can have changed, or even read. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

/* Reads the whole of a file of at most `size` bytes. 0; -EFBIG: it is longer; -EINVAL: no regular
 * file; -EOWNERDEAD: it belongs to somebody else; -EPERM: its mode has one of the `forbidden` bits;
 * another negative errno: it could not be opened or read. In every case but 0 nothing is left in
 * `buffer`. */
int private_file_read(const char *path, mode_t forbidden, char *buffer, size_t size,
		      size_t *ret_length);

/* What such an error says of the file. */
const char *private_file_problem(int error);
