/* Progress: a count on standard error while reading takes long, if that is a terminal. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct progress {
	uint64_t n;	  /* records */
	uint64_t next_us; /* when to say the next; UINT64_MAX: never */
	bool is_shown;
};

void progress_begin(struct progress *progress);

/* One record more; from one thread. */
void progress_step(struct progress *progress);

/* Clears the line, before something else is printed; from any thread. */
void progress_hide(struct progress *progress);
