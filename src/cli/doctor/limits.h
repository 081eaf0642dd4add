/* What the doctor says of the limits that a knock meets on its way into the log. */
#pragma once

#include "core/address.h"

struct doctor;
struct door;
struct walk;

/* Says what is wrong with the limits that a packet of the door's has met, if a knock has so many
 * steps, and notes how much they let into the log. */
void limits_judge(struct doctor *doctor, const struct door *door, enum family family,
		  const struct walk *walk, unsigned n_steps);

/* Says what the limits that were noted mean for the journal. */
void limits_say_cost(struct doctor *doctor);
