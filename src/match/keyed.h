/* Keyed doors: tokens and SPA knocks from the keys directory to a verdict, those that were used
 * before left out.
 *
 * MUST: a request is reported with what has to be burnt (keys/burn.h) before it opens anything.
 * Whatever comes of it then, it was seen on the wire and is not good again. */
#pragma once

#include "core/keyed/request.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct burn;
struct config;
struct expected_ports;
struct keyed_counts;
struct keyed_matcher;
struct probe;

/* What became of a request. */
struct keyed_answer {
	const struct request *request;
	const char *user;	 /* whose key it is; NULL: nobody's */
	struct key_id key;	 /* which of theirs */
	const char *reason;	 /* why it must open nothing; NULL: it may open its door */
	enum refusal refusal;	 /* with a reason: which */
	const struct burn *burn; /* to be run in any case; NULL: nothing, or it was reported before,
				  * or in a rehearsal */
};
typedef void (*keyed_answer_fn)(void *userdata, const struct keyed_answer *answer);

/* Reads the keys, saying nothing of those that are refused, and compiles. In a rehearsal, used
 * knocks are known to it and to nobody else. What a predecessor (or NULL) remembers of each
 * source is taken over. 0; -ENOMEM; -E2BIG: too many keys for so many doors. */
int keyed_matcher_new(const struct config *config, bool is_rehearsal,
		      const struct keyed_matcher *predecessor, struct keyed_matcher **ret);
struct keyed_matcher *keyed_matcher_free(struct keyed_matcher *doors);

/* Feeds a probe that was logged at this Unix time. `fn` is called before it returns, once for each
 * request; not at all if `is_past`, for what a predecessor has acted on is burnt. True: the source
 * may be in the middle of a token. */
bool keyed_matcher_feed(struct keyed_matcher *doors, const struct probe *probe, uint64_t unix_s,
			bool is_past, keyed_answer_fn fn, void *userdata);

/* To be called about every second. */
void keyed_matcher_tend(struct keyed_matcher *doors, uint64_t unix_s);

/* Another boot. */
void keyed_matcher_forget(struct keyed_matcher *doors);

/* Whether the user has a key, and still this one (NULL or none: any of theirs), unless a
 * predecessor (NULL: none) did not have it either, or it had expired at this Unix time. */
bool keyed_matcher_know(const struct keyed_matcher *doors, const struct keyed_matcher *predecessor,
			const char *user, const struct key_id *key, uint64_t unix_s);

/* Whether any user has this key. */
bool keyed_matcher_has_key(const struct keyed_matcher *doors, const struct key_id *key);

/* Calls `fn` for each user whose key has expired since one Unix time and until another, or has come
 * near to that (keys/keyring.h), with what is to be said of it. */
typedef void (*keyed_expiry_fn)(void *userdata, const char *user, const char *text);
void keyed_matcher_expiries(const struct keyed_matcher *doors, uint64_t from_s, uint64_t to_s,
			    keyed_expiry_fn fn, void *userdata);

/* As keyed_expected(). */
struct expected_ports *keyed_matcher_expected(const struct keyed_matcher *doors);

const struct keyed_counts *keyed_matcher_counts(const struct keyed_matcher *doors);
