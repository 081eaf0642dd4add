#include "cli/audit/probe-histogram.h"

#include <errno.h>
#include <stdlib.h>

#include "core/probe.h"
#include "core/record.h"
#include "format/format.h"
#include "input/input.h"
#include "util/cleanup.h"

DEFINE_CLEANUP(struct format *, format_free)
DEFINE_CLEANUP(struct source *, source_free)

static void count(struct pressure *pressure, const struct record *record, const struct probe *probe)
{
	uint64_t span_us = pressure->end_us - pressure->start_us;
	uint64_t at_us = record->realtime_us - pressure->start_us;

	pressure->n_probes++;
	pressure->ports[probe->protocol == IPPROTO_UDP][probe->port]++;
	if (record->realtime_us >= pressure->start_us && at_us < span_us)
		pressure->bins[(uint64_t)((double)at_us / (double)span_us * PRESSURE_BINS)]++;
}

static int count_all(struct pressure *pressure, const struct format *format, struct source *source)
{
	struct record record;
	struct probe probe;
	int r;

	while ((r = source_next(source, &record)) == SOURCE_RECORD) {
		if (format_parse(format, &record, &probe) != FORMAT_PROBE)
			continue;
		if (pressure->start_us > record.realtime_us && pressure->n_probes == 0)
			pressure->start_us = record.realtime_us;
		count(pressure, &record, &probe);
	}
	return r < 0 ? r : 0;
}

int pressure_read(const char *log_prefix, const char *directory, uint64_t since_us,
		  uint64_t until_us, uint64_t first_us, struct pressure **ret)
{
	CLEANUP(cleanup_format_free) struct format *format = NULL;
	CLEANUP(cleanup_source_free) struct source *source = NULL;
	CLEANUP(cleanup_free) struct pressure *pressure = calloc(1, sizeof *pressure);
	int r;

	if (!pressure)
		return -ENOMEM;
	pressure->start_us = since_us > 0 ? since_us : first_us;
	pressure->end_us = until_us;
	r = format_new_kernel(log_prefix, &format);
	if (r == 0)
		r = source_new_journal(directory, NULL, since_us, until_us, &source);
	if (r == 0)
		r = count_all(pressure, format, source);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(pressure);
	return 0;
}
