#include <errno.h>
#include <sodium/utils.h>
#include <stdlib.h>

#include "core/address.h"
#include "core/keyed-parts.h"
#include "core/probe.h"
#include "core/recent.h"
#include "core/secret.h"
#include "core/selectors.h"
#include "core/token.h"

/* A token's selector is looked for once, when it arrives; the other seven, which may come before
 * and after it, are then compared with what its source has probed lately. */

/* So many index rows are brought forward by a probe, and a share of all by each tending, so that
 * all are within half a step. */
enum { ROWS_A_PROBE = 8, TENDINGS = TOKEN_STEP_S / 2 };

/* A door and a key. */
struct pair {
	uint32_t door, key; /* positions in the clearance */
};

/* The ports of a token that names its source, kept because every probe of the source asks. */
struct bound {
	uint64_t step;
	size_t row;
	struct address source;
	uint16_t ports[TOKEN_PORTS]; /* the first is 0 where nothing is kept */
};

enum { N_BOUNDS = 256 };

/* The doors with one filter. */
struct lane {
	struct keyed_base *base;
	struct filter filter;
	struct recent_table *recent;
	struct selectors *selectors;
	struct pair *pairs; /* by the index's row */
	size_t n_pairs;
	struct bound *bounds; /* N_BOUNDS of them */
};

struct tokens {
	struct keyed_base *base;
	struct lane *lanes;
	size_t n_lanes;
};

static void fill(void *userdata, size_t row, uint64_t step, uint16_t *ret_ports)
{
	const struct lane *lane = userdata;
	const struct clearance *clearance = &lane->base->clearance;
	const struct pair *pair = &lane->pairs[row];

	token_ports(&clearance->secrets[pair->key], clearance->doors[pair->door].name, step, NULL,
		    ret_ports);
}

static bool is_in(const struct lane *lane, const struct clearance_door *door)
{
	return door->auth & AUTH_TOKEN && filter_equal(&lane->filter, &door->filter);
}

/* The pairs of a key with a door that it may open, or of all keys with all doors. */
static size_t collect_pairs(const struct lane *lane, bool all, struct pair *ret_pairs)
{
	const struct clearance *clearance = &lane->base->clearance;
	size_t n = 0;

	for (size_t door = 0; door < clearance->n_doors; door++) {
		for (size_t key = 0; key < clearance->n_keys; key++) {
			if (!is_in(lane, &clearance->doors[door]) ||
			    (!all && !clearance_holds(clearance, door, key)))
				continue;
			if (ret_pairs)
				ret_pairs[n] = (struct pair){(uint32_t)door, (uint32_t)key};
			n++;
		}
	}
	return n;
}

/* Keys of others are looked for too while they are few, to tell whose they are. */
static int find_pairs(struct lane *lane)
{
	bool all = true;

	lane->n_pairs = collect_pairs(lane, all, NULL);
	if (lane->n_pairs > KEYED_TELL_ROWS_MAX) {
		all = false;
		lane->n_pairs = collect_pairs(lane, all, NULL);
	}
	if (lane->n_pairs > SELECTORS_ROWS_MAX)
		return -E2BIG;
	lane->pairs = calloc(lane->n_pairs + 1, sizeof *lane->pairs);
	if (!lane->pairs)
		return -ENOMEM;
	collect_pairs(lane, all, lane->pairs);
	return 0;
}

static int lane_compile(struct lane *lane)
{
	const struct keyed_base *base = lane->base;
	int r = find_pairs(lane);

	if (r == 0)
		r = recent_table_new(base->limits.max_sources, base->limits.hash_key,
				     &lane->recent);
	if (r < 0)
		return r;
	lane->bounds = calloc(N_BOUNDS, sizeof *lane->bounds);
	if (!lane->bounds)
		return -ENOMEM;
	return selectors_new(
		&(struct selectors_options){
			.n_rows = lane->n_pairs,
			.n_ports = TOKEN_PORTS,
			.reach = keyed_reach(base),
			.margin = keyed_margin(lane->n_pairs),
			.fill = fill,
			.userdata = lane,
		},
		&lane->selectors);
}

static struct lane *find_lane(const struct tokens *tokens, const struct filter *filter)
{
	for (size_t i = 0; i < tokens->n_lanes; i++)
		if (filter_equal(&tokens->lanes[i].filter, filter))
			return &tokens->lanes[i];
	return NULL;
}

