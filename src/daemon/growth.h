/* Full tables of the firewall's limits by source: whoever finds no place in one is not logged. */
#pragma once

#include <stdint.h>

/* All zero at first. */
struct full_tables {
	uint64_t n_reported, reported_us;
};

/* Reports in the daemon's log that the kernel has found a table full, `n` times so far; at most
 * once in so long. */
#define FULL_TABLES_US UINT64_C(10000000)
void full_tables_report(struct full_tables *tables, uint64_t n, uint64_t now_us);
