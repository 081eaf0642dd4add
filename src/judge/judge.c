#include "judge/judge.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

#include "config/config.h"
#include "core/probe.h"
#include "core/record.h"
#include "record/format.h"
#include "util/cleanup.h"

struct judge {
	struct format *format;
	struct engine *engine;
	struct judge_counts counts;
	uint32_t boot;
};

DEFINE_CLEANUP(struct judge *, judge_free)

static int compile(const struct config *config, struct engine **ret)
{
	CLEANUP(cleanup_free) const struct knock **knocks = NULL;
	struct engine_limits limits = {
		.max_sources = config->max_sources,
		.ipv6_prefix = config->ipv6_prefix,
	};

	knocks = calloc(config->n_doors, sizeof *knocks);
	if (!knocks)
		return -ENOMEM;
	for (size_t i = 0; i < config->n_doors; i++)
		knocks[i] = &config->doors[i].knock;
	randombytes_buf(limits.hash_key, sizeof limits.hash_key);
	return engine_new(&limits, knocks, config->n_doors, ret);
}

int judge_new(const struct config *config, const struct judge *predecessor, struct judge **ret)
{
	CLEANUP(cleanup_judge_free) struct judge *judge = calloc(1, sizeof *judge);
	int r;

	if (!judge)
		return -ENOMEM;
	if (sodium_init() < 0)
		return -EIO;
	r = format_new_kernel(config->log_prefix, &judge->format);
	if (r == 0)
		r = compile(config, &judge->engine);
	if (r < 0)
		return r;
	if (predecessor) {
		engine_inherit(judge->engine, predecessor->engine);
		judge->counts = predecessor->counts;
		judge->boot = predecessor->boot;
	}
	*ret = TAKE_PTR(judge);
	return 0;
}

struct judge *judge_free(struct judge *judge)
{
	if (judge) {
		format_free(judge->format);
		engine_free(judge->engine);
		free(judge);
	}
	return NULL;
}

enum engine_state judge_feed(struct judge *judge, const struct record *record, engine_match_fn fn,
			     void *userdata)
{
	enum format_verdict verdict;
	struct probe probe;

	/* Another boot, another clock: what was remembered cannot be compared any more. */
	if (record->boot != judge->boot)
		engine_forget(judge->engine);
	judge->boot = record->boot;
	judge->counts.records++;
	verdict = format_parse(judge->format, record, &probe);
	if (verdict == FORMAT_DAMAGED)
		judge->counts.damaged++;
	if (verdict != FORMAT_PROBE)
		return ENGINE_QUIET;
	judge->counts.probes++;
	return engine_feed(judge->engine, &probe, fn, userdata);
}

const struct judge_counts *judge_counts(const struct judge *judge)
{
	return &judge->counts;
}
