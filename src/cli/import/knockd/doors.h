/* Doors of knockd.conf as sections of knocktail.conf(5). */
#pragma once

struct import_result;
struct knockd_defaults;
struct knockd_file;

/* Writes the whole configuration. `defaults` are what knockd was started with, or NULL. 0, or
 * -ENOMEM. */
int knockd_import(const struct knockd_file *file, const struct knockd_defaults *defaults,
		  struct import_result *result);
