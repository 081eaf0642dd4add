/* Replacing a file at once. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Puts a file of these bytes in the place of another, or where there was none. It is there as a
 * whole or not at all, and for good when this returns 0, a power cut notwithstanding. Otherwise a
 * negative errno: the old file is in its place, or (only if that was the last thing to fail) the
 * new one. */
int file_replace(int directory_fd, const char *name, const void *data, size_t size, mode_t mode);

/* The same, but a power cut may undo it or leave half: for what the next boot does not need. */
int file_replace_unsynced(int directory_fd, const char *name, const void *data, size_t size,
			  mode_t mode);

/* The same by a path, for more than one writer at a time: the last one's file stays. If not `sync`,
 * a power cut may undo it. 0 or a negative errno: the old file is in its place, or (only if that
 * was the last thing to fail) the new one. */
int file_replace_path(const char *path, const void *data, size_t size, mode_t mode, bool sync);
