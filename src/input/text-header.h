/* The head of a line of a text log: when the kernel wrote it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct text_header {
	uint64_t realtime_us; /* the wall clock; 0: the line does not say */
	uint64_t kernel_us;   /* since boot, from the kernel's "[   12.345678]", if has_kernel_us */
	bool has_kernel_us;
};

/* Reads what dmesg, syslog and journalctl's short forms put before a message of the kernel, and
 * returns where the message begins. Another program's name is left in the message, where no prefix
 * matches it. `now_us` completes dates without a year. */
const char *text_header_parse(const char *line, uint64_t now_us, struct text_header *ret);
