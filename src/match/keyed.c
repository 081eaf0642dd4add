#include "match/keyed.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "core/keyed/keyed.h"
#include "keys/burn.h"
#include "keys/burnt.h"
#include "keys/keyring.h"
#include "util/cleanup.h"
#include "util/clock.h"

enum { REASON_MAX = 160, SEEN_MAX = 256 };

/* A request that had to be burnt: it is not good again even if that was not possible. */
struct seen_request {
	struct burn burn;
	struct address source;
	bool was_good;
};

struct keyed_matcher {
	struct keyring *keyring;
	struct keyed *keyed;
	struct seen_request seen[SEEN_MAX]; /* a ring */
	size_t n_seen;
	struct burnt *rehearsed; /* what was used in a rehearsal; NULL: it is none */
	uint32_t skew_s;
	char (*names)[DOOR_NAME_MAX + 1]; /* by the door's number */
};

DEFINE_CLEANUP(struct keyed_matcher *, keyed_matcher_free)

static int copy_names(struct keyed_matcher *doors, const struct config *config)
{
	doors->names = calloc(config->n_doors + 1, sizeof *doors->names);
	if (!doors->names)
		return -ENOMEM;
	for (size_t i = 0; i < config->n_doors; i++)
		memcpy(doors->names[i], config->doors[i].name, sizeof *doors->names);
	return 0;
}

static bool needs_keys(const struct config *config)
{
	for (size_t i = 0; i < config->n_doors; i++)
		if (config->doors[i].auth & (AUTH_TOKEN | AUTH_SPA))
			return true;
	return false;
}

static int keyed_matcher_compile(struct keyed_matcher *doors, const struct config *config,
				 bool is_rehearsal)
{
	struct keyed_limits limits = {
		.max_sources = config->max_sources,
		.ipv6_prefix = config->ipv6_prefix,
		.skew_s = (uint32_t)(config->clock_skew_us / US_PER_S),
	};
	int r = copy_names(doors, config);

	if (r == 0 && needs_keys(config))
		r = keyring_load(config->keys, config->realm, NULL, NULL, &doors->keyring);
	else if (r == 0)
		r = keyring_new(&doors->keyring);
	if (r == 0 && is_rehearsal)
		r = burnt_new(NULL, limits.skew_s, &doors->rehearsed);
	if (r < 0)
		return r;
	doors->skew_s = limits.skew_s;
	randombytes_buf(limits.hash_key, sizeof limits.hash_key);
	return keyed_new(&limits, config->doors, config->n_doors, doors->keyring->holders,
			 doors->keyring->n, &doors->keyed);
}

int keyed_matcher_new(const struct config *config, bool is_rehearsal,
		      const struct keyed_matcher *predecessor, struct keyed_matcher **ret)
{
	CLEANUP(cleanup_keyed_matcher_free) struct keyed_matcher *doors = calloc(1, sizeof *doors);
	int r;

	if (!doors)
		return -ENOMEM;
	r = keyed_matcher_compile(doors, config, is_rehearsal);
	if (r < 0)
		return r;
	if (predecessor) {
		keyed_inherit(doors->keyed, predecessor->keyed);
		memcpy(doors->seen, predecessor->seen, sizeof doors->seen);
		doors->n_seen = predecessor->n_seen;
	}
	*ret = TAKE_PTR(doors);
	return 0;
}

struct keyed_matcher *keyed_matcher_free(struct keyed_matcher *doors)
{
	if (doors) {
		keyed_free(doors->keyed);
		keyring_free(doors->keyring);
		burnt_free(doors->rehearsed);
		free(doors->names);
		free(doors);
	}
	return NULL;
}

/* One probe on its way. */
struct keyed_feeding {
	struct keyed_matcher *doors;
	uint64_t unix_s;
	bool is_past;
	keyed_answer_fn fn;
	void *userdata;
};

/* Whatever is authentic and could still be good where or when an eavesdropper sends it again: good
 * requests, and those that come too early or in another way. */
static bool must_burn(const struct request *request)
{
	return request->verdict == REQUEST_GOOD || request->verdict == REQUEST_WRONG_WAY ||
	       (request->verdict == REQUEST_STALE && request->off_s < 0);
}

