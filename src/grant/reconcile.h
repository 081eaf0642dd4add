/* The survey: asks the firewall, now and then, whether it still has what is granted. What somebody
 * has flushed is put back. Within the layer only. */
#pragma once

#include <stdint.h>

struct grants;

/* How often, if there is little to ask for; the more there is, the more seldom. */
#define SURVEY_US UINT64_C(500000)

/* Makes sure that the next one is not later than this, unless the last one was too much work for
 * that. */
void survey_by(struct grants *grants, uint64_t at_us);

/* Asks, if it is time. */
void survey_run(struct grants *grants, uint64_t now_us);
