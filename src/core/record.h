/* A record: one log entry, as an input hands it on to be parsed. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct record {
	const char *text; /* the message; not NUL-terminated; the input's, until its next record */
	size_t length;
	uint64_t kernel_us; /* printk's clock of its boot: good for the time between two records */
	uint64_t realtime_us;  /* when it was stored, on the wall clock; 0: unknown */
	uint64_t monotonic_us; /* the same on this boot's CLOCK_MONOTONIC; 0: another boot, unknown
				*/
	uint32_t log;	       /* 0: the kernel's; else whose, counted from 1 */
	uint32_t boot;	       /* differs between neighbours of different boots */
	bool past; /* a predecessor has acted on it: it can begin a knock, but not complete one */
};