static struct burn request_burn(const struct keyed_feeding *feeding, const struct request *request)
{
	const struct keyed_matcher *doors = feeding->doors;
	struct burn burn = {
		.kind = BURN_TOKEN,
		.now_s = feeding->unix_s,
		.skew_s = doors->skew_s,
		.key = doors->keyring->ids[request->key],
		.step = request->step,
		.time_s = request->time_s,
	};

	if (request->kind == KNOCK_SPA)
		burn.kind = BURN_SPA;
	else if (request->verdict == REQUEST_STALE)
		burn.kind = BURN_TOKEN_AHEAD;
	snprintf(burn.door, sizeof burn.door, "%s/%d", doors->names[request->door],
		 address_family(&request->source) == FAMILY_IPV4 ? 4 : 6);
	memcpy(burn.nonce, request->nonce, sizeof burn.nonce);
	return burn;
}

bool keyed_matcher_has_key(const struct keyed_matcher *doors, const struct key_id *key)
{
	for (size_t i = 0; i < doors->keyring->n; i++)
		if (key_id_equal(&doors->keyring->ids[i], key))
			return true;
	return false;
}

static const char *explain_verdict(const struct request *request, char text[static REASON_MAX])
{
	switch (request->verdict) {
	case REQUEST_GOOD:
		return NULL;
	case REQUEST_STALE:
		snprintf(text, REASON_MAX, "%s by %lld s: its clock is off",
			 request->off_s > 0 ? "stale" : "too early", llabs(request->off_s));
		return text;
	case REQUEST_WRONG_SOURCE:
		return "wrong source: an address is missing, or not allowed here";
	case REQUEST_OTHER_SOURCE:
		return "wrong source: it names another address, or was altered in transit";
	case REQUEST_WRONG_USER:
		return "not this user's door";
	case REQUEST_WRONG_WAY:
		return "it arrived where this door does not listen (interface or target)";
	case REQUEST_NO_DOOR:
		return "unknown door, or one that takes no SPA knocks";
	case REQUEST_NO_KEY:
		return "unknown key, or damaged";
	case REQUEST_DROPPED:
		return "rate limit of this source or network exceeded";
	}
	return "unknown";
}

/* Whether its key is good at this time. */
static const char *explain_term(const struct key_term *term, uint64_t unix_s)
{
	if (key_term_holds(term, unix_s))
		return NULL;
	return unix_s < term->since_s ? "its key is not good yet" : "its key has expired";
}

static enum refusal verdict_refusal(enum request_verdict verdict)
{
	static const enum refusal refusals[] = {
		[REQUEST_STALE] = REFUSAL_CLOCK,	 [REQUEST_WRONG_SOURCE] = REFUSAL_SOURCE,
		[REQUEST_OTHER_SOURCE] = REFUSAL_SOURCE, [REQUEST_WRONG_USER] = REFUSAL_USER,
		[REQUEST_WRONG_WAY] = REFUSAL_OTHER,	 [REQUEST_NO_DOOR] = REFUSAL_OTHER,
		[REQUEST_NO_KEY] = REFUSAL_KEY,		 [REQUEST_DROPPED] = REFUSAL_RATE,
	};

	return refusals[verdict];
}

static const struct seen_request *find_seen(const struct keyed_matcher *doors,
					    const struct burn *burn)
{
	for (size_t i = 0; i < SEEN_MAX; i++) /* what is not taken yet is of no door */
		if (burn_equal(&doors->seen[i].burn, burn))
			return &doors->seen[i];
	return NULL;
}

static void remember_seen(struct keyed_matcher *doors, const struct burn *burn,
			  const struct request *request)
{
	doors->seen[doors->n_seen++ % SEEN_MAX] = (struct seen_request){
		.burn = *burn,
		.source = request->source,
		.was_good = request->verdict == REQUEST_GOOD,
	};
}

/* Packets are lost on their way, so clients send a knock again. The same one from the same source
 * is one knock: it has had its answer. */
static bool is_sent_again(const struct seen_request *seen, const struct request *request)
{
	return seen && seen->was_good && request->verdict == REQUEST_GOOD &&
	       address_equal(&seen->source, &request->source);
}

/* It is refused for this unless there was another reason before. */
static void answer_refuse(struct keyed_answer *answer, const char *reason, enum refusal refusal)
{
	if (answer->reason || !reason)
		return;
	answer->reason = reason;
	answer->refusal = refusal;
}

