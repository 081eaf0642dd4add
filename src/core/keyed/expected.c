#include "core/keyed/expected.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

#include "core/keyed/access.h"
#include "core/secret.h"
#include "core/spa.h"
#include "core/token.h"

enum { N_PORTS = UINT16_MAX + 1 };

struct expected_ports {
	const struct access *access;
	uint32_t skew_s;
	size_t count;
	uint64_t now_s, next_step; /* all steps before it are there */
	uint64_t window;
	size_t n_offers;
	struct expected_offer offers[EXPECTED_OFFERS_ALL]; /* of this window */
	uint64_t until_s[N_PORTS];			   /* past: not expected */
	bool is_new[N_PORTS];
	size_t n_new;
	uint16_t new_ports[N_PORTS];
};

/* What others log is not this firewall's to expect. */
static bool takes(const struct access_door *door, unsigned auth)
{
	return door->auth & auth && filter_is_logged_here(&door->filter);
}

static bool has_spa(const struct access *access, size_t key)
{
	for (size_t door = 0; door < access->n_doors; door++)
		if (takes(&access->doors[door], AUTH_SPA) && access_holds(access, door, key))
			return true;
	return false;
}

/* Ports of a token that are known before it comes. */
static size_t count_known(const struct access_door *door)
{
	return access_takes(door, false) ? TOKEN_PORTS : 1;
}

static size_t count_step(const struct access *access)
{
	size_t n = 0;

	for (size_t i = 0; i < access->n_doors; i++) {
		const struct access_door *door = &access->doors[i];
		size_t n_families = door->families[FAMILY_IPV4] + door->families[FAMILY_IPV6];

		for (size_t key = 0; takes(door, AUTH_TOKEN) && key < access->n_keys; key++)
			if (access_holds(access, i, key))
				n += n_families * count_known(door);
	}
	for (size_t key = 0; key < access->n_keys; key++)
		n += has_spa(access, key);
	return n;
}

static bool is_used(const struct expected_ports *expected)
{
	return expected->count > 0 && expected->count <= EXPECTED_KEPT_MAX;
}

int expected_ports_new(const struct access *access, uint32_t skew_s, struct expected_ports **ret)
{
	struct expected_ports *expected = calloc(1, sizeof *expected);

	if (!expected)
		return -ENOMEM;
	expected->access = access;
	expected->skew_s = skew_s;
	expected->count = count_step(access) * ((2 * skew_s + EXPECTED_LEAD_S) / TOKEN_STEP_S + 2);
	/* As far as the limit on locked memory goes. */
	if (is_used(expected))
		(void)sodium_mlock(expected, sizeof *expected);
	*ret = expected;
	return 0;
}

struct expected_ports *expected_ports_free(struct expected_ports *expected)
{
	if (expected)
		sodium_munlock(expected, sizeof *expected); /* which wipes it */
	free(expected);
	return NULL;
}

size_t expected_ports_count(const struct expected_ports *expected)
{
	return expected->count;
}

static void expected_ports_tell(struct expected_ports *expected, uint16_t port)
{
	if (!expected->is_new[port])
		expected->new_ports[expected->n_new++] = port;
	expected->is_new[port] = true;
}

static void expected_ports_put(struct expected_ports *expected, const uint16_t *ports, size_t n,
			       uint64_t until_s)
{
	for (size_t i = 0; i < n; i++) {
		if (expected->until_s[ports[i]] >= until_s)
			continue;
		expected->until_s[ports[i]] = until_s;
		expected_ports_tell(expected, ports[i]);
	}
}

/* Until when a knock of this step is good. */
static uint64_t step_end_s(const struct expected_ports *expected, uint64_t step)
{
	return (step + 1) * TOKEN_STEP_S + expected->skew_s;
}

static void put_tokens(struct expected_ports *expected, size_t door, uint64_t step)
{
	const struct access *access = expected->access;
	const struct access_door *of = &access->doors[door];
	uint16_t ports[TOKEN_PORTS];

	for (size_t key = 0; key < access->n_keys; key++)
		for (enum family family = 0; family < N_FAMILIES; family++) {
			const struct token_seed seed = {&access->bases[key], of->name, family,
							step};

			if (!access_holds(access, door, key) || !of->families[family])
				continue;
			token_ports(&seed, NULL, ports);
			expected_ports_put(expected, ports, count_known(of),
					   step_end_s(expected, step));
		}
	sodium_memzero(ports, sizeof ports);
}

