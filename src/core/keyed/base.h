/* The two halves of keyed knocks. Within keyed.c, tokens.c and requests.c only. */
#pragma once

#include "core/keyed/access.h"
#include "core/keyed/budget.h"
#include "core/keyed/keyed.h"

struct requests;
struct tokens;

/* What both need. */
struct keyed_base {
	struct keyed_limits limits;
	struct access access;
	struct budget budget;
	struct keyed_counts counts;
};

/* Index rows up to which steps beyond the reach are looked for too, so that it can be told how far
 * a clock is off: two minutes are, with the default clock_skew. */
enum { KEYED_TELL_ROWS_MAX = 4096, KEYED_TELL_STEPS = 4 };

/* One probe on its way, and whom to tell. */
struct keyed_case {
	const struct probe *probe;
	uint64_t unix_s;
	uint64_t step;
	request_fn fn;
	void *userdata;
};

/* Takes one try from the source's budget and counts. */
bool keyed_try(struct keyed_base *base, const struct probe *probe);

/* Steps before and after now that may be good, and how many more are told apart. */
unsigned keyed_reach(const struct keyed_base *base);
unsigned keyed_margin(size_t n_rows);

int tokens_new(struct keyed_base *base, struct tokens **ret);
struct tokens *tokens_free(struct tokens *tokens);
void tokens_inherit(struct tokens *tokens, const struct tokens *other);
bool tokens_feed(struct tokens *tokens, const struct keyed_case *one);
void tokens_tend(struct tokens *tokens, uint64_t step);
void tokens_forget(struct tokens *tokens);

int requests_new(struct keyed_base *base, struct requests **ret);
struct requests *requests_free(struct requests *requests);
void requests_feed(struct requests *requests, const struct keyed_case *one);
void requests_tend(struct requests *requests, uint64_t step);
