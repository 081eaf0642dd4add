#include "daemon/stats.h"

#include <stddef.h>

#define ROW(field)                                                                                 \
	{                                                                                          \
#field, offsetof(struct stats, field)                                              \
	}

static const struct {
	const char *name;
	size_t offset;
} rows[] = {
	ROW(since_us), ROW(last_probe_us), ROW(last_reload_us), ROW(records),	   ROW(probes),
	ROW(damaged),  ROW(missed),	   ROW(gaps),		ROW(sources),	   ROW(max_sources),
	ROW(matches),  ROW(opened),	   ROW(renewed),	ROW(adopted),	   ROW(restored),
	ROW(missing),  ROW(closed),	   ROW(refused),	ROW(close_failed), ROW(grants),
	ROW(doors),    ROW(reloads),	   ROW(failed_reloads),
};

void stats_count(struct stats *stats, enum grant_event event)
{
	switch (event) {
	case GRANT_OPENED:
		stats->opened++;
		break;
	case GRANT_RENEWED:
		stats->renewed++;
		break;
	case GRANT_ADOPTED:
		stats->adopted++;
		break;
	case GRANT_RESTORED:
		stats->restored++;
		break;
	case GRANT_MISSING:
		stats->missing++;
		break;
	case GRANT_CLOSED:
		stats->closed++;
		break;
	case GRANT_REFUSED:
		stats->refused++;
		break;
	case GRANT_CLOSE_FAILED:
		stats->close_failed++;
		break;
	default:
		break;
	}
}

int stats_each(const struct stats *stats, stats_fn fn, void *userdata)
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const void *field = (const char *)stats + rows[i].offset;
		int r = fn(userdata, rows[i].name, *(const uint64_t *)field);

		if (r < 0)
			return r;
	}
	return 0;
}
