/* The matcher: from a record to a match, compiled from one configuration. */
#pragma once

#include "core/engine/engine.h"
#include "core/visitor.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct burn;
struct config;
struct expected_ports;
struct matcher;
struct keyed_counts;
struct one_time;
struct probe;
struct record;

struct matcher_counts {
	uint64_t records; /* fed */
	uint64_t probes;
	uint64_t full_tables; /* how often the kernel reported that a limit's is full */
	uint64_t damaged;     /* with the prefix, but not as the kernel writes them; of other logs,
				 those whose pattern matched, but not what it had to find */
};

/* The source has completed the knock of door number `door`. */
struct match {
	size_t door;
	struct address source;
	enum knock_kind knock;
	const char *user;     /* whose key it was; NULL: nobody's */
	struct key_id key;    /* which of theirs */
	uint32_t seconds;     /* asked for; 0: as long as the door says */
	const char *problem;  /* why it must open nothing; NULL: it may */
	enum refusal refusal; /* with a problem: which */
	/* What has to be burnt first, in any case, and then opens it if there is no problem; NULL:
	 * nothing. It is valid as long as the match, and its file as long as the matcher. */
	const struct burn *burn;
};
typedef void (*match_fn)(void *userdata, const struct match *match);

/* How far a source is: the first `n_steps` of the `n_needed` of the door's sequence were its last
 * probes. */
struct match_progress {
	size_t door;
	size_t n_steps, n_needed;
	struct address source;
};
typedef void (*match_progress_fn)(void *userdata, const struct match_progress *progress);

/* What becomes of knocks that are good once. */
enum matcher_mode {
	MATCH_LIVE,    /* the match says what has to be burnt */
	MATCH_DRY_RUN, /* files stay as they are; a used one is not good for another knock */
};

/* Compiles the configuration, which is not kept; matches number its doors. With a predecessor (or
 * NULL), knocks under way go on, as far as their doors have stayed the same, and what was used up
 * stays so. 0; -EBADMSG: a pattern or a file of one-time sequences is wrong, as
 * checked_config_load() would have said; another negative errno. */
int matcher_new(const struct config *config, enum matcher_mode mode,
		const struct matcher *predecessor, struct matcher **ret);
struct matcher *matcher_free(struct matcher *matcher);

/* Takes one record; `fn` is called before it returns, once for each door whose knock it completes.
 * A match with a problem must open nothing. A record of the past, which a predecessor has acted on,
 * uses up no sequence. */
enum engine_state matcher_feed(struct matcher *matcher, const struct record *record, match_fn fn,
			       void *userdata);

/* The same for n records, one after another, and faster where sources are very many. In `fn`,
 * matcher_record() is the one that it is about. The state is that after the last one. */
enum engine_state matcher_feed_all(struct matcher *matcher, const struct record *records, size_t n,
				   match_fn fn, void *userdata);
const struct record *matcher_record(const struct matcher *matcher);

/* Whether a record of this log (0: the kernel's; else counted from 1) can begin like this. */
bool matcher_begins(const struct matcher *matcher, uint32_t log, const char *text, size_t length);

/* An SPA knock that names no door, or one that nobody could open. */
struct matcher_stray {
	struct address source;
	const char *user; /* whose key it is; NULL: unknown */
	const char *reason;
	enum refusal refusal;
};
typedef void (*matcher_stray_fn)(void *userdata, const struct matcher_stray *stray);

/* Who gets the strays, if anybody. */
void matcher_set_stray(struct matcher *matcher, matcher_stray_fn fn, void *userdata);

/* Prepares for the time that comes: to be called about every second. */
void matcher_tend(struct matcher *matcher, uint64_t realtime_us);

/* Whether the user has a key, and still this one (NULL or none: any of theirs), unless a
 * predecessor (NULL: none) did not have it either, or it had expired by now. */
bool matcher_knows(const struct matcher *matcher, const struct matcher *predecessor,
		   const char *user, const struct key_id *key, uint64_t realtime_us);

/* As keyed_matcher_has_key(). */
bool matcher_has_key(const struct matcher *matcher, const struct key_id *key);

/* As keyed_matcher_expiries(). */
typedef void (*matcher_expiry_fn)(void *userdata, const char *user, const char *text);
void matcher_expiries(const struct matcher *matcher, uint64_t from_us, uint64_t to_us,
		      matcher_expiry_fn fn, void *userdata);

/* The ports that keyed knocks are expected at (core/keyed/expected.h). They are the matcher's. */
struct expected_ports *matcher_expected(const struct matcher *matcher);

/* What tokens and SPA knocks have cost. */
const struct keyed_counts *matcher_keyed_counts(const struct matcher *matcher);

/* Reports how far the source of the last record fed is, if that was a probe, as engine_progress()
 * does. */
void matcher_progress(const struct matcher *matcher, match_progress_fn fn, void *userdata);

/* The probe that the last record fed was, until the next; NULL: it was none. */
const struct probe *matcher_probe(const struct matcher *matcher);

/* The file that the door's sequences come from; NULL: it has one in the configuration. */
const struct one_time *matcher_one_time(const struct matcher *matcher, size_t door);

const struct matcher_counts *matcher_counts(const struct matcher *matcher);

/* Sources that are remembered. */
size_t matcher_sources(const struct matcher *matcher);
