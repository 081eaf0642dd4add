/* Counts what the whole process allocates, its libraries included. */
#pragma once

#include <stddef.h>

/* Since the start: how many blocks, and how many bytes they were asked to have. */
size_t allocations_blocks(void);
size_t allocations_bytes(void);
