#include "core/engine/engine.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/door.h"
#include "core/engine/automaton.h"
#include "core/engine/tracker.h"
#include "core/probe.h"

/* Two CPUs may stamp neighbouring lines a little out of order; what is further back is another
 * clock. */
#define DISORDER_US UINT64_C(1000000)

enum { PAST_MIN = 4 };

struct engine_lane {
	struct filter filter;
	struct automaton *automaton;
	struct tracker_table *trackers;
	uint32_t *knocks; /* by the automaton's number: as numbered by engine_new() */
	uint64_t *seq_timeouts_us;
	uint8_t *lengths;
	size_t n_knocks;
	uint64_t memory_us; /* after this time nothing of a source's past can matter */
};

/* The sources of the probes that engine_expect() has announced, with their hashes. */
struct expected {
	size_t n, i; /* the next one is number i of n */
	struct address sources[ENGINE_EXPECTED_MAX];
	uint32_t hashes[ENGINE_EXPECTED_MAX];
};

struct engine {
	uint8_t ipv6_prefix;
	uint8_t hash_key[TRACKER_KEY_BYTES];
	size_t n_lanes;
	struct engine_lane lanes[ENGINE_LANES_MAX];
	struct expected expected;
};

static struct engine_lane *engine_find_lane(struct engine *engine, const struct filter *filter)
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
		struct engine_lane *lane = engine_find_lane(engine, &knocks[i]->filter);

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

