/* Loading the configuration: its files are read, checked and turned into doors.
 *
 * MUST: with one error anywhere nothing of them counts. No complaint shows a step of a sequence. */
#pragma once

#include "config/complaint.h"

#include <stddef.h>

struct config;

/* Reads `path` and the files that belong to it (files.h). 0: *ret_config is whole, and
 * *ret_complaints may hold warnings. -EBADMSG: something is wrong, and *ret_complaints (in line
 * order) says what. Another negative errno: `path` could not be read at all, or memory ran out. The
 * complaints are the caller's to destroy in every case. */
int config_load(const char *path, struct config **ret_config, struct complaints *ret_complaints);

/* The same for a file's bytes. `proc_net` is the directory that says which ports this machine
 * listens on ("/proc/self/net"), or NULL: no warning about them. */
int config_load_bytes(const char *data, size_t size, const char *proc_net,
		      struct config **ret_config, struct complaints *ret_complaints);
