/* The realm of a server whose configuration names none: the machine's own. */
#pragma once

#include "core/key-file.h"

/* The first 16 digits of the ID that the machine has for this program alone, so that it says
 * nothing of the machine's own ID: as sd_id128_get_machine_app_specific(3) makes it. 0, or a
 * negative errno: the machine has no ID. */
int machine_realm(char ret[static REALM_MAX + 1]);
