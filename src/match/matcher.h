/* The judge: the way from a record to a match, compiled from one configuration. */
#pragma once

#include "core/engine/engine.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct burnt;
struct config;
struct judge;
struct keyed_counts;
struct one_time;
struct probe;
struct record;

struct judge_counts {
	uint64_t records; /* fed */
	uint64_t probes;
	uint64_t damaged; /* with the prefix, but not as the kernel writes them; of other sources,
			     those whose pattern matched, but not what it had to find */
};

/* What becomes of the sequences that are good for one knock. Tokens and SPA knocks are written down
 * with judge_burn_in(). */
enum judge_mode {
	JUDGE_IN_EARNEST, /* a used one is marked in its file, before the match is told */
	JUDGE_REHEARSAL,  /* files stay as they are; a used one is not good for another knock */
};

/* Compiles the configuration, which is not kept; matches number its doors. With a predecessor (or
 * NULL), knocks under way go on, as far as their doors have stayed the same. 0; -EBADMSG: a pattern
 * or a file of one-time sequences is wrong, as load_config() would have said; another negative
 * errno. */
int judge_new(const struct config *config, enum judge_mode mode, const struct judge *predecessor,
	      struct judge **ret);
struct judge *judge_free(struct judge *judge);

/* Judges one record; `fn` is called before it returns, once for each door whose knock it completes.
 * It may be told of a problem, for which the door must stay shut. A record of the past, which a
 * predecessor has judged, uses up no sequence. */
enum engine_state judge_feed(struct judge *judge, const struct record *record, engine_match_fn fn,
			     void *userdata);

/* The same for n records, one after another, and faster where sources are very many. In `fn`,
 * judge_record() tells which of them it is about. The state is that after the last one. */
enum engine_state judge_feed_all(struct judge *judge, const struct record *records, size_t n,
				 engine_match_fn fn, void *userdata);
const struct record *judge_record(const struct judge *judge);

/* Where tokens and SPA knocks are burnt, before a match is told. Without it they are good once as
 * far as this judge knows. It is borrowed. */
void judge_burn_in(struct judge *judge, struct burnt *burnt);

/* An SPA knock that names no door, or one that nobody could open. */
struct judge_stray {
	struct address source;
	const char *user; /* whose key it is; NULL: unknown */
	const char *reason;
};
typedef void (*judge_stray_fn)(void *userdata, const struct judge_stray *stray);

/* Who is told of strays, if anybody. */
void judge_set_stray(struct judge *judge, judge_stray_fn fn, void *userdata);

/* Prepares for the time that comes: to be called about every second. */
void judge_tend(struct judge *judge, uint64_t realtime_us);

/* Whether the user has a key, and (unless there is no predecessor) the same one as there. */
bool judge_knows(const struct judge *judge, const struct judge *predecessor, const char *user);

/* What tokens and SPA knocks have cost. */
const struct keyed_counts *judge_keyed_counts(const struct judge *judge);

/* Tells how far the source of the last record fed is, if that was a probe: engine_progress(), in
 * numbers of doors. */
void judge_progress(const struct judge *judge, engine_progress_fn fn, void *userdata);

/* The probe that the last record fed was, until the next; NULL: it was none. */
const struct probe *judge_probe(const struct judge *judge);

/* The file that the door's sequences come from; NULL: it has one in the configuration. */
const struct one_time *judge_one_time(const struct judge *judge, size_t door);

const struct judge_counts *judge_counts(const struct judge *judge);

/* Sources that are remembered. */
size_t judge_sources(const struct judge *judge);