int tokens_new(struct keyed_base *base, struct tokens **ret)
{
	const struct clearance *clearance = &base->clearance;
	struct tokens *tokens = calloc(1, sizeof *tokens);
	int r = 0;

	if (!tokens)
		return -ENOMEM;
	tokens->base = base;
	tokens->lanes = calloc(clearance->n_doors + 1, sizeof *tokens->lanes);
	if (!tokens->lanes)
		r = -ENOMEM;
	for (size_t i = 0; r == 0 && i < clearance->n_doors; i++) {
		const struct clearance_door *door = &clearance->doors[i];
		struct lane *lane = &tokens->lanes[tokens->n_lanes];

		if (!(door->auth & AUTH_TOKEN) || find_lane(tokens, &door->filter))
			continue;
		*lane = (struct lane){.base = base, .filter = door->filter};
		tokens->n_lanes++;
		r = lane_compile(lane);
	}
	if (r < 0) {
		tokens_free(tokens);
		return r;
	}
	*ret = tokens;
	return 0;
}

static void lane_done(struct lane *lane)
{
	recent_table_free(lane->recent);
	selectors_free(lane->selectors);
	free(lane->pairs);
	if (lane->bounds)
		sodium_memzero(lane->bounds, N_BOUNDS * sizeof *lane->bounds);
	free(lane->bounds);
}

struct tokens *tokens_free(struct tokens *tokens)
{
	if (!tokens)
		return NULL;
	for (size_t i = 0; i < tokens->n_lanes; i++)
		lane_done(&tokens->lanes[i]);
	free(tokens->lanes);
	free(tokens);
	return NULL;
}

void tokens_inherit(struct tokens *tokens, const struct tokens *other)
{
	for (size_t i = 0; i < other->n_lanes; i++) {
		struct lane *lane = find_lane(tokens, &other->lanes[i].filter);

		if (lane)
			recent_table_inherit(lane->recent, other->lanes[i].recent);
	}
}

void tokens_forget(struct tokens *tokens)
{
	for (size_t i = 0; i < tokens->n_lanes; i++)
		recent_table_clear(tokens->lanes[i].recent);
}

void tokens_tend(struct tokens *tokens, uint64_t step)
{
	for (size_t i = 0; i < tokens->n_lanes; i++)
		selectors_move(tokens->lanes[i].selectors, step,
			       tokens->lanes[i].n_pairs / TENDINGS + 1);
}

/* How far the step is from this time: 0 within it, negative before it. */
static int64_t off_s(uint64_t step, uint64_t unix_s)
{
	int64_t into = (int64_t)unix_s - (int64_t)(step * TOKEN_STEP_S);

	if (into < 0)
		return into;
	return into < TOKEN_STEP_S ? 0 : into - TOKEN_STEP_S + 1;
}

static enum request_verdict judge(const struct lane *lane, const struct pair *pair,
				  bool names_source, int64_t off)
{
	const struct clearance *clearance = &lane->base->clearance;

	if (!clearance_holds(clearance, pair->door, pair->key))
		return REQUEST_WRONG_USER;
	if (names_source != clearance->doors[pair->door].bind_source)
		return REQUEST_WRONG_SOURCE;
	if (llabs(off) > lane->base->limits.skew_s)
		return REQUEST_STALE;
	return REQUEST_GOOD;
}

