/* A new key in its file. */
#pragma once

#include "core/key-file.h"

#include <stdint.h>

struct old_key;
struct stat;

/* Opens the directory of the keys, which is made if it is missing. 0; -EACCES: others can write
 * into it; another negative errno. */
int key_directory_open(const char *path, int *ret_fd, struct stat *ret_st);

/* Makes a key and writes it, with the one that it replaces (NULL: none) in the same file. 0, and
 * the key in *ret_line, which is the caller's to wipe; -EEXIST: there is a file, and nothing to
 * replace; another negative errno. */
int key_create(int directory, const struct stat *st, const char *name, const char *realm,
	       const struct key_term *term, const struct old_key *old, uint64_t now_s,
	       char ret_line[static KEY_LINE_MAX + 1]);
