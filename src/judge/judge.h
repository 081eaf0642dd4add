/* The judge: the way from a record to a match, compiled from one configuration. */
#pragma once

#include "core/engine.h"

#include <stdbool.h>
#include <stdint.h>

struct config;
struct judge;
struct record;

struct judge_counts {
	uint64_t records; /* fed */
	uint64_t probes;
	uint64_t damaged; /* with the prefix, but not as the kernel writes them */
};

/* Compiles the configuration, which is not kept; matches number its doors. 0 or a negative errno.
 */
int judge_new(const struct config *config, struct judge **ret);
struct judge *judge_free(struct judge *judge);

/* Whether two configurations compile to the same judge. */
bool judge_equal(const struct config *a, const struct config *b);

/* Judges one record; `fn` is called before it returns, once for each door whose knock it completes.
 */
void judge_feed(struct judge *judge, const struct record *record, engine_match_fn fn,
		void *userdata);

const struct judge_counts *judge_counts(const struct judge *judge);
