#include "cli/doctor/runs.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/door.h"
#include "ruleset/port-cuts.h"
#include "util/cleanup.h"

/* Ports in a row of which the same is to be said. */
struct run {
	struct port_range range; /* {0}: none */
	struct judgement judgement;
};

static bool judgement_equal(const struct judgement *a, const struct judgement *b)
{
	return a->finding == b->finding && a->advice == b->advice &&
	       a->names_port == b->names_port && strcmp(a->before, b->before) == 0 &&
	       strcmp(a->behind, b->behind) == 0;
}

static void run_say(struct doctor *doctor, const struct run *run)
{
	const struct judgement *judgement = &run->judgement;
	char ports[PORT_RANGE_TEXT_MAX], name[PORT_RANGE_TEXT_MAX + 8] = "";

	if (judgement->finding == FINDING_OK)
		return;
	if (judgement->names_port && run->range.first == run->range.last)
		snprintf(name, sizeof name, "port %u%s", run->range.first,
			 run->range.protocol == IPPROTO_UDP ? "/udp" : "");
	else if (judgement->names_port)
		snprintf(name, sizeof name, "range %s", port_range_format(&run->range, ports));
	doctor_say(doctor, judgement->finding, judgement->advice, "%s%s%s", judgement->before, name,
		   judgement->behind);
}

/* Whether all of the range is one run, which is then still to be said. */
static bool judge_pieces(struct doctor *doctor, const struct door *door, enum family family,
			 const struct port_range *range, judge_fn fn, struct run *runs,
			 bool is_of_all)
{
	struct port_range piece = {0};
	struct run *run = &runs[0], *next = &runs[1];

	run->range = (struct port_range){0};
	while (port_cuts_next(&doctor->cuts, range, &piece)) {
		next->range = piece;
		next->judgement = (struct judgement){.names_port = true};
		fn(doctor, door, family, (struct step){piece.first, piece.protocol},
		   &next->judgement);
		if (run->range.first > 0 && judgement_equal(&run->judgement, &next->judgement)) {
			run->range.last = piece.last;
			continue;
		}
		if (run->range.first > 0 && !is_of_all)
			run_say(doctor, run);
		*run = *next;
	}
	return run->range.first == range->first;
}

static void judge_range(struct doctor *doctor, const struct door *door, enum family family,
			const struct port_range *range, judge_fn fn, bool is_of_all)
{
	struct run *runs CLEANUP(cleanup_free) = calloc(2, sizeof *runs);

	if (!runs)
		doctor_say(doctor, FINDING_UNKNOWN, NULL, "out of memory");
	else if (judge_pieces(doctor, door, family, range, fn, runs, is_of_all) || !is_of_all)
		run_say(doctor, &runs[0]);
}

void doctor_judge_range(struct doctor *doctor, const struct door *door, enum family family,
			const struct port_range *range, judge_fn fn)
{
	judge_range(doctor, door, family, range, fn, false);
}

void doctor_judge(struct doctor *doctor, const struct door *door, enum family family, judge_fn fn,
		  bool is_of_all)
{
	struct port_set ports;

	doctor_guarded(door, &ports);
	for (size_t i = 0; i < ports.n_ranges; i++)
		judge_range(doctor, door, family, &ports.ranges[i], fn, is_of_all && ports.is_all);
}
