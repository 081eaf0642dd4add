#include "core/keyed/keyed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/keyed/base.h"
#include "core/keyed/expected.h"
#include "core/keyed/spa-knocks.h"
#include "core/keyed/token-knocks.h"
#include "core/token.h"

struct keyed {
	struct keyed_base base;
	struct token_knocks *tokens;
	struct spa_knocks *spas;
	uint64_t step;
};

int keyed_new(const struct keyed_limits *limits, const struct door *doors, size_t n_doors,
	      const struct key_holder *keys, size_t n_keys, struct keyed **ret)
{
	struct keyed *keyed = calloc(1, sizeof *keyed);
	int r;

	if (!keyed)
		return -ENOMEM;
	keyed->base.limits = *limits;
	memcpy(keyed->base.budget.key, limits->hash_key, sizeof keyed->base.budget.key);
	r = access_init(doors, n_doors, keys, n_keys, &keyed->base.access);
	if (r == 0)
		r = token_knocks_new(&keyed->base, &keyed->tokens);
	if (r == 0)
		r = spa_knocks_new(&keyed->base, &keyed->spas);
	if (r == 0)
		r = expected_ports_new(&keyed->base.access, limits->skew_s, &keyed->base.expected);
	if (r < 0) {
		keyed_free(keyed);
		return r;
	}
	*ret = keyed;
	return 0;
}

struct keyed *keyed_free(struct keyed *keyed)
{
	if (keyed) {
		token_knocks_free(keyed->tokens);
		spa_knocks_free(keyed->spas);
		expected_ports_free(keyed->base.expected);
		access_done(&keyed->base.access);
		free(keyed);
	}
	return NULL;
}

void keyed_inherit(struct keyed *keyed, const struct keyed *other)
{
	keyed->base.counts = other->base.counts;
	if (keyed->base.limits.ipv6_prefix == other->base.limits.ipv6_prefix)
		token_knocks_inherit(keyed->tokens, other->tokens);
}

/* Records that are a little out of order must not turn the index back and forth. */
static uint64_t step_of(struct keyed *keyed, uint64_t unix_s)
{
	uint64_t step = token_step(unix_s);

	if (step + 1 != keyed->step)
		keyed->step = step;
	return keyed->step;
}

bool keyed_feed(struct keyed *keyed, const struct probe *probe, uint64_t unix_s, request_fn fn,
		void *userdata)
{
	struct keyed_case one = {.probe = probe, .unix_s = unix_s, .fn = fn, .userdata = userdata};

	if (unix_s == 0 || keyed->base.access.n_doors == 0)
		return false;
	one.step = step_of(keyed, unix_s);
	spa_knocks_feed(keyed->spas, &one);
	return token_knocks_feed(keyed->tokens, &one);
}

void keyed_tend(struct keyed *keyed, uint64_t unix_s)
{
	uint64_t step = step_of(keyed, unix_s);

	spa_knocks_tend(keyed->spas, step);
	token_knocks_tend(keyed->tokens, step);
}

void keyed_forget(struct keyed *keyed)
{
	token_knocks_forget(keyed->tokens);
}

struct expected_ports *keyed_expected(const struct keyed *keyed)
{
	return keyed->base.expected;
}

const struct keyed_counts *keyed_counts(const struct keyed *keyed)
{
	return &keyed->base.counts;
}
