/* The files of a configuration: the one that is named, and NAME.conf in conf.d beside it.
 *
 * MUST: nobody but the first one's owner and root may write any of them, or add one. */
#pragma once

#include <stddef.h>

struct complaints;

struct config_file {
	char *path; /* NULL: none, just bytes */
	char *data;
	size_t size;
};

struct config_files {
	struct config_file *items; /* conf.d's in the order of their names' bytes */
	size_t n;
};

/* Reads them. 0, perhaps with warnings. -EBADMSG: one may not count or cannot be read, and a
 * complaint says why. Another negative errno: the first cannot be read, or memory ran out. What
 * *ret owns is the caller's in every case. */
int config_files_read(const char *path, struct config_files *ret, struct complaints *complaints);

void config_files_done(struct config_files *files);
