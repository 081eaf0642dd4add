/* The judge: the way from a record to a match, compiled from one configuration. */
#pragma once

#include "core/engine.h"

#include <stdint.h>

struct config;
struct judge;
struct record;

struct judge_counts {
	uint64_t records; /* fed */
	uint64_t probes;
	uint64_t damaged; /* with the prefix, but not as the kernel writes them */
};

/* Compiles the configuration, which is not kept; matches number its doors. With a predecessor (or
 * NULL), knocks under way go on, as far as their doors have stayed the same. 0 or a negative errno.
 */
int judge_new(const struct config *config, const struct judge *predecessor, struct judge **ret);
struct judge *judge_free(struct judge *judge);

/* Judges one record; `fn` is called before it returns, once for each door whose knock it completes.
 */
enum engine_state judge_feed(struct judge *judge, const struct record *record, engine_match_fn fn,
			     void *userdata);

const struct judge_counts *judge_counts(const struct judge *judge);
