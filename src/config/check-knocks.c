#include "config/check-knocks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/complaint.h"
#include "config/config.h"
#include "config/draft.h"
#include "config/ini/ini.h"
#include "core/engine/engine.h"
#include "core/spa.h"
#include "util/cleanup.h"

/* A run of steps in one lane: a door's whole sequence, or a part of it to look for. */
struct step_run {
	const struct door *door;
	const struct ini_section *section;
	size_t lane; /* the number of the filter */
	const struct step *steps;
	size_t n_steps;
};

static int compare_steps(const struct step *a, const struct step *b)
{
	int order = (a->port > b->port) - (a->port < b->port);

	return order != 0 ? order : (a->protocol > b->protocol) - (a->protocol < b->protocol);
}

static int compare_runs(const void *a, const void *b)
{
	const struct step_run *x = a, *y = b;
	int order = (x->lane > y->lane) - (x->lane < y->lane);

	if (order == 0)
		order = (x->n_steps > y->n_steps) - (x->n_steps < y->n_steps);
	for (size_t i = 0; order == 0 && i < x->n_steps; i++)
		order = compare_steps(&x->steps[i], &y->steps[i]);
	return order;
}

/* The number of the filter's lane, which is a new one if no door before has it. The engine makes a
 * lane of each filter and has room for ENGINE_LANES_MAX. */
static size_t number_lane(const struct filter *filter, const struct filter **lanes, size_t *n_lanes)
{
	size_t lane = 0;

	while (lane < *n_lanes && !filter_equal(lanes[lane], filter))
		lane++;
	if (lane == *n_lanes && lane < ENGINE_LANES_MAX)
		lanes[(*n_lanes)++] = filter;
	return lane;
}

/* The runs of all doors that can be judged. */
static size_t collect_runs(const struct draft *draft, struct complaints *complaints,
			   const struct filter *lanes[static ENGINE_LANES_MAX], size_t *ret_n_lanes,
			   struct step_run *runs)
{
	size_t n_lanes = 0, n_runs = 0;

	for (size_t i = 0; i < draft->config->n_doors; i++) {
		const struct door *door = &draft->config->doors[i];
		const struct ini_section *section = draft->doors[i].section;
		size_t lane;

		if (!draft->doors[i].whole)
			continue;
		lane = number_lane(&door->knock.filter, lanes, &n_lanes);
		if (lane == ENGINE_LANES_MAX)
			complain_error(complaints, section->line,
				       "door %s: more than %d different combinations of tcpflags, "
				       "interface, target and log",
				       door->name, ENGINE_LANES_MAX);
		else if (door->knock.sequence.n_steps > 0)
			runs[n_runs++] =
				(struct step_run){door, section, lane, door->knock.sequence.steps,
						  door->knock.sequence.n_steps};
	}
	*ret_n_lanes = n_lanes;
	return n_runs;
}

/* A door of the lane whose sequence is a proper part of this one, the longest; NULL: none. */
static const struct door *find_part(const struct step_run *whole, size_t lane,
				    const struct step_run *runs, size_t n_runs)
{
	for (size_t n_steps = whole->n_steps - 1; n_steps > 0; n_steps--) {
		for (size_t from = 0; from + n_steps <= whole->n_steps; from++) {
			const struct step_run part = {
				.lane = lane, .steps = whole->steps + from, .n_steps = n_steps};
			const struct step_run *found =
				bsearch(&part, runs, n_runs, sizeof(*runs), compare_runs);

			if (found)
				return found->door;
		}
	}
	return NULL;
}

/* Whether they ask the same of a packet, but for interfaces, of which some are both's. */
static bool filters_overlap(const struct filter *a, const struct filter *b)
{
	struct filter other = *b;

	memcpy(other.interface, a->interface, sizeof other.interface);
	return filter_equal(a, &other) &&
	       (filter_takes_interface(a, b->interface) || filter_takes_interface(b, a->interface));
}

static void check_run(const struct step_run *run, const struct filter *const *lanes, size_t n_lanes,
		      const struct step_run *runs, size_t n_runs, struct complaints *complaints)
{
	const struct door *part = find_part(run, run->lane, runs, n_runs);

	for (size_t i = 0; i < n_lanes && !part; i++)
		if (filters_overlap(lanes[i], lanes[run->lane]))
			part = find_part(run, i, runs, n_runs);
	if (part)
		complain_warning(complaints, ini_find(run->section, "sequence")->line,
				 "door %s: sequence holds all of the sequence of door %s, "
				 "which opens on the way",
				 run->door->name, part->name);
}

int draft_check_knocks(const struct draft *draft, struct complaints *complaints)
{
	struct step_run *runs CLEANUP(cleanup_free) =
		calloc(draft->config->n_doors + 1, sizeof(*runs));
	const struct filter *lanes[ENGINE_LANES_MAX];
	size_t n_runs, n_lanes;

	if (!runs)
		return -ENOMEM;
	n_runs = collect_runs(draft, complaints, lanes, &n_lanes, runs);
	qsort(runs, n_runs, sizeof(*runs), compare_runs);
	for (size_t i = 0; i < n_runs; i++)
		check_run(&runs[i], lanes, n_lanes, runs, n_runs, complaints);
	return 0;
}

/* A door that SPA knocks name by a tag. */
struct tagged {
	uint16_t tag;
	size_t door; /* position */
};

static int compare_tagged(const void *a, const void *b)
{
	const struct tagged *x = a, *y = b;
	int order = (x->tag > y->tag) - (x->tag < y->tag);

	return order != 0 ? order : (x->door > y->door) - (x->door < y->door);
}

int draft_check_tags(const struct draft *draft, struct complaints *complaints)
{
	const struct door *doors = draft->config->doors;
	struct tagged *tagged CLEANUP(cleanup_free) =
		calloc(draft->config->n_doors + 1, sizeof(*tagged));
	size_t n = 0;

	if (!tagged)
		return -ENOMEM;
	for (size_t i = 0; i < draft->config->n_doors; i++)
		if (doors[i].auth & AUTH_SPA && doors[i].name[0] != '\0')
			tagged[n++] = (struct tagged){spa_door(doors[i].name), i};
	qsort(tagged, n, sizeof(*tagged), compare_tagged);
	for (size_t i = 1; i < n; i++)
		if (tagged[i].tag == tagged[i - 1].tag)
			complain_error(complaints, draft->doors[tagged[i].door].section->line,
				       "door %s: SPA knocks cannot tell it from door %s: one of "
				       "them needs another name",
				       doors[tagged[i].door].name, doors[tagged[i - 1].door].name);
	return 0;
}
