#include "core/keyed/token-knocks.h"

#include <errno.h>
#include <sodium/utils.h>
#include <stdlib.h>

#include "core/address.h"
#include "core/keyed/base.h"
#include "core/keyed/expected.h"
#include "core/keyed/pending.h"
#include "core/keyed/recent.h"
#include "core/keyed/selectors.h"
#include "core/probe.h"
#include "core/secret.h"
#include "core/token.h"

/* A source's last probes are looked through for tokens if one of them selects some token and two of
 * them are a pair of some token (core/pairs.h), which is rare but for those who knock. Of a token
 * that names its source only the selector is known beforehand: once that has come it is computed,
 * and then waits for the rest. */

/* A probe brings this many index rows forward, each tending a share of all, so that all are done
 * within two thirds of a step. */
enum { ROWS_A_PROBE = 8, TENDINGS = TOKEN_STEP_S * 2 / 3 };

/* A door and a key. */
struct pair {
	uint32_t door, key; /* positions in the access matrix */
};

struct token_lane;

/* What is sent over one family. */
struct token_index {
	const struct token_lane *lane;
	enum family family;
	struct selectors *selectors;
};

/* The doors with one filter. */
struct token_lane {
	struct keyed_base *base;
	struct filter filter;
	struct recent_table *recent;
	struct token_index indexes[N_FAMILIES];
	struct pair *pairs; /* by an index's row; those that may be bound are the last */
	size_t n_pairs, n_unbound;
	struct pending_tokens *pending_token; /* NULL: no door here takes bound ones */
};

struct token_knocks {
	struct keyed_base *base;
	struct token_lane *lanes;
	size_t n_lanes;
};

/* What a row's token of a step is made of. */
static struct token_seed seed_of(const struct token_lane *lane, enum family family, size_t row,
				 uint64_t step)
{
	const struct access *access = &lane->base->access;
	const struct pair *pair = &lane->pairs[row];

	return (struct token_seed){
		.base = &access->bases[pair->key],
		.door = access->doors[pair->door].name,
		.family = family,
		.step = step,
	};
}

static void fill_ports(void *userdata, size_t row, uint64_t step, uint16_t *ret_ports)
{
	const struct token_index *index = userdata;
	const struct token_seed seed = seed_of(index->lane, index->family, row, step);

	token_ports(&seed, NULL, ret_ports);
}

/* Where the ports of the probe's family are looked up. */
static struct selectors *selectors_for(const struct token_lane *lane, const struct keyed_case *one)
{
	return lane->indexes[address_family(&one->probe->source)].selectors;
}

static bool is_in(const struct token_lane *lane, const struct access_door *door)
{
	return door->auth & AUTH_TOKEN && filter_equal(&lane->filter, &door->filter);
}

/* The pairs of a key with a door that it may open, or of all keys with all doors, as long as the
 * doors take bound tokens or don't. */
static size_t collect_pairs(const struct token_lane *lane, bool all, bool bound,
			    struct pair *ret_pairs)
{
	const struct access *access = &lane->base->access;
	size_t n = 0;

	for (size_t door = 0; door < access->n_doors; door++) {
		if (!is_in(lane, &access->doors[door]) ||
		    access_takes(&access->doors[door], true) != bound)
			continue;
		for (size_t key = 0; key < access->n_keys; key++) {
			if (!all && !access_holds(access, door, key))
				continue;
			if (ret_pairs)
				ret_pairs[n] = (struct pair){(uint32_t)door, (uint32_t)key};
			n++;
		}
	}
	return n;
}

static void count_pairs(struct token_lane *lane, bool all)
{
	lane->n_unbound = collect_pairs(lane, all, false, NULL);
	lane->n_pairs = lane->n_unbound + collect_pairs(lane, all, true, NULL);
}

/* Keys of others are looked for too while they are few, to report whose they are. */
static int find_pairs(struct token_lane *lane)
{
	bool all = true;

	count_pairs(lane, all);
	if (lane->n_pairs > KEYED_TELL_ROWS_MAX) {
		all = false;
		count_pairs(lane, all);
	}
	if (lane->n_pairs > SELECTORS_ROWS_MAX)
		return -E2BIG;
	lane->pairs = calloc(lane->n_pairs + 1, sizeof *lane->pairs);
	if (!lane->pairs)
		return -ENOMEM;
	collect_pairs(lane, all, false, lane->pairs);
	collect_pairs(lane, all, true, lane->pairs + lane->n_unbound);
	return 0;
}