static void on_request(void *userdata, const struct request *request)
{
	const struct keyed_feeding *feeding = userdata;
	struct keyed_matcher *doors = feeding->doors;
	struct keyed_answer answer = {.request = request};
	char text[REASON_MAX], burn_text[BURN_REASON_SIZE];
	const struct seen_request *seen;
	struct burn burn;
	int r = 0;

	if (feeding->is_past)
		return;
	if (request->key != REQUEST_NOBODY) {
		answer.user = doors->keyring->holders[request->key].user;
		answer.key = doors->keyring->ids[request->key];
	}
	answer_refuse(&answer, explain_verdict(request, text), verdict_refusal(request->verdict));
	if (must_burn(request)) {
		burn = request_burn(feeding, request);
		seen = find_seen(doors, &burn);
		if (is_sent_again(seen, request))
			return;
		if (!seen)
			remember_seen(doors, &burn, request);
		if (seen)
			r = -EALREADY;
		else if (doors->rehearsed)
			r = burn_run(doors->rehearsed, &burn);
		else
			answer.burn = &burn;
		answer_refuse(&answer, burn_explain(&burn, r, burn_text), burn_refusal(&burn, r));
	}
	if (request->key != REQUEST_NOBODY)
		answer_refuse(&answer,
			      explain_term(&doors->keyring->terms[request->key], feeding->unix_s),
			      REFUSAL_EXPIRED);
	feeding->fn(feeding->userdata, &answer);
}

bool keyed_matcher_feed(struct keyed_matcher *doors, const struct probe *probe, uint64_t unix_s,
			bool is_past, keyed_answer_fn fn, void *userdata)
{
	struct keyed_feeding feeding = {doors, unix_s, is_past, fn, userdata};

	return keyed_feed(doors->keyed, probe, unix_s, on_request, &feeding);
}

void keyed_matcher_tend(struct keyed_matcher *doors, uint64_t unix_s)
{
	keyed_tend(doors->keyed, unix_s);
}

void keyed_matcher_forget(struct keyed_matcher *doors)
{
	keyed_forget(doors->keyed);
}

/* The position of this key of the user's, or SIZE_MAX. */
static size_t position_of(const struct keyring *keyring, const char *user, const struct key_id *key)
{
	size_t i = keyring_find(keyring, user);

	for (; i < keyring->n && strcmp(keyring->holders[i].user, user) == 0; i++)
		if (key_id_equal(&keyring->ids[i], key))
			return i;
	return SIZE_MAX;
}

bool keyed_matcher_know(const struct keyed_matcher *doors, const struct keyed_matcher *predecessor,
			const char *user, const struct key_id *key, uint64_t unix_s)
{
	const struct keyring *old = predecessor ? predecessor->keyring : NULL;
	const struct key_term *term;
	size_t i;

	if (keyring_find(doors->keyring, user) == SIZE_MAX)
		return false;
	if (!key || key_id_is_none(key) || position_of(doors->keyring, user, key) != SIZE_MAX)
		return true;
	i = old ? position_of(old, user, key) : SIZE_MAX;
	if (i == SIZE_MAX)
		return old;
	term = &old->terms[i];
	return term->expires_s != 0 && term->expires_s <= unix_s;
}

void keyed_matcher_expiries(const struct keyed_matcher *doors, uint64_t from_s, uint64_t to_s,
			    keyed_expiry_fn fn, void *userdata)
{
	const struct keyring *keyring = doors->keyring;
	char text[KEY_WARNING_SIZE];

	for (size_t i = 0; i < keyring->n; i++) {
		uint64_t end_s = keyring->terms[i].expires_s;
		bool ends = from_s < end_s && end_s <= to_s;
		bool nears = from_s + KEY_WARNING_S < end_s && end_s <= to_s + KEY_WARNING_S;

		if ((ends || nears) && keyring_warning(keyring, i, to_s, text))
			fn(userdata, keyring->holders[i].user, text);
	}
}

struct expected_ports *keyed_matcher_expected(const struct keyed_matcher *doors)
{
	return keyed_expected(doors->keyed);
}

const struct keyed_counts *keyed_matcher_counts(const struct keyed_matcher *doors)
{
	return keyed_counts(doors->keyed);
}
