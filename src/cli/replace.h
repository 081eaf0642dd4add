/* Replacing a file at one stroke. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

/* Whoever reads the file sees the old one or the new one, whole. 0 or a negative errno. */
int replace_file(const char *path, const char *text, size_t size, mode_t mode);
