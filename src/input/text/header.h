/* The head of a line of a text log: when the kernel wrote it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text_messages;

struct text_header {
	uint64_t realtime_us; /* the wall clock; 0: the line does not say */
	uint64_t later_us;    /* or this, when the clock showed that hour twice; 0: it is not so */
	uint64_t kernel_us;   /* since boot, from the kernel's "[   12.345678]", if has_kernel_us */
	uint64_t delta_us;    /* since the line before, if has_delta */
	bool has_kernel_us, has_delta;
	bool understood; /* the message begins where it was found, says who knows messages */
};

/* Reads what dmesg, syslog and journalctl's short forms put before a message, and returns where
 * that begins: where `messages` says so, or (NULL) where nothing of a head is left. Another
 * program's name is taken for a part of the message, where no prefix matches it, unless `messages`
 * are anybody's. `now_us` completes dates without a year. */
const char *text_header_parse(const char *line, uint64_t now_us,
			      const struct text_messages *messages, struct text_header *ret);