static int token_index_init(struct token_index *index, const struct token_lane *lane,
			    enum family family)
{
	*index = (struct token_index){.lane = lane, .family = family};
	return selectors_new(
		&(struct selectors_options){
			.n_rows = lane->n_pairs,
			.n_ports = TOKEN_PORTS,
			.reach = keyed_reach(lane->base),
			.margin = keyed_margin(lane->n_pairs),
			.fill = fill_ports,
			.userdata = index,
		},
		&index->selectors);
}

static int token_lane_compile(struct token_lane *lane)
{
	const struct keyed_base *base = lane->base;
	int r = find_pairs(lane);

	if (r == 0)
		r = recent_table_new(base->limits.max_sources, base->limits.hash_key,
				     &lane->recent);
	if (r < 0)
		return r;
	if (lane->n_pairs > lane->n_unbound)
		r = pending_tokens_new(base->limits.hash_key, &lane->pending_token);
	for (enum family family = 0; r == 0 && family < N_FAMILIES; family++)
		r = token_index_init(&lane->indexes[family], lane, family);
	return r;
}

static struct token_lane *find_token_lane(const struct token_knocks *knocks,
					  const struct filter *filter)
{
	for (size_t i = 0; i < knocks->n_lanes; i++)
		if (filter_equal(&knocks->lanes[i].filter, filter))
			return &knocks->lanes[i];
	return NULL;
}

int token_knocks_new(struct keyed_base *base, struct token_knocks **ret)
{
	const struct access *access = &base->access;
	struct token_knocks *knocks = calloc(1, sizeof *knocks);
	int r = 0;

	if (!knocks)
		return -ENOMEM;
	knocks->base = base;
	knocks->lanes = calloc(access->n_doors + 1, sizeof *knocks->lanes);
	if (!knocks->lanes)
		r = -ENOMEM;
	for (size_t i = 0; r == 0 && i < access->n_doors; i++) {
		const struct access_door *door = &access->doors[i];
		struct token_lane *lane = &knocks->lanes[knocks->n_lanes];

		if (!(door->auth & AUTH_TOKEN) || find_token_lane(knocks, &door->filter))
			continue;
		*lane = (struct token_lane){.base = base, .filter = door->filter};
		knocks->n_lanes++;
		r = token_lane_compile(lane);
	}
	if (r < 0) {
		token_knocks_free(knocks);
		return r;
	}
	*ret = knocks;
	return 0;
}

static void token_lane_done(struct token_lane *lane)
{
	recent_table_free(lane->recent);
	for (enum family family = 0; family < N_FAMILIES; family++)
		selectors_free(lane->indexes[family].selectors);
	free(lane->pairs);
	pending_tokens_free(lane->pending_token);
}

struct token_knocks *token_knocks_free(struct token_knocks *knocks)
{
	if (!knocks)
		return NULL;
	for (size_t i = 0; i < knocks->n_lanes; i++)
		token_lane_done(&knocks->lanes[i]);
	free(knocks->lanes);
	free(knocks);
	return NULL;
}

void token_knocks_inherit(struct token_knocks *knocks, const struct token_knocks *other)
{
	for (size_t i = 0; i < other->n_lanes; i++) {
		struct token_lane *lane = find_token_lane(knocks, &other->lanes[i].filter);

		if (lane)
			recent_table_inherit(lane->recent, other->lanes[i].recent);
	}
}

void token_knocks_forget(struct token_knocks *knocks)
{
	for (size_t i = 0; i < knocks->n_lanes; i++)
		recent_table_clear(knocks->lanes[i].recent);
}

void token_knocks_tend(struct token_knocks *knocks, uint64_t step)
{
	for (size_t i = 0; i < knocks->n_lanes; i++)
		for (enum family family = 0; family < N_FAMILIES; family++)
			selectors_move(knocks->lanes[i].indexes[family].selectors, step,
				       knocks->lanes[i].n_pairs / TENDINGS + 1);
}

/* How far the step is from this time: 0 within it, negative before it. */
static int64_t off_s(uint64_t step, uint64_t unix_s)
{
	int64_t into = (int64_t)unix_s - (int64_t)(step * TOKEN_STEP_S);

	if (into < 0)
		return into;
	return into < TOKEN_STEP_S ? 0 : into - TOKEN_STEP_S + 1;
}

static enum request_verdict pair_verdict(const struct token_lane *lane, const struct pair *pair,
					 bool names_source, int64_t off)
{
	const struct access *access = &lane->base->access;

	if (!access_holds(access, pair->door, pair->key))
		return REQUEST_WRONG_USER;
	if (!access_takes(&access->doors[pair->door], names_source))
		return REQUEST_WRONG_SOURCE;
	if (llabs(off) > lane->base->limits.skew_s)
		return REQUEST_STALE;
	return REQUEST_GOOD;
}

