#include "daemon/sweep.h"

#include <string.h>

#include "daemon/grant-loop.h"
#include "util/clock.h"
#include "util/log.h"

static int sweep_grants(struct grant_loop *loop)
{
	int r = grants_sweep(grant_loop_grants(loop), clock_us(CLOCK_BOOTTIME));
	int left;

	if (r < 0)
		log_line(LOG_ERR, "cannot read saved grants: %s", strerror(-r));
	grant_loop_rearm(loop);
	left = grant_loop_wait_empty(loop);
	return r < 0 ? r : left;
}

int sweep_run(const char *runtime_directory)
{
	struct grant_loop *loop = NULL;
	sd_event *event = NULL;
	int r;

	r = sd_event_new(&event);
	if (r < 0)
		return r;
	r = grant_loop_new(event, runtime_directory, &loop);
	if (r == 0) {
		r = sweep_grants(loop);
		if (r < 0)
			log_line(LOG_ERR, "failed to close %zu doors",
				 grants_count(grant_loop_grants(loop)));
	}
	grant_loop_free(loop);
	sd_event_unref(event);
	return r;
}
