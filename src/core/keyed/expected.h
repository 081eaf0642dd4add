/* The expected ports: where knocks are sent to that may open a door now, or within the next
 * moments. A set of the firewall's mirrors them (firewall/port-set.h).
 *
 * Known beforehand are all ports of tokens that name no source, the first of those that name one,
 * and those of SPA knocks. The other seven of a token that names its source are offered once its
 * first has come from there.
 *
 * MUST: what peers can have offered is bounded, for each token and in all. The ports are secrets:
 * locked as keys are, and wiped, in here; the firewall that they are put into shows them to root.
 * No call but expected_ports_new() allocates. */
#pragma once

#include "core/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct access;
struct expected_ports;

enum {
	EXPECTED_LEAD_S = 10, /* so long before they may be right they are there */

	/* More would be no few any more: a tenth of all. No rules are made for them. */
	EXPECTED_MAX = (UINT16_MAX + 1 - 1024) / 10,
	/* Beyond that nothing is expected. In between, rules that are loaded may rely on it: in a
	 * rotation each user has two keys. */
	EXPECTED_KEPT_MAX = 2 * EXPECTED_MAX,
};

/* Within one window each token is offered for so many sources, and all together for so many. Random
 * ports from random sources are first ports now and then, and take their part of it. So an offer is
 * short, as long as a client waits before it sends again, and whoever does has it renewed. */
enum {
	EXPECTED_OFFERS_TOKEN = 16,
	EXPECTED_OFFERS_ALL = 256,
	EXPECTED_WINDOW_S = 4,
	EXPECTED_OFFER_S = EXPECTED_WINDOW_S, /* how long an offer is good */
};

/* Nothing is expected before expected_ports_move(). The access matrix is borrowed, and must stay
 * where it is. 0 or -ENOMEM. */
int expected_ports_new(const struct access *access, uint32_t skew_s, struct expected_ports **ret);
struct expected_ports *expected_ports_free(struct expected_ports *expected);

/* How many ports there are at a time, at most, without what is offered. */
size_t expected_ports_count(const struct expected_ports *expected);

/* Now is this Unix time: to be called about every second. */
void expected_ports_move(struct expected_ports *expected, uint64_t unix_s);

/* The first port of a token that names its source, by position in the access matrix. */
struct expected_offer {
	size_t door, key;
	uint64_t step;
	struct address source;
};

/* It has come, at this Unix time; if it is a key's that may open the door and in time, the others
 * are expected. */
void expected_ports_offer(struct expected_ports *expected, const struct expected_offer *offer,
			  uint64_t unix_s);

/* The next port that is new, or good for longer than was said before, and the Unix time that it is
 * good until. False: nothing is left. */
bool expected_ports_next(struct expected_ports *expected, uint16_t *ret_port,
			 uint64_t *ret_until_s);

/* All that is good now is new again. */
void expected_ports_repeat(struct expected_ports *expected);
