/* The files of a directory of journals, which sd-journal passes over in silence if it cannot open
 * them. */
#pragma once

#include <stddef.h>

/* Is told of each file that cannot be read; `error` is a negative errno. */
typedef void (*journal_file_fn)(void *userdata, const char *path, int error);

/* Tries all files of journald's in the directory and in those one level below. 0, and how many
 * there are; or a negative errno: the directory itself cannot be read. */
int journal_files_check(const char *directory, journal_file_fn fn, void *userdata,
			size_t *ret_n_files);
