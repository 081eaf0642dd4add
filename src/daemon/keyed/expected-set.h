/* The set of the expected ports in the firewall, kept as core/keyed/expected.h wants it.
 *
 * MUST: no door waits for it. Whatever is wrong with the set is reported once, and it is looked for
 * again: it may be made, emptied or replaced while this runs. */
#pragma once

#include <stdint.h>

struct expected_ports;
struct expected_set;
struct firewall;

/* The firewall is borrowed. Nothing happens before expected_set_aim(). NULL: no memory. */
struct expected_set *expected_set_new(struct firewall *firewall);
struct expected_set *expected_set_free(struct expected_set *set);

/* From now on the set has this name and these ports, both of which are borrowed until the next
 * call. */
void expected_set_aim(struct expected_set *set, const char *name, struct expected_ports *ports);

/* Now is this Unix time: to be called about every second. */
void expected_set_tend(struct expected_set *set, uint64_t unix_s);

/* Puts in what is new: to be called after each probe. */
void expected_set_update(struct expected_set *set);
