#include "daemon/full-tables.h"

#include <inttypes.h>

#include "util/log.h"

void full_tables_report(struct full_tables *tables, uint64_t n, uint64_t now_us)
{
	if (n == tables->n_reported ||
	    (tables->n_reported > 0 && now_us - tables->reported_us < FULL_TABLES_US))
		return;
	log_line(LOG_WARNING,
		 "a table of the firewall's limits by source is full, the kernel says (%" PRIu64
		 " times more): knocks of new sources are not logged; see knocktail doctor",
		 n - tables->n_reported);
	tables->n_reported = n;
	tables->reported_us = now_us;
}