static void report(const struct lane *lane, const struct keyed_case *one,
		   const struct selector *selector, bool names_source)
{
	const struct pair *pair = &lane->pairs[selector->row];
	int64_t off = off_s(selector->step, one->unix_s);

	one->fn(one->userdata, &(struct request){
				       .kind = REQUEST_TOKEN,
				       .verdict = judge(lane, pair, names_source, off),
				       .door = lane->base->clearance.doors[pair->door].number,
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

static struct seen see(const struct recent *recent)
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

/* The token's ports if it names the probe's source; NULL: the source has used up its share. */
static const uint16_t *bound_ports(const struct lane *lane, const struct keyed_case *one,
				   const struct selector *selector)
{
	const struct clearance *clearance = &lane->base->clearance;
	const struct pair *pair = &lane->pairs[selector->row];
	const struct address *source = &one->probe->source;
	size_t place = selector->row + selector->step;
	struct bound *bound;

	for (size_t i = 0; i < sizeof source->bytes; i++)
		place = place * 31 + source->bytes[i];
	bound = &lane->bounds[place % N_BOUNDS];
	if (bound->ports[0] != 0 && bound->step == selector->step && bound->row == selector->row &&
	    address_equal(&bound->source, source))
		return bound->ports;
	if (!keyed_try(lane->base, one->probe))
		return NULL;
	*bound = (struct bound){.step = selector->step, .row = selector->row, .source = *source};
	token_ports(&clearance->secrets[pair->key], clearance->doors[pair->door].name,
		    selector->step, source, bound->ports);
	return bound->ports;
}

/* Whether the token that this selector begins is complete; if so, it is told and used up. */
static bool try_selector(const struct lane *lane, const struct keyed_case *one,
			 const struct selector *selector, const struct seen *seen,
			 struct recent *recent)
{
	const struct pair *pair = &lane->pairs[selector->row];
	const uint16_t *ports = selector->ports;
	bool names_source = false;

	if (!has_unbound(seen, selector)) {
		if (!lane->base->clearance.doors[pair->door].bind_source)
			return false;
		ports = bound_ports(lane, one, selector);
		if (!ports || !token_is_complete(ports, seen->ports, seen->n))
			return false;
		names_source = true;
	}
	recent_spend(recent, ports, TOKEN_PORTS);
	report(lane, one, selector, names_source);
	return true;
}

static bool try_port(const struct lane *lane, const struct keyed_case *one, uint16_t port,
		     const struct seen *seen, struct recent *recent)
{
	uint32_t cell = selectors_first(lane->selectors, port);

	for (; cell != SELECTORS_NONE; cell = selectors_next(lane->selectors, cell)) {
		struct selector selector = selectors_get(lane->selectors, cell);

		if (try_selector(lane, one, &selector, seen, recent))
			return true;
	}
	return false;
}

/* Half as long, for there is one for each probe that is remembered. */
static uint32_t fold(uint64_t summary)
{
	return (uint32_t)(summary | summary >> 32);
}

/* Marks a probe whose port selects tokens, with what they have in common: so that of most probes
 * nothing has to be looked up again when others come. */
static void mark(const struct lane *lane, struct recent *recent, uint16_t port)
{
	const struct clearance *clearance = &lane->base->clearance;
	uint32_t cell = selectors_first(lane->selectors, port), wants = UINT32_MAX;

	if (cell == SELECTORS_NONE)
		return;
	for (; cell != SELECTORS_NONE; cell = selectors_next(lane->selectors, cell)) {
		struct selector selector = selectors_get(lane->selectors, cell);
		const struct pair *pair = &lane->pairs[selector.row];

		wants &= fold(selector.summary);
		if (clearance->doors[pair->door].bind_source)
			wants = 0; /* its ports are others */
	}
	recent_mark(recent, wants);
}

/* Whether a selector is among what the source has probed. */
static bool lane_feed(struct lane *lane, const struct keyed_case *one, const struct address *source)
{
	const struct probe *probe = one->probe;
	struct recent *recent = recent_table_get(lane->recent, source, probe->time_us);
	uint16_t selected[RECENT_PROBES];
	struct seen seen;
	size_t n_selected;

	selectors_move(lane->selectors, one->step, ROWS_A_PROBE);
	if (!recent_add(recent, probe->source_port, probe->port))
		return false;
	mark(lane, recent, probe->port);
	if ((recent->marked & ~recent->spent) == 0)
		return false;
	seen = see(recent);
	if (seen.n < TOKEN_PORTS)
		return true;
	n_selected = recent_selectors(recent, fold(seen.summary), selected);
	for (size_t i = 0; i < n_selected; i++)
		if (try_port(lane, one, selected[i], &seen, recent))
			seen = see(recent);
	return true;
}

bool tokens_feed(struct tokens *tokens, const struct keyed_case *one)
{
	struct address source = one->probe->source;
	bool underway = false;

	if (address_family(&source) == FAMILY_IPV6)
		source = address_masked(&source, tokens->base->limits.ipv6_prefix);
	for (size_t i = 0; i < tokens->n_lanes; i++)
		if (filter_passes(&tokens->lanes[i].filter, one->probe) &&
		    lane_feed(&tokens->lanes[i], one, &source))
			underway = true;
	return underway;
}
