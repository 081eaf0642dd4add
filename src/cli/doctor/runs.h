/* Findings about ports: what holds of many in a row is said once. */
#pragma once

#include "cli/doctor/finding.h"
#include "cli/doctor/packets.h"

#include <stdbool.h>

struct port_set;

/* What there is to say of a port: `before`, the port if `names_port`, `behind`. */
struct judgement {
	enum finding finding; /* FINDING_OK: nothing */
	const char *advice;
	bool names_port;
	char before[128];
	char behind[4 * BY_MAX];
};

/* Fills in what is not all right; the judgement is that all is. */
typedef void (*judge_fn)(const struct doctor *doctor, const struct door *door, enum family family,
			 struct step port, struct judgement *ret);

/* Judges what the door guards, one port of those that no rule tells apart, and says what is found.
 * Where a door guards all ports and `is_of_all`, only what holds of all of them. */
void doctor_judge(struct doctor *doctor, const struct door *door, enum family family, judge_fn fn,
		  bool is_of_all);

/* The same of what is in a range. */
void doctor_judge_range(struct doctor *doctor, const struct door *door, enum family family,
			const struct port_range *range, judge_fn fn);
