/* The rules that `nft -j list ruleset` prints. */
#pragma once

#include "core/address.h"

#include <stdbool.h>

struct ruleset;

/* Appends what is printed. `skip` are the families whose iptables tables have been read already.
 * 0; -EBADMSG: it is something else; -ENOMEM. */
int ruleset_add_nft(struct ruleset *ruleset, const char *json, const bool skip[static N_FAMILIES]);