static void report_token(const struct token_lane *lane, const struct keyed_case *one,
			 const struct selector *selector, bool names_source)
{
	const struct pair *pair = &lane->pairs[selector->row];
	int64_t off = off_s(selector->step, one->unix_s);

	one->fn(one->userdata, &(struct request){
				       .kind = KNOCK_TOKEN,
				       .verdict = pair_verdict(lane, pair, names_source, off),
				       .door = lane->base->access.doors[pair->door].number,
				       .key = pair->key,
				       .source = one->probe->source,
				       .off_s = off,
				       .step = selector->step,
			       });
}

/* What a source has probed lately. */
struct seen {
	uint16_t ports[RECENT_PROBES];
	size_t n;
	uint64_t summary;
};

static struct seen seen_now(const struct recent *recent)
{
	struct seen seen;

	seen.n = recent_ports(recent, seen.ports);
	seen.summary = selectors_summary(seen.ports, seen.n);
	return seen;
}

/* Most tokens are ruled out by their summary alone. */
static bool has_unbound(const struct seen *seen, const struct selector *selector)
{
	return (selector->summary & ~seen->summary) == 0 &&
	       token_is_complete(selector->ports, seen->ports, seen->n);
}

/* Whether one of the tokens that the port selects is complete; if so, it is reported and used up.
 */
static bool try_port(const struct token_lane *lane, const struct keyed_case *one, uint16_t port,
		     const struct seen *seen, struct recent *recent)
{
	const struct selectors *selectors = selectors_for(lane, one);
	uint32_t cell = selectors_first(selectors, port);

	for (; cell != SELECTORS_NONE; cell = selectors_next(selectors, cell)) {
		struct selector selector = selectors_get(selectors, cell);

		if (has_unbound(seen, &selector)) {
			recent_spend(recent, selector.ports, TOKEN_PORTS);
			report_token(lane, one, &selector, false);
			return true;
		}
	}
	return false;
}

/* Has what these ports select on its way into the cache. */
static void prepare_places(const struct selectors *selectors, const struct recent *recent,
			   uint32_t places)
{
	for (uint32_t left = places; left != 0; left &= left - 1)
		selectors_prepare(selectors, recent_port(recent, (unsigned)__builtin_ctz(left)));
}

static void try_unbound(const struct token_lane *lane, const struct keyed_case *one,
			struct recent *recent)
{
	uint32_t places = recent->marked & ~recent->spent;
	struct seen seen = seen_now(recent);

	prepare_places(selectors_for(lane, one), recent, places);
	for (uint32_t left = places; left != 0; left &= left - 1)
		if (try_port(lane, one, recent_port(recent, (unsigned)__builtin_ctz(left)), &seen,
			     recent))
			seen = seen_now(recent);
}

/* A computed token is reported and used up if it is complete, else it waits for a port. */
static void settle_token(const struct token_lane *lane, const struct keyed_case *one,
			 struct pending_token *token, struct recent *recent)
{
	const struct selector selector = {.row = token->row, .step = token->step};
	struct seen seen = seen_now(recent);

	if (token_is_complete(token->ports, seen.ports, seen.n)) {
		recent_spend(recent, token->ports, TOKEN_PORTS);
		report_token(lane, one, &selector, true);
		return;
	}
	for (size_t i = 0; i < TOKEN_PORTS; i++) {
		size_t j = 0;

		while (j < seen.n && seen.ports[j] != token->ports[i])
			j++;
		if (j == seen.n)
			token->port = token->ports[i];
	}
	recent->awaits = true;
	pending_tokens_put(lane->pending_token, token);
}

/* Computes the tokens that name the probe's source and that the port at this place selects. False:
 * the source has used up its share. */
static bool compute_tokens(const struct token_lane *lane, const struct keyed_case *one,
			   struct recent *recent, unsigned place)
{
	const struct address *source = &one->probe->source;
	const struct selectors *selectors = selectors_for(lane, one);
	uint32_t cell = selectors_first(selectors, recent_port(recent, place));

	for (; cell != SELECTORS_NONE && selectors_row(selectors, cell) >= lane->n_unbound;
	     cell = selectors_next(selectors, cell)) {
		struct selector selector = selectors_get(selectors, cell);
		const struct token_seed seed =
			seed_of(lane, address_family(source), selector.row, selector.step);
		struct pending_token token = {
			.source = *source, .step = selector.step, .row = (uint32_t)selector.row};

		if (!keyed_try(lane->base, one->probe))
			return false;
		token_ports(&seed, source, token.ports);
		settle_token(lane, one, &token, recent);
		sodium_memzero(&token, sizeof token);
	}
	recent->tried |= UINT32_C(1) << place;
	return true;
}

