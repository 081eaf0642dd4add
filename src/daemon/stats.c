#include "daemon/stats.h"

#include <stddef.h>
#include <stdio.h>

#define ROW(field)                                                                                 \
	{                                                                                          \
#field, offsetof(struct stats, field)                                              \
	}

static const struct {
	const char *name;
	size_t offset;
} rows[] = {
	ROW(since_us),	  ROW(last_probe_us), ROW(last_reload_us), ROW(records),
	ROW(probes),	  ROW(damaged),	      ROW(missed),	   ROW(gaps),
	ROW(sources),	  ROW(max_sources),   ROW(matches),	   ROW(opened),
	ROW(renewed),	  ROW(adopted),	      ROW(restored),	   ROW(missing),
	ROW(closed),	  ROW(refused),	      ROW(close_failed),   ROW(grants),
	ROW(full_tables), ROW(doors),	      ROW(reloads),	   ROW(failed_reloads),
};

void stats_count(struct stats *stats, const struct event *event)
{
	switch (event->kind) {
	case EVENT_OPENED:
		stats->opened++;
		break;
	case EVENT_RENEWED:
		stats->renewed++;
		break;
	case EVENT_ADOPTED:
		stats->adopted++;
		break;
	case EVENT_RESTORED:
		stats->restored++;
		break;
	case EVENT_MISSING:
		stats->missing++;
		break;
	case EVENT_CLOSED:
		stats->closed++;
		break;
	case EVENT_REFUSED:
		stats->refused++;
		stats->refusals[event->refusal]++;
		break;
	case EVENT_CLOSE_FAILED:
		stats->close_failed++;
		break;
	default:
		break;
	}
}

static int each_refusal(const struct stats *stats, stats_fn fn, void *userdata)
{
	char name[40];
	int r = 0;

	for (enum refusal i = 0; r >= 0 && i < N_REFUSALS; i++) {
		snprintf(name, sizeof name, "refused_%s", refusal_name(i));
		r = fn(userdata, name, stats->refusals[i]);
	}
	return r < 0 ? r : 0;
}

int stats_each(const struct stats *stats, stats_fn fn, void *userdata)
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const void *field = (const char *)stats + rows[i].offset;
		int r = fn(userdata, rows[i].name, *(const uint64_t *)field);

		if (r < 0)
			return r;
	}
	return each_refusal(stats, fn, userdata);
}
