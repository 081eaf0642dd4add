#include "cli/common/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "cli/common/output.h"
#include "util/clock.h"

/* What takes no longer than the first is not worth a word. */
#define FIRST_US (2 * US_PER_S)
#define NEXT_US	 (US_PER_S / 5)

/* How many records go by between two looks at the clock. */
enum { LOOK = 1024 };

void progress_begin(struct progress *progress)
{
	*progress = (struct progress){.next_us = UINT64_MAX};
	if (output_is_terminal(stderr))
		progress->next_us = clock_us(CLOCK_MONOTONIC) + FIRST_US;
}

void progress_step(struct progress *progress)
{
	uint64_t now_us;

	if (++progress->n % LOOK != 0 || progress->next_us == UINT64_MAX)
		return;
	now_us = clock_us(CLOCK_MONOTONIC);
	if (now_us < progress->next_us)
		return;
	progress->next_us = now_us + NEXT_US;
	flockfile(stderr);
	fprintf(stderr, "\r%" PRIu64 " records read \033[K", progress->n);
	progress->is_shown = true;
	funlockfile(stderr);
}

void progress_hide(struct progress *progress)
{
	flockfile(stderr);
	if (progress->is_shown)
		fputs("\r\033[K", stderr);
	progress->is_shown = false;
	funlockfile(stderr);
}