static void put_step(struct expected_ports *expected, uint64_t step)
{
	const struct access *access = expected->access;

	for (size_t door = 0; door < access->n_doors; door++)
		if (takes(&access->doors[door], AUTH_TOKEN))
			put_tokens(expected, door, step);
	for (size_t key = 0; key < access->n_keys; key++) {
		uint16_t port;

		if (!has_spa(access, key))
			continue;
		port = spa_port(&access->bases[key], step);
		expected_ports_put(expected, &port, 1, step_end_s(expected, step));
	}
}

/* After a clock was set back, the set has forgotten what is good for longer than that. */
static void expected_ports_clear(struct expected_ports *expected)
{
	sodium_memzero(expected->until_s, sizeof expected->until_s);
	expected->next_step = 0;
	expected->n_offers = 0;
}

void expected_ports_move(struct expected_ports *expected, uint64_t unix_s)
{
	uint64_t first = unix_s < expected->skew_s ? 0 : (unix_s - expected->skew_s) / TOKEN_STEP_S;
	uint64_t last = (unix_s + expected->skew_s + EXPECTED_LEAD_S) / TOKEN_STEP_S;

	if (!is_used(expected))
		return;
	if (unix_s < expected->now_s)
		expected_ports_clear(expected);
	expected->now_s = unix_s;
	if (expected->next_step < first)
		expected->next_step = first;
	for (; expected->next_step <= last; expected->next_step++)
		put_step(expected, expected->next_step);
}

static bool is_same_token(const struct expected_offer *a, const struct expected_offer *b)
{
	return a->door == b->door && a->key == b->key && a->step == b->step &&
	       address_family(&a->source) == address_family(&b->source);
}

/* Notes the offer, unless it was noted before. False: there is no room for it. */
static bool note_offer(struct expected_ports *expected, const struct expected_offer *offer,
		       uint64_t unix_s)
{
	uint64_t window = unix_s / EXPECTED_WINDOW_S;
	size_t n_same = 0;

	if (window != expected->window)
		expected->n_offers = 0;
	expected->window = window;
	for (size_t i = 0; i < expected->n_offers; i++) {
		if (!is_same_token(&expected->offers[i], offer))
			continue;
		if (address_equal(&expected->offers[i].source, &offer->source))
			return true;
		n_same++;
	}
	if (n_same == EXPECTED_OFFERS_TOKEN || expected->n_offers == EXPECTED_OFFERS_ALL)
		return false;
	expected->offers[expected->n_offers++] = *offer;
	return true;
}

void expected_ports_offer(struct expected_ports *expected, const struct expected_offer *offer,
			  uint64_t unix_s)
{
	const struct access *access = expected->access;
	const struct token_seed seed = {
		&access->bases[offer->key],
		access->doors[offer->door].name,
		address_family(&offer->source),
		offer->step,
	};
	uint16_t ports[TOKEN_PORTS];

	if (!is_used(expected) || !takes(&access->doors[offer->door], AUTH_TOKEN) ||
	    !access_holds(access, offer->door, offer->key) ||
	    unix_s + expected->skew_s < offer->step * TOKEN_STEP_S ||
	    unix_s >= step_end_s(expected, offer->step) || !note_offer(expected, offer, unix_s))
		return;
	token_ports(&seed, &offer->source, ports);
	expected_ports_put(expected, ports, TOKEN_PORTS, unix_s + EXPECTED_OFFER_S);
	sodium_memzero(ports, sizeof ports);
}

bool expected_ports_next(struct expected_ports *expected, uint16_t *ret_port, uint64_t *ret_until_s)
{
	while (expected->n_new > 0) {
		uint16_t port = expected->new_ports[--expected->n_new];

		expected->is_new[port] = false;
		if (expected->until_s[port] <= expected->now_s)
			continue;
		*ret_port = port;
		*ret_until_s = expected->until_s[port];
		return true;
	}
	return false;
}

void expected_ports_repeat(struct expected_ports *expected)
{
	for (size_t port = 0; port < N_PORTS; port++)
		if (expected->until_s[port] > expected->now_s)
			expected_ports_tell(expected, (uint16_t)port);
}
