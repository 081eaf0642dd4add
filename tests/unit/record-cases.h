/* The cases of tests/records/: lines, and the probes that are expected of them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/probe.h"
#include "format/format.h"

struct record_case {
	char *file; /* its name without directories */
	unsigned number;
	bool captured; /* written by a kernel itself, not by hand */
	bool relayed;  /* written by ulogd */
	char *prefix;
	char *text; /* may hold NULs */
	size_t length;
	enum format_verdict verdict;
	struct probe probe; /* all zero unless the verdict is FORMAT_PROBE; never a time */
};

struct record_cases {
	struct record_case *cases;
	size_t n;
};

/* Reads every *.records file of a directory. 0, or a negative errno; what is wrong where goes to
 * standard error. */
int record_cases_load(const char *directory, struct record_cases *ret);

void record_cases_done(struct record_cases *cases);
