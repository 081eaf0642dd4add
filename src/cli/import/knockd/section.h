/* One section of a knockd.conf on its way to a door. */
#pragma once

#include "cli/import/result.h"

#include <stdint.h>

struct knockd_entry;
struct knockd_file;
struct knockd_section;

struct section_import {
	struct import_door door;
	const struct knockd_file *file;
	const struct knockd_section *from;
	const char *interface; /* or NULL */
};

#define NOTE(section, line, ...)                                                                   \
	import_note((section)->door.result, (section)->door.notes, NULL, line, __VA_ARGS__)

/* What a number means to knockd, in seconds, and says so if knocktail takes another one. */
uint64_t section_seconds(const struct section_import *section, const struct knockd_entry *entry,
			 uint64_t fallback, uint64_t max);
