/* Arguments of options that several verbs have. */
#pragma once

#include <stdint.h>

struct verb;

/* Each parses an argument. 0; -EINVAL, after a complaint.
 *
 * A point in time, as timestamp.h has it. */
int option_time(const struct verb *verb, const char *text, uint64_t *ret_us);

/* A time span from 1s to 1h. */
int option_span(const struct verb *verb, const char *text, uint64_t *ret_us);

/* Warns that this user can read no file of the journal. */
void verb_warn_blind(const struct verb *verb);
