/* Which files of journals this process has open: sd-journal closes one that it finds damaged, goes
 * on without it, and says nothing. */
#pragma once

#include <stddef.h>

/* How many it has open; 0 where /proc does not say. */
size_t open_files_count(void);
