#include "core/keyed/spa-knocks.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "core/keyed/base.h"
#include "core/keyed/selectors.h"
#include "core/probe.h"
#include "core/secret.h"
#include "core/token.h"

enum { ROWS_A_PROBE = 8, TENDINGS = TOKEN_STEP_S / 2 };

struct spa_knocks {
	struct keyed_base *base;
	struct secret *keys; /* spa_key() of each key */
	struct selectors *selectors;
	bool is_wanted; /* some door takes them */
};

static void fill_port(void *userdata, size_t row, uint64_t step, uint16_t *ret_ports)
{
	const struct spa_knocks *knocks = userdata;

	ret_ports[0] = spa_port(&knocks->base->access.bases[row], step);
}

static int spa_knocks_compile(struct spa_knocks *knocks)
{
	const struct access *access = &knocks->base->access;
	size_t n_keys;
	int r;

	for (size_t i = 0; i < access->n_doors; i++)
		knocks->is_wanted |= (access->doors[i].auth & AUTH_SPA) != 0;
	n_keys = knocks->is_wanted ? access->n_keys : 0;
	if (n_keys > SELECTORS_ROWS_MAX)
		return -E2BIG;
	r = secrets_new(n_keys + 1, &knocks->keys);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n_keys; i++)
		spa_key(&access->bases[i], &knocks->keys[i]);
	return selectors_new(
		&(struct selectors_options){
			.n_rows = n_keys,
			.n_ports = 1,
			.reach = keyed_reach(knocks->base),
			.margin = keyed_margin(n_keys),
			.fill = fill_port,
			.userdata = knocks,
		},
		&knocks->selectors);
}

int spa_knocks_new(struct keyed_base *base, struct spa_knocks **ret)
{
	struct spa_knocks *knocks = calloc(1, sizeof *knocks);
	int r;

	if (!knocks)
		return -ENOMEM;
	knocks->base = base;
	r = spa_knocks_compile(knocks);
	if (r < 0) {
		spa_knocks_free(knocks);
		return r;
	}
	*ret = knocks;
	return 0;
}

struct spa_knocks *spa_knocks_free(struct spa_knocks *knocks)
{
	if (knocks) {
		selectors_free(knocks->selectors);
		secrets_free(knocks->keys);
		free(knocks);
	}
	return NULL;
}

void spa_knocks_tend(struct spa_knocks *knocks, uint64_t step)
{
	if (knocks->is_wanted)
		selectors_move(knocks->selectors, step, knocks->base->access.n_keys / TENDINGS + 1);
}

/* The door that a request names and that takes such; NULL: none. */
static const struct access_door *find_spa_door(const struct access *access, uint16_t tag)
{
	for (size_t i = 0; i < access->n_doors; i++)
		if (access->doors[i].auth & AUTH_SPA && access->doors[i].tag == tag)
			return &access->doors[i];
	return NULL;
}

/* A request that a key opens, or seems to. */
struct opened {
	struct spa_request plain;
	size_t key;
	enum { NAMES_NONE, NAMES_THIS, NAMES_OTHER } source;
};

static enum request_verdict opened_verdict(const struct keyed_base *base,
					   const struct keyed_case *one,
					   const struct opened *opened,
					   const struct access_door *door, int64_t off)
{
	const struct access *access = &base->access;

	if (!door)
		return REQUEST_NO_DOOR;
	if (opened->source == NAMES_OTHER)
		return REQUEST_OTHER_SOURCE;
	if (!access_holds(access, (size_t)(door - access->doors), opened->key))
		return REQUEST_WRONG_USER;
	if (!filter_passes(&door->filter, one->probe))
		return REQUEST_WRONG_WAY;
	if (!access_takes(door, opened->source == NAMES_THIS))
		return REQUEST_WRONG_SOURCE;
	if (llabs(off) > base->limits.skew_s)
		return REQUEST_STALE;
	return REQUEST_GOOD;
}

static void report_opened(const struct keyed_base *base, const struct keyed_case *one,
			  const struct opened *opened)
{
	const struct access_door *door = find_spa_door(&base->access, opened->plain.door);
	int64_t off = (int64_t)one->unix_s - opened->plain.time_s;
	struct request request = {
		.kind = KNOCK_SPA,
		.verdict = opened_verdict(base, one, opened, door, off),
		.door = door ? door->number : REQUEST_NOBODY,
		.key = opened->key,
		.source = one->probe->source,
		.off_s = off,
		.time_s = opened->plain.time_s,
		.seconds = opened->plain.seconds,
	};

	memcpy(request.nonce, spa_nonce(one->probe->options), sizeof request.nonce);
	one->fn(one->userdata, &request);
}

/* Somebody's request that nobody could open. */
static void report_unopened(const struct keyed_case *one, enum request_verdict verdict)
{
	one->fn(one->userdata, &(struct request){
				       .kind = KNOCK_SPA,
				       .verdict = verdict,
				       .door = REQUEST_NOBODY,
				       .key = REQUEST_NOBODY,
				       .source = one->probe->source,
			       });
}

/* Whether the time in it is the one that its port was chosen by: with another key than the one that
 * it was made with, that happens once in many millions. */
static bool is_plausible(const struct spa_request *plain, uint64_t step)
{
	uint64_t said = token_step(plain->time_s);

	return said + 1 >= step && said <= step + 1;
}

/* With one key. 0; -EBADMSG: it is not this key's; -EAGAIN: not tried. */
static int open_with(const struct spa_knocks *knocks, const struct keyed_case *one, uint64_t step,
		     struct opened *opened)
{
	const struct probe *probe = one->probe;
	const struct secret *key = &knocks->keys[opened->key];

	if (!keyed_try(knocks->base, probe))
		return -EAGAIN;
	opened->source = NAMES_NONE;
	if (spa_open(key, probe->options, NULL, &opened->plain) == 0)
		return 0;
	spa_guess(key, probe->options, &opened->plain);
	if (!is_plausible(&opened->plain, step))
		return -EBADMSG;
	if (!keyed_try(knocks->base, probe))
		return -EAGAIN;
	opened->source = NAMES_THIS;
	if (spa_open(key, probe->options, &probe->source, &opened->plain) == 0)
		return 0;
	opened->source = NAMES_OTHER;
	return find_spa_door(&knocks->base->access, opened->plain.door) ? 0 : -EBADMSG;
}

static bool is_request(const struct probe *probe)
{
	return probe->protocol == IPPROTO_TCP && probe->tcp_flags & TCP_FLAG_SYN &&
	       !(probe->tcp_flags & TCP_FLAG_ACK) &&
	       spa_is_option(probe->options, probe->n_options);
}

void spa_knocks_feed(struct spa_knocks *knocks, const struct keyed_case *one)
{
	struct opened opened;
	uint32_t cell;
	int r = -EBADMSG;

	if (!knocks->is_wanted || !is_request(one->probe))
		return;
	selectors_move(knocks->selectors, one->step, ROWS_A_PROBE);
	cell = selectors_first(knocks->selectors, one->probe->port);
	while (r == -EBADMSG && cell != SELECTORS_NONE) {
		struct selector selector = selectors_get(knocks->selectors, cell);

		opened.key = selector.row;
		r = open_with(knocks, one, selector.step, &opened);
		cell = selectors_next(knocks->selectors, cell);
	}
	if (r == 0)
		report_opened(knocks->base, one, &opened);
	else
		report_unopened(one, r == -EAGAIN ? REQUEST_DROPPED : REQUEST_NO_KEY);
}
