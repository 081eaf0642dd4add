/* Whether this machine has what a door's knocks must come in by. */
#pragma once

#include <stdbool.h>

struct address;
struct door;
struct sockaddr;

enum { ABSENCE_TEXT_MAX = 128 };

/* The address in it (NULL: none). False: it has none of IPv4 or IPv6. */
bool this_machine_address(const struct sockaddr *from, struct address *ret);

/* "this machine has no interface eth7", or NULL: nothing is known to be absent. A door whose probes
 * come from another log is of other machines. */
const char *this_machine_lacks(const struct door *door, char text[static ABSENCE_TEXT_MAX]);
