/* What both kinds of keyed knocks need: limits, who may open what, each source's budget. Within
 * this folder only. */
#pragma once

#include "core/keyed/access.h"
#include "core/keyed/budget.h"
#include "core/keyed/keyed.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct expected_ports;

struct keyed_base {
	struct keyed_limits limits;
	struct access access;
	struct budget budget;
	struct keyed_counts counts;
	struct expected_ports *expected;
};

/* Index rows up to which steps beyond the reach are looked for too, so that a knock says how far
 * its clock is off: by up to two minutes, with the default clock_skew. */
enum { KEYED_TELL_ROWS_MAX = 4096, KEYED_TELL_STEPS = 4 };

/* One probe on its way, and who gets the requests. */
struct keyed_case {
	const struct probe *probe;
	uint64_t unix_s;
	uint64_t step;
	request_fn fn;
	void *userdata;
};

/* Takes one try from the source's budget and counts it. False: its share is used up. */
bool keyed_try(struct keyed_base *base, const struct probe *probe);

/* Steps before and after now that may be good, and how many more are recognised. */
unsigned keyed_reach(const struct keyed_base *base);
unsigned keyed_margin(size_t n_rows);
