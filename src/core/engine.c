#include "core/engine.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/automaton.h"
#include "core/door.h"
#include "core/probe.h"
#include "core/tracker.h"

/* Two CPUs may stamp neighbouring lines a little out of order; what is further back is another
 * clock. */
#define DISORDER_US UINT64_C(1000000)

enum { PAST_MIN = 4 };

struct lane {
	struct filter filter;
	struct automaton *automaton;
	struct tracker_table *trackers;
	uint32_t *knocks; /* by the automaton's number: the caller's */
	uint64_t *seq_timeouts_us;
	size_t n_knocks;
	uint64_t memory_us; /* after this time nothing of a source's past can matter */
};

struct engine {
	uint8_t ipv6_prefix;
	size_t n_lanes;
	struct lane lanes[ENGINE_LANES_MAX];
};

static struct lane *find_lane(struct engine *engine, const struct filter *filter)
{
	for (size_t i = 0; i < engine->n_lanes; i++)
		if (filter_equal(&engine->lanes[i].filter, filter))
			return &engine->lanes[i];
	return NULL;
}

/* Sorts the knocks into lanes, counting only. */
static int open_lanes(struct engine *engine, const struct knock *const *knocks, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct lane *lane = find_lane(engine, &knocks[i]->filter);

		if (!lane) {
			if (engine->n_lanes == ENGINE_LANES_MAX)
				return -E2BIG;
			lane = &engine->lanes[engine->n_lanes++];
			lane->filter = knocks[i]->filter;
		}
		lane->n_knocks++;
	}
	return 0;
}

static int lane_compile(struct lane *lane, const struct engine_limits *limits,
			const struct sequence *const *sequences)
{
	size_t n_past;
	int r;

	r = automaton_new(sequences, lane->n_knocks, &lane->automaton);
	if (r < 0)
		return r;
	n_past = automaton_depth(lane->automaton);
	if (n_past < PAST_MIN)
		n_past = PAST_MIN;
	return tracker_table_new(limits->max_sources, n_past, limits->hash_key, &lane->trackers);
}

static int lane_fill(struct lane *lane, const struct engine_limits *limits,
		     const struct knock *const *knocks, size_t n)
{
	const struct sequence **sequences = calloc(lane->n_knocks, sizeof *sequences);
	size_t filled = 0;
	int r = -ENOMEM;

	lane->knocks = calloc(lane->n_knocks, sizeof *lane->knocks);
	lane->seq_timeouts_us = calloc(lane->n_knocks, sizeof *lane->seq_timeouts_us);
	lane->memory_us = ENGINE_RETRANSMISSION_US;
	if (sequences && lane->knocks && lane->seq_timeouts_us) {
		for (size_t i = 0; i < n; i++) {
			if (!filter_equal(&lane->filter, &knocks[i]->filter))
				continue;
			sequences[filled] = &knocks[i]->sequence;
			lane->knocks[filled] = (uint32_t)i;
			lane->seq_timeouts_us[filled] = knocks[i]->seq_timeout_us;
			if (knocks[i]->seq_timeout_us > lane->memory_us)
				lane->memory_us = knocks[i]->seq_timeout_us;
			filled++;
		}
		r = lane_compile(lane, limits, sequences);
	}
	free(sequences);
	return r;
}

int engine_new(const struct engine_limits *limits, const struct knock *const *knocks, size_t n,
	       struct engine **ret)
{
	struct engine *engine = calloc(1, sizeof *engine);
	int r;

	if (!engine)
		return -ENOMEM;
	engine->ipv6_prefix = limits->ipv6_prefix;
	r = open_lanes(engine, knocks, n);
	for (size_t i = 0; r == 0 && i < engine->n_lanes; i++)
		r = lane_fill(&engine->lanes[i], limits, knocks, n);
	if (r < 0) {
		engine_free(engine);
		return r;
	}
	*ret = engine;
	return 0;
}

struct engine *engine_free(struct engine *engine)
{
	if (!engine)
		return NULL;
	for (size_t i = 0; i < engine->n_lanes; i++) {
		automaton_free(engine->lanes[i].automaton);
		tracker_table_free(engine->lanes[i].trackers);
		free(engine->lanes[i].knocks);
		free(engine->lanes[i].seq_timeouts_us);
	}
	free(engine);
	return NULL;
}

/* What a retransmission has in common with the first copy. For one target and protocol it is the
 * two ports and nothing else, so that no two of a client's packets are ever confused. */
static uint32_t tag_of(const struct probe *probe)
{
	uint32_t target = probe->protocol;

	for (size_t i = 0; i < sizeof probe->target.bytes; i++)
		target = (target ^ probe->target.bytes[i]) * 16777619u; /* FNV-1a */
	return ((uint32_t)probe->source_port << 16 | probe->port) ^ target;
}

static bool is_retransmission(const struct lane *lane, const struct tracker *tracker, uint32_t tag,
			      uint64_t delta_us)
{
	uint64_t age_us = delta_us;

	for (size_t i = 0; i < tracker->n_past && age_us <= ENGINE_RETRANSMISSION_US; i++) {
		const struct past *past = tracker_past(lane->trackers, tracker, i);

		if (past->tag == tag)
			return true;
		age_us += past->delta_us;
	}
	return false;
}

