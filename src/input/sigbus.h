/* Files that are cut short while they are mapped.
 *
 * libsystemd maps journal files, and leaves it to the program to survive reading where a file no
 * longer is (mmap(2): SIGBUS). Such pages read as zeros from then on, which no journal file is made
 * of: the library reports damage. Within the layer only. */
#pragma once

#include <stdbool.h>

/* From now on, for the whole program. May be called again. */
void sigbus_watch(void);

/* Whether it has happened since the last call: give up the mapping then. */
bool sigbus_happened(void);
