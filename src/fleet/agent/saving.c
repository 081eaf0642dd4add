#include "fleet/agent/saving.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fleet/agent/closed-file.h"
#include "util/clock.h"
#include "util/log.h"

/* Between two times that it is saved. */
#define PAUSE_US UINT64_C(100000)

struct saving {
	const char *directory;
	const struct ledger *ledger;
	sd_event_source *timer;
	uint64_t again_us; /* not before; CLOCK_MONOTONIC */
};

static void saving_save(struct saving *saving)
{
	int r = closed_file_save(saving->directory, saving->ledger);

	if (r < 0)
		log_line(LOG_ERR, "cannot save what was closed in %s: %s", saving->directory,
			 strerror(-r));
	saving->again_us = clock_us(CLOCK_MONOTONIC) + PAUSE_US;
}

static int on_time(sd_event_source *source, uint64_t time_us, void *userdata)
{
	(void)source;
	(void)time_us;
	saving_save(userdata);
	return 0;
}

void saving_soon(struct saving *saving)
{
	int is_enabled;

	/* Whatever comes meanwhile, it is not put off. */
	if (sd_event_source_get_enabled(saving->timer, &is_enabled) > 0)
		return;
	if (clock_us(CLOCK_MONOTONIC) >= saving->again_us) {
		saving_save(saving);
		return;
	}
	sd_event_source_set_time(saving->timer, saving->again_us);
	sd_event_source_set_enabled(saving->timer, SD_EVENT_ONESHOT);
}

int saving_new(sd_event *event, const char *directory, const struct ledger *ledger,
	       struct saving **ret)
{
	struct saving *saving = calloc(1, sizeof *saving);
	int r;

	if (!saving)
		return -ENOMEM;
	*saving = (struct saving){.directory = directory, .ledger = ledger};
	r = sd_event_add_time(event, &saving->timer, CLOCK_MONOTONIC, UINT64_MAX, 0, on_time,
			      saving);
	if (r >= 0)
		r = sd_event_source_set_enabled(saving->timer, SD_EVENT_OFF);
	if (r < 0) {
		sd_event_source_unref(saving->timer);
		free(saving);
		return r;
	}
	*ret = saving;
	return 0;
}

struct saving *saving_free(struct saving *saving)
{
	if (saving) {
		saving_save(saving);
		sd_event_source_unref(saving->timer);
		free(saving);
	}
	return NULL;
}