/* From the first of the last n packets to the last. */
static uint64_t span_us(const struct lane *lane, const struct tracker *tracker, size_t n)
{
	uint64_t span = 0;

	for (size_t i = 0; i + 1 < n; i++)
		span += tracker_past(lane->trackers, tracker, i)->delta_us;
	return span;
}

static void report_matches(const struct lane *lane, const struct tracker *tracker,
			   const struct probe *probe, engine_match_fn fn, void *userdata)
{
	struct automaton_end end = automaton_first(lane->automaton, tracker->node);

	for (; end.sequence != AUTOMATON_NONE; end = automaton_another(lane->automaton, end)) {
		size_t n_steps = automaton_length(lane->automaton, end);

		if (span_us(lane, tracker, n_steps) <= lane->seq_timeouts_us[end.sequence])
			fn(userdata, &(struct match){.knock = lane->knocks[end.sequence],
						     .source = probe->source});
	}
}

/* The time since the source's last packet. Forgets its past if the clock went back. */
static uint64_t elapsed_us(struct tracker *tracker, uint64_t now_us)
{
	if (now_us >= tracker->last_us)
		return now_us - tracker->last_us;
	if (tracker->last_us - now_us > DISORDER_US) {
		tracker_reset(tracker);
		tracker->last_us = now_us;
	}
	return 0;
}

static enum engine_state lane_feed(struct lane *lane, const struct probe *probe,
				   const struct address *source, engine_match_fn fn, void *userdata)
{
	const struct step step = {.port = probe->port, .protocol = probe->protocol};
	uint32_t tag = tag_of(probe);
	struct tracker *tracker;
	uint64_t delta_us;

	if (probe->time_us > lane->memory_us)
		tracker_table_expire(lane->trackers, probe->time_us - lane->memory_us);
	tracker = tracker_table_get(lane->trackers, source, probe->time_us);
	delta_us = elapsed_us(tracker, probe->time_us);
	if (!is_retransmission(lane, tracker, tag, delta_us)) {
		tracker_push(lane->trackers, tracker, tag, delta_us);
		tracker->last_us += delta_us;
		tracker->node = automaton_next(lane->automaton, tracker->node, &step);
		report_matches(lane, tracker, probe, fn, userdata);
	}
	return tracker->node != AUTOMATON_ROOT ? ENGINE_UNDERWAY : ENGINE_QUIET;
}

enum engine_state engine_feed(struct engine *engine, const struct probe *probe, engine_match_fn fn,
			      void *userdata)
{
	enum engine_state state = ENGINE_QUIET;
	struct address source = probe->source;

	if (address_family(&source) == FAMILY_IPV6)
		source = address_masked(&source, engine->ipv6_prefix);
	for (size_t i = 0; i < engine->n_lanes; i++)
		if (filter_passes(&engine->lanes[i].filter, probe) &&
		    lane_feed(&engine->lanes[i], probe, &source, fn, userdata) == ENGINE_UNDERWAY)
			state = ENGINE_UNDERWAY;
	return state;
}

/* Any step that matters to a sequence of both automata is on the path to the old node, because
 * there the longest suffix of all steps was kept that begins some sequence. */
static uint32_t translate(const struct lane *lane, const struct lane *other, uint32_t old_node)
{
	struct step steps[SEQUENCE_STEPS_MAX];
	size_t n = automaton_path(other->automaton, old_node, steps);
	uint32_t node = AUTOMATON_ROOT;

	for (size_t i = 0; i < n; i++)
		node = automaton_next(lane->automaton, node, &steps[i]);
	return node;
}

static void lane_inherit(struct lane *lane, const struct lane *other)
{
	const struct tracker *old = NULL;

	while ((old = tracker_table_next(other->trackers, old))) {
		struct tracker *tracker =
			tracker_table_get(lane->trackers, &old->source, old->last_us);

		for (size_t i = old->n_past; i > 0; i--) {
			const struct past *past = tracker_past(other->trackers, old, i - 1);

			tracker_push(lane->trackers, tracker, past->tag, past->delta_us);
		}
		tracker->node = translate(lane, other, old->node);
	}
}

void engine_inherit(struct engine *engine, const struct engine *other)
{
	if (engine->ipv6_prefix != other->ipv6_prefix)
		return;
	for (size_t i = 0; i < other->n_lanes; i++) {
		struct lane *lane = find_lane(engine, &other->lanes[i].filter);

		if (lane)
			lane_inherit(lane, &other->lanes[i]);
	}
}

void engine_forget(struct engine *engine)
{
	for (size_t i = 0; i < engine->n_lanes; i++)
		tracker_table_clear(engine->lanes[i].trackers);
}

size_t engine_sources(const struct engine *engine)
{
	size_t n = 0;

	for (size_t i = 0; i < engine->n_lanes; i++)
		n += tracker_table_size(engine->lanes[i].trackers);
	return n;
}
