#include "core/keyed/selectors.h"

#include <errno.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/keyed/pairs.h"

enum { N_PORTS = 1 << 16 };

struct cell {
	uint32_t next;	  /* with the same selector */
	uint32_t is_used; /* it is in the list of its selector */
	uint64_t step;
	uint64_t summary;
	uint16_t ports[];
};

/* All rows of one step. Steps that are as many apart as there are columns share one. */
struct column {
	uint64_t step;
	size_t n_done; /* rows that are filled in */
};

struct selectors {
	struct selectors_options options;
	uint64_t step; /* now */
	bool is_whole; /* nothing is left to be filled in */
	size_t n_columns;
	size_t stride; /* from cell to cell; all of them together are aligned by it */
	uint8_t *cells;
	struct pairs pairs;
	struct column columns[SELECTORS_STEPS_MAX];
	uint32_t heads[N_PORTS];
};

static struct cell *cell_at(const struct selectors *selectors, uint32_t i)
{
	return (struct cell *)(void *)(selectors->cells + i * selectors->stride);
}

static bool has_pairs(const struct selectors_options *options)
{
	return options->n_ports == PAIRS_PORTS;
}

int selectors_new(const struct selectors_options *options, struct selectors **ret)
{
	size_t n_columns = 2 * ((size_t)options->reach + options->margin) + 1, n_cells;
	struct selectors *selectors;

	if (n_columns > SELECTORS_STEPS_MAX || options->n_rows > SELECTORS_ROWS_MAX)
		return -E2BIG;
	selectors = calloc(1, sizeof *selectors);
	if (!selectors)
		return -ENOMEM;
	selectors->options = *options;
	selectors->n_columns = n_columns;
	selectors->stride = sizeof(struct cell) + (options->n_ports + 3) / 4 * 4 * sizeof(uint16_t);
	n_cells = options->n_rows * n_columns;
	selectors->cells = sodium_allocarray(n_cells, selectors->stride);
	if (!selectors->cells ||
	    pairs_init(&selectors->pairs, has_pairs(options) ? n_cells : 0) < 0)
		return selectors_free(selectors), -ENOMEM;
	memset(selectors->cells, 0, n_cells * selectors->stride);
	for (size_t i = 0; i < N_PORTS; i++)
		selectors->heads[i] = SELECTORS_NONE;
	for (size_t i = 0; i < n_columns; i++)
		selectors->columns[i].step = UINT64_MAX;
	selectors->step = UINT64_MAX;
	*ret = selectors;
	return 0;
}

struct selectors *selectors_free(struct selectors *selectors)
{
	if (!selectors)
		return NULL;
	sodium_free(selectors->cells); /* which wipes them */
	pairs_done(&selectors->pairs);
	sodium_memzero(selectors, sizeof *selectors);
	free(selectors);
	return NULL;
}

/* Where the list of the port's cells has this one, or would have it. */
static uint32_t *find_link(struct selectors *selectors, uint16_t port, uint32_t i)
{
	uint32_t *link = &selectors->heads[port];

	while (*link != SELECTORS_NONE && *link > i)
		link = &cell_at(selectors, *link)->next;
	return link;
}

static void unlink_cell(struct selectors *selectors, uint32_t i)
{
	struct cell *cell = cell_at(selectors, i);

	*find_link(selectors, cell->ports[0], i) = cell->next;
	if (has_pairs(&selectors->options))
		pairs_remove(&selectors->pairs, cell->ports);
}

static void link_cell(struct selectors *selectors, uint32_t i)
{
	struct cell *cell = cell_at(selectors, i);
	uint32_t *link = find_link(selectors, cell->ports[0], i);

	cell->next = *link;
	*link = i;
	if (has_pairs(&selectors->options))
		pairs_add(&selectors->pairs, cell->ports);
}

static void fill_cell(struct selectors *selectors, size_t column, size_t row)
{
	const struct selectors_options *options = &selectors->options;
	uint32_t i = (uint32_t)(row * selectors->n_columns + column);
	struct cell *cell = cell_at(selectors, i);

	if (cell->is_used)
		unlink_cell(selectors, i);
	cell->is_used = true;
	cell->step = selectors->columns[column].step;
	options->fill(options->userdata, row, cell->step, cell->ports);
	cell->summary = selectors_summary(cell->ports, options->n_ports);
	link_cell(selectors, i);
}

/* Fills in at most n rows of the step; returns how many are left of the n. */
static size_t fill_step(struct selectors *selectors, uint64_t step, size_t n)
{
	size_t i = step % selectors->n_columns;
	struct column *column = &selectors->columns[i];

	for (; n > 0 && column->n_done < selectors->options.n_rows; n--)
		fill_cell(selectors, i, column->n_done++);
	return n;
}

/* Gives each step of the window its column. */
static void selectors_turn(struct selectors *selectors, uint64_t first)
{
	for (size_t i = 0; i < selectors->n_columns; i++) {
		struct column *column = &selectors->columns[(first + i) % selectors->n_columns];

		if (column->step != first + i)
			*column = (struct column){.step = first + i};
	}
}

void selectors_move(struct selectors *selectors, uint64_t step, size_t n_rows)
{
	unsigned reach = selectors->options.reach, side = reach + selectors->options.margin;

	if (step < side) { /* the very first steps have none before them */
		step = side;
		n_rows = SIZE_MAX;
	}
	if (step != selectors->step) {
		selectors->step = step;
		selectors->is_whole = false;
		selectors_turn(selectors, step - side);
		for (uint64_t s = step - reach; s <= step + reach; s++)
			fill_step(selectors, s, SIZE_MAX);
	}
	if (selectors->is_whole)
		return;
	for (unsigned i = reach + 1; i <= side; i++) {
		n_rows = fill_step(selectors, step + i, n_rows);
		n_rows = fill_step(selectors, step - i, n_rows);
	}
	selectors->is_whole = n_rows > 0;
}

uint32_t selectors_first(const struct selectors *selectors, uint16_t port)
{
	return selectors->heads[port];
}

uint32_t selectors_next(const struct selectors *selectors, uint32_t cell)
{
	return cell_at(selectors, cell)->next;
}

size_t selectors_row(const struct selectors *selectors, uint32_t cell)
{
	return cell / selectors->n_columns;
}

const struct pairs *selectors_pairs(const struct selectors *selectors)
{
	return &selectors->pairs;
}

void selectors_prepare(const struct selectors *selectors, uint16_t port)
{
	if (selectors->heads[port] != SELECTORS_NONE)
		__builtin_prefetch(cell_at(selectors, selectors->heads[port]));
}

bool selectors_has(const struct selectors *selectors, uint64_t step)
{
	return selectors->columns[step % selectors->n_columns].step == step;
}

uint64_t selectors_summary(const uint16_t *ports, size_t n)
{
	uint64_t summary = 0;

	for (size_t i = 0; i < n; i++)
		summary |= UINT64_C(1) << ((ports[i] * 2654435769u) >> 26);
	return summary;
}

struct selector selectors_get(const struct selectors *selectors, uint32_t cell)
{
	const struct cell *found = cell_at(selectors, cell);

	return (struct selector){
		.row = selectors_row(selectors, cell),
		.step = found->step,
		.summary = found->summary,
		.ports = found->ports,
	};
}