static int lane_compile(struct engine_lane *lane, const struct engine_limits *limits,
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

static int lane_fill(struct engine_lane *lane, const struct engine_limits *limits,
		     const struct knock *const *knocks, size_t n)
{
	const struct sequence **sequences = calloc(lane->n_knocks, sizeof *sequences);
	size_t filled = 0;
	int r = -ENOMEM;

	lane->knocks = calloc(lane->n_knocks, sizeof *lane->knocks);
	lane->seq_timeouts_us = calloc(lane->n_knocks, sizeof *lane->seq_timeouts_us);
	lane->lengths = calloc(lane->n_knocks, sizeof *lane->lengths);
	lane->memory_us = ENGINE_RETRANSMISSION_US;
	if (sequences && lane->knocks && lane->seq_timeouts_us && lane->lengths) {
		for (size_t i = 0; i < n; i++) {
			if (!filter_equal(&lane->filter, &knocks[i]->filter))
				continue;
			sequences[filled] = &knocks[i]->sequence;
			lane->knocks[filled] = (uint32_t)i;
			lane->lengths[filled] = knocks[i]->sequence.n_steps;
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
	memcpy(engine->hash_key, limits->hash_key, sizeof engine->hash_key);
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
		free(engine->lanes[i].lengths);
	}
	free(engine);
	return NULL;
}

/* What a retransmission has in common with the first copy. For one target and protocol it is the
 * two ports and nothing else, so that no two of a client's packets are ever confused. */
static uint32_t tag_of(const struct probe *probe)
{
	uint64_t high, low, target;

	memcpy(&high, probe->target.bytes, sizeof high);
	memcpy(&low, probe->target.bytes + sizeof high, sizeof low);
	target = (high ^ probe->protocol) * UINT64_C(0x9e3779b97f4a7c15) ^ low;
	target = (target ^ target >> 32) * UINT64_C(0xd6e8feb86659fd93);
	return ((uint32_t)probe->source_port << 16 | probe->port) ^ (uint32_t)(target >> 32);
}

static void report_matches(const struct engine_lane *lane, const struct tracker *tracker,
			   const struct probe *probe, engine_match_fn fn, void *userdata)
{
	struct automaton_end end = automaton_first(lane->automaton, tracker_node(tracker));

	for (; end.sequence != AUTOMATON_NONE; end = automaton_another(lane->automaton, end)) {
		size_t n_steps = automaton_length(lane->automaton, end);

		if (tracker_span_us(lane->trackers, tracker, n_steps) <=
		    lane->seq_timeouts_us[end.sequence])
			fn(userdata, &(struct engine_match){.knock = lane->knocks[end.sequence],
							    .source = probe->source});
	}
}

/* Browsers, telephones and Windows try each port twice. */
static bool lane_is_repeat(const struct engine_lane *lane, const struct tracker *tracker,
			   const struct step *step, uint32_t tag)
{
	uint32_t node = tracker_node(tracker);

	if (!tracker_is_to_last_port(tracker, tag) || automaton_counts_each(lane->automaton, step))
		return false;
	/* Tags of other protocols may look alike. */
	return node == AUTOMATON_ROOT
		       ? automaton_next(lane->automaton, node, step) == AUTOMATON_ROOT
		       : automaton_is_after(lane->automaton, node, step);
}

static enum engine_state lane_feed(struct engine_lane *lane, const struct probe *probe,
				   const struct address *source, uint32_t hash, engine_match_fn fn,
				   void *userdata)
{
	const struct step step = {.port = probe->port, .protocol = probe->protocol};
	const uint32_t tag = tag_of(probe);
	struct tracker *tracker;
	uint64_t delta_us;
	uint32_t node;

	tracker_table_expire(lane->trackers, probe->time_us, lane->memory_us);
	tracker = tracker_table_get(lane->trackers, source, hash, probe->time_us);
	delta_us = tracker_elapsed_us(lane->trackers, tracker, probe->time_us, DISORDER_US);
	node = tracker_node(tracker);
	if (delta_us > ENGINE_RETRANSMISSION_US)
		tracker_forget_repeats(tracker);
	if (tracker_has(lane->trackers, tracker, tag, delta_us, ENGINE_RETRANSMISSION_US)) {
		/* It has been seen. */
	} else if (lane_is_repeat(lane, tracker, &step, tag)) {
		tracker_repeat(lane->trackers, tracker, tag, delta_us, probe->time_us,
			       ENGINE_RETRANSMISSION_US);
	} else {
		tracker_push(lane->trackers, tracker, tag, delta_us, probe->time_us);
		node = automaton_next(lane->automaton, node, &step);
		tracker_move(tracker, node);
		report_matches(lane, tracker, probe, fn, userdata);
	}
	return node != AUTOMATON_ROOT ? ENGINE_UNDERWAY : ENGINE_QUIET;
}

static void lane_expect(const struct engine_lane *lane, const struct expected *expected,
			const struct probe *probes)
{
	tracker_table_expect(lane->trackers, expected->hashes, expected->n);
	for (size_t i = 0; i < expected->n; i++) {
		const struct step step = {.port = probes[i].port, .protocol = probes[i].protocol};
		const struct tracker *tracker = tracker_table_find(
			lane->trackers, &expected->sources[i], expected->hashes[i]);

		automaton_expect(lane->automaton, tracker ? tracker_node(tracker) : AUTOMATON_ROOT,
				 &step);
	}
}

void engine_expect(struct engine *engine, const struct probe *probes, size_t n)
{
	struct expected *expected = &engine->expected;

	expected->i = 0;
	expected->n = n < ENGINE_EXPECTED_MAX ? n : ENGINE_EXPECTED_MAX;
	for (size_t i = 0; i < expected->n; i++) {
		expected->sources[i] = address_source(&probes[i].source, engine->ipv6_prefix);
		expected->hashes[i] = tracker_hash(engine->hash_key, &expected->sources[i]);
	}
	for (size_t i = 0; i < engine->n_lanes; i++)
		lane_expect(&engine->lanes[i], expected, probes);
}

static uint32_t hash_of(struct engine *engine, const struct address *source)
{
	struct expected *expected = &engine->expected;

	if (expected->i < expected->n && address_equal(&expected->sources[expected->i], source))
		return expected->hashes[expected->i++];
	return tracker_hash(engine->hash_key, source);
}

enum engine_state engine_feed(struct engine *engine, const struct probe *probe, engine_match_fn fn,
			      void *userdata)
{
	enum engine_state state = ENGINE_QUIET;
	struct address source = address_source(&probe->source, engine->ipv6_prefix);
	uint32_t hash = hash_of(engine, &source);

	for (size_t i = 0; i < engine->n_lanes; i++)
		if (filter_passes(&engine->lanes[i].filter, probe) &&
		    lane_feed(&engine->lanes[i], probe, &source, hash, fn, userdata) ==
			    ENGINE_UNDERWAY)
			state = ENGINE_UNDERWAY;
	return state;
}

static void lane_progress(const struct engine_lane *lane, const struct probe *probe,
			  const struct address *source, uint32_t hash, engine_progress_fn fn,
			  void *userdata)
{
	const struct tracker *tracker = tracker_table_find(lane->trackers, source, hash);
	uint64_t span_us;
	uint32_t whole;
	size_t n_steps;

	if (!tracker || tracker_node(tracker) == AUTOMATON_ROOT)
		return;
	n_steps = automaton_depth_at(lane->automaton, tracker_node(tracker));
	whole = automaton_whole(lane->automaton, tracker_node(tracker));
	span_us = tracker_span_us(lane->trackers, tracker, n_steps) + probe->time_us -
		  tracker_last_us(lane->trackers, tracker);
	if (span_us <= lane->seq_timeouts_us[whole])
		fn(userdata, &(struct engine_progress){
				     .knock = lane->knocks[whole],
				     .n_steps = n_steps,
				     .n_needed = lane->lengths[whole],
				     .source = probe->source,
			     });
}

void engine_progress(const struct engine *engine, const struct probe *probe, engine_progress_fn fn,
		     void *userdata)
{
	struct address source = address_source(&probe->source, engine->ipv6_prefix);
	uint32_t hash = tracker_hash(engine->hash_key, &source);

	for (size_t i = 0; i < engine->n_lanes; i++)
		if (filter_passes(&engine->lanes[i].filter, probe))
			lane_progress(&engine->lanes[i], probe, &source, hash, fn, userdata);
}

/* Any step that matters to a sequence of both automata is on the path to the old node, because
 * there the longest suffix of all steps was kept that begins some sequence. */
static uint32_t lane_translate(const struct engine_lane *lane, const struct engine_lane *other,
			       uint32_t old_node)
{
	struct step steps[SEQUENCE_STEPS_MAX];
	size_t n = automaton_path(other->automaton, old_node, steps);
	uint32_t node = AUTOMATON_ROOT;

	for (size_t i = 0; i < n; i++)
		node = automaton_next(lane->automaton, node, &steps[i]);
	return node;
}

static void lane_inherit(struct engine_lane *lane, const struct engine_lane *other,
			 const uint8_t *hash_key)
{
	const struct tracker *old = NULL;

	while ((old = tracker_table_next(other->trackers, old))) {
		const struct address *source = tracker_source(old);
		struct tracker *tracker =
			tracker_table_get(lane->trackers, source, tracker_hash(hash_key, source),
					  tracker_last_us(other->trackers, old));

		tracker_inherit(lane->trackers, tracker, other->trackers, old);
		tracker_move(tracker, lane_translate(lane, other, tracker_node(old)));
	}
}

void engine_inherit(struct engine *engine, const struct engine *other)
{
	if (engine->ipv6_prefix != other->ipv6_prefix)
		return;
	for (size_t i = 0; i < other->n_lanes; i++) {
		struct engine_lane *lane = engine_find_lane(engine, &other->lanes[i].filter);

		if (lane)
			lane_inherit(lane, &other->lanes[i], engine->hash_key);
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

size_t engine_bytes(const struct engine *engine)
{
	size_t n = 0;

	for (size_t i = 0; i < engine->n_lanes; i++)
		n += tracker_table_bytes(engine->lanes[i].trackers);
	return n;
}
