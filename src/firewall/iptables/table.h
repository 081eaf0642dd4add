/* What `iptables -n -L CHAIN` prints, read for the rules that bear a comment of ours. */
#pragma once

#include "firewall/types.h"

#include <stdint.h>

struct listing;
struct passage;

/* Adds them, with what is left of them by the wall clock. Writes into `text`. 0 or -ENOMEM. */
int iptables_read_table(struct listing *listing, char *text, uint64_t wall_us);

/* As backend.find. */
enum firewall_answer iptables_find_rules(const struct listing *listing,
					 const struct passage *passage, uint64_t *ret_left_us);
