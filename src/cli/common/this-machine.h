/* Whether this machine has what a door's knocks must come in by. */
#pragma once

struct door;

enum { ABSENCE_TEXT_MAX = 128 };

/* "this machine has no interface eth7", or NULL: nothing is known to be absent. A door whose probes
 * come from another log is of other machines. */
const char *this_machine_lacks(const struct door *door, char text[static ABSENCE_TEXT_MAX]);
