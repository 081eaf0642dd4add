#include "cli/audit/probe-histogram.h"

#include <errno.h>
#include <stdlib.h>

#include "cli/common/progress.h"
#include "core/probe.h"
#include "core/record.h"
#include "core/sequence.h"
#include "format/format.h"
#include "input/input.h"
#include "util/cleanup.h"

DEFINE_CLEANUP(struct format *, format_free)
DEFINE_CLEANUP(struct input *, input_free)

static void histogram_count(struct probe_histogram *histogram, const struct record *record,
			    const struct probe *probe)
{
	uint64_t span_us = histogram->end_us - histogram->start_us;
	uint64_t at_us = record->realtime_us - histogram->start_us;

	histogram->n_probes++;
	histogram->ports[probe->protocol == IPPROTO_UDP][probe->port]++;
	if (record->realtime_us >= histogram->start_us && at_us < span_us)
		histogram->bins[(uint64_t)((double)at_us / (double)span_us *
					   PROBE_HISTOGRAM_BINS)]++;
}

static int count_all(struct probe_histogram *histogram, const struct format *format,
		     struct input *input)
{
	struct progress progress;
	struct record record;
	struct probe probe;
	int r;

	progress_begin(&progress);
	while ((r = input_next(input, &record)) == INPUT_RECORD) {
		progress_step(&progress);
		if (format_parse(format, &record, &probe) != FORMAT_PROBE)
			continue;
		if (histogram->start_us > record.realtime_us && histogram->n_probes == 0)
			histogram->start_us = record.realtime_us;
		histogram_count(histogram, &record, &probe);
	}
	progress_hide(&progress);
	return r < 0 ? r : 0;
}

int probe_histogram_read(const char *log_prefix, const char *directory, uint64_t since_us,
			 uint64_t until_us, uint64_t first_us, struct probe_histogram **ret)
{
	CLEANUP(cleanup_format_free) struct format *format = NULL;
	CLEANUP(cleanup_input_free) struct input *input = NULL;
	CLEANUP(cleanup_free) struct probe_histogram *histogram = calloc(1, sizeof *histogram);
	int r;

	if (!histogram)
		return -ENOMEM;
	histogram->start_us = since_us > 0 ? since_us : first_us;
	histogram->end_us = until_us;
	r = format_new_kernel(log_prefix, &format);
	if (r == 0)
		r = input_new_journal(directory, NULL, since_us, until_us, &input);
	if (r == 0)
		r = count_all(histogram, format, input);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(histogram);
	return 0;
}

void probe_histogram_conceal(struct probe_histogram *histogram, const struct sequence *sequence)
{
	for (size_t i = 0; i < sequence->n_steps; i++) {
		const struct step *step = &sequence->steps[i];

		histogram->ports[step->protocol == IPPROTO_UDP][step->port] = 0;
	}
}