/* What has waited for the probe. Once its port is used up, the others go on waiting. */
static void feed_pending(const struct token_lane *lane, const struct keyed_case *one,
			 struct recent *recent)
{
	const struct probe *probe = one->probe;
	struct pending_token token;

	while (!recent_is_spent(recent) &&
	       pending_tokens_take(lane->pending_token, &probe->source, probe->port, &token))
		if (selectors_has(selectors_for(lane, one), token.step))
			settle_token(lane, one, &token, recent);
	sodium_memzero(&token, sizeof token);
}

static void try_bound(const struct token_lane *lane, const struct keyed_case *one,
		      struct recent *recent)
{
	const struct probe *probe = one->probe;
	uint64_t second = probe->time_us / 1000000 + 1; /* 0: none */
	uint32_t left;

	/* Where a network is one source, its tokens name one or the other of its addresses. */
	if (!address_equal(&recent->tried_for, &probe->source)) {
		recent->tried_for = probe->source;
		recent->tried = 0;
		recent->refused_s = 0;
	}
	left = recent->bound & ~recent->tried & ~recent->spent;
	if (left != 0 && recent->refused_s == second) {
		lane->base->counts.dropped++;
		return;
	}
	for (; left != 0 && recent->refused_s != second; left &= left - 1)
		if (!compute_tokens(lane, one, recent, (unsigned)__builtin_ctz(left)))
			recent->refused_s = second;
}

/* Marks a probe whose port selects tokens. */
static void mark_probe(const struct token_lane *lane, const struct keyed_case *one,
		       struct recent *recent)
{
	const struct selectors *selectors = selectors_for(lane, one);
	uint32_t cell = selectors_first(selectors, one->probe->port);

	if (cell != SELECTORS_NONE)
		recent_mark(recent, selectors_row(selectors, cell) >= lane->n_unbound);
}

/* The first port of a token that names the source has come, perhaps once more: the others are
 * expected from now on. */
static void expect_others(const struct token_lane *lane, const struct keyed_case *one)
{
	const struct selectors *selectors = selectors_for(lane, one);
	uint32_t cell = selectors_first(selectors, one->probe->port);

	/* With many keys nearly each port is a first one. */
	if (expected_ports_count(lane->base->expected) > EXPECTED_KEPT_MAX)
		return;
	for (; cell != SELECTORS_NONE && selectors_row(selectors, cell) >= lane->n_unbound;
	     cell = selectors_next(selectors, cell)) {
		const struct selector selector = selectors_get(selectors, cell);
		const struct pair *pair = &lane->pairs[selector.row];

		expected_ports_offer(lane->base->expected,
				     &(struct expected_offer){
					     .door = pair->door,
					     .key = pair->key,
					     .step = selector.step,
					     .source = one->probe->source,
				     },
				     one->unix_s);
	}
}

/* Whether a selector is among what the source has probed. */
static bool token_lane_feed(struct token_lane *lane, const struct keyed_case *one,
			    const struct address *source)
{
	const struct probe *probe = one->probe;
	struct recent *recent = recent_table_get(lane->recent, source, probe->time_us);
	struct selectors *selectors = selectors_for(lane, one);

	selectors_move(selectors, one->step, ROWS_A_PROBE);
	if (lane->pending_token)
		expect_others(lane, one);
	if (!recent_add(recent, probe->source_port, probe->port))
		return false;
	mark_probe(lane, one, recent);
	if (recent->awaits)
		feed_pending(lane, one, recent);
	if ((recent->marked & ~recent->spent) == 0)
		return false;
	if (recent_count(recent) < TOKEN_PORTS)
		return true;
	if (recent_has_pair(recent, selectors_pairs(selectors)))
		try_unbound(lane, one, recent);
	if (lane->pending_token)
		try_bound(lane, one, recent);
	return true;
}

bool token_knocks_feed(struct token_knocks *knocks, const struct keyed_case *one)
{
	struct address source =
		address_source(&one->probe->source, knocks->base->limits.ipv6_prefix);
	bool underway = false;

	for (size_t i = 0; i < knocks->n_lanes; i++)
		if (filter_passes(&knocks->lanes[i].filter, one->probe) &&
		    token_lane_feed(&knocks->lanes[i], one, &source))
			underway = true;
	return underway;
}
