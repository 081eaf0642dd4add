/* Reconciliation: lists, now and then, what the firewall has of what is granted. What somebody has
 * flushed is restored. Within the layer only. */
#pragma once

#include <stdint.h>

struct grants;

/* Lists, if it is time. */
void reconcile_run(struct grants *grants, uint64_t now_us);
