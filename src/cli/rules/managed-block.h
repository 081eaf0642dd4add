/* Lines of ours in another program's file. */
#pragma once

#include <stdbool.h>

/* Puts the text, between two comments that say whose it is, before the line `before` that comes
 * first after the line `after`, and takes out what had been put there. The file is changed as a
 * whole or not at all. 0; -ENOENT: there is no such file, or there are no such lines; another
 * negative errno. */
int managed_block_put(const char *path, const char *after, const char *before, const char *text);

/* Whether that would change nothing. */
bool managed_block_is(const char *path, const char *after, const char *before, const char *text);

/* Takes it out again. 0; -ENOENT: there is no such file, or nothing of ours in it; another negative
 * errno. */
int managed_block_remove(const char *path);
