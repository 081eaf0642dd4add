/* What nft has listed, some time later. */
#pragma once

#include <stdint.h>

/* The text of `nft list table` with the elements of its sets as old as they are after another
 * `elapsed_us`: those whose time is up by then are gone. To be freed; NULL: no memory. */
char *nft_age(const char *table, uint64_t elapsed_us);
