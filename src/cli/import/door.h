/* Doors of knockd.conf as sections of knocktail.conf(5). */
#pragma once

#include <stddef.h>
#include <stdio.h>

struct knockd_file;

struct import_result {
	size_t n_doors;	   /* carried over */
	size_t n_left_out; /* are there as comments */
};

/* Writes the whole configuration to `out`, and its remarks to `told` and, as comments, to `out`;
 * `path` is the file's name in them. 0, or -ENOMEM. */
int import_doors(const char *path, const struct knockd_file *file, FILE *out, FILE *told,
		 struct import_result *ret);
