/* Stats: what the daemon has counted since it started, as names and numbers. */
#pragma once

#include "core/event.h"

#include <stdint.h>

struct stats {
	uint64_t since_us;	/* wall clock: when it started */
	uint64_t last_probe_us; /* wall clock; 0: none */
	uint64_t last_reload_us;
	uint64_t records, probes, damaged;
	uint64_t missed, gaps;	       /* see struct input_counts */
	uint64_t full_tables;	       /* see struct matcher_counts */
	uint64_t sources, max_sources; /* trackers in use, and how many there may be */
	uint64_t matches;
	uint64_t opened, renewed, adopted, restored, missing, closed, refused, close_failed;
	uint64_t refusals[N_REFUSALS];
	uint64_t grants, doors; /* open now; configured */
	uint64_t reloads, failed_reloads;
};

/* Counts what has happened to a grant. */
void stats_count(struct stats *stats, const struct event *event);

/* Calls `fn` for each of them. A name ends in _us if it is a time. Stops at the first negative
 * return value, and returns it; otherwise 0. */
typedef int (*stats_fn)(void *userdata, const char *name, uint64_t value);
int stats_each(const struct stats *stats, stats_fn fn, void *userdata);
