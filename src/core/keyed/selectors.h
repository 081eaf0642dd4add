/* Selectors: which keys' knocks begin with a port, in one look-up, as time goes by.
 *
 * A row is what has a port of its own in each step of time: a key, or a key and a door. The index
 * holds every row's ports for a window of steps around now, and moves on with the time: a little at
 * each call, so that no probe has to wait for all rows.
 *
 * MUST: cost the same for one row as for thousands. The ports are secrets as long as their time has
 * not come: they are kept as keys are. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pairs;
struct selectors;

/* Writes the ports of one row in one step, the selector first. */
typedef void (*selectors_fill_fn)(void *userdata, size_t row, uint64_t step, uint16_t *ret_ports);

struct selectors_options {
	size_t n_rows;	 /* up to SELECTORS_ROWS_MAX; may be 0 */
	size_t n_ports;	 /* of a row in a step */
	unsigned reach;	 /* this many steps before and after now are always there */
	unsigned margin; /* this many before and after those are there after a while; 1 or more */
	selectors_fill_fn fill;
	void *userdata;
};

enum { SELECTORS_ROWS_MAX = 1 << 16, SELECTORS_STEPS_MAX = 64, SELECTORS_NONE = UINT32_MAX };

/* An empty index: nothing is filled in before selectors_move(). 0; -ENOMEM; -E2BIG: more rows or
 * steps than the maximum. */
int selectors_new(const struct selectors_options *options, struct selectors **ret);
struct selectors *selectors_free(struct selectors *selectors);

/* Now is this step; fills in what has to be there, and at most `n_rows` more. */
void selectors_move(struct selectors *selectors, uint64_t step, size_t n_rows);

/* The cells with this selector, those of higher rows first: start with selectors_first(), go on
 * until SELECTORS_NONE. Good until the next selectors_move(). */
uint32_t selectors_first(const struct selectors *selectors, uint16_t port);
uint32_t selectors_next(const struct selectors *selectors, uint32_t cell);
size_t selectors_row(const struct selectors *selectors, uint32_t cell);

/* Of rows with PAIRS_PORTS ports: all of them that are here. */
const struct pairs *selectors_pairs(const struct selectors *selectors);

/* Tells the processor that the cells with this selector will be looked at. */
void selectors_prepare(const struct selectors *selectors, uint16_t port);

/* Whether the step is among those that are there now, or will be. */
bool selectors_has(const struct selectors *selectors, uint64_t step);

/* A summary of ports: what of two summaries is only in the first (a & ~b) is not 0 unless all its
 * ports may be among the second's. */
uint64_t selectors_summary(const uint16_t *ports, size_t n);

/* What a cell holds. The ports are the index's. */
struct selector {
	size_t row;
	uint64_t step;
	uint64_t summary; /* of all its ports */
	const uint16_t *ports;
};
struct selector selectors_get(const struct selectors *selectors, uint32_t cell);
