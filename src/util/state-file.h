/* State files: lines of KEY=VALUE, the last of which is "end=yes", so that half a file is not taken
 * for a whole one. */
#pragma once

#include <stddef.h>

enum { STATE_FILE_MAX = 1 << 20 };

/* The keys that a file has, each of them once at most, and the first `n_needed` at least. */
struct state_keys {
	const char *const *names;
	unsigned n, n_needed;
};

/* One line; `key` is its position among the keys, or their number: the name is not one of them. 0
 * or a negative errno, -EINVAL for what it cannot mean. */
typedef int (*state_line_fn)(void *userdata, unsigned key, const char *name, const char *value);

/* Reads a file, line by line, "end" left out. 0; -EBADMSG: it is not a whole state file, or `fn`
 * has refused a line with -EINVAL; another negative errno: it cannot be read now, or `fn` has said
 * so. */
int state_file_load(int directory_fd, const char *name, const struct state_keys *keys,
		    state_line_fn fn, void *userdata);
