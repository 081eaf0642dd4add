/* Whose a table of nftables is. */
#pragma once

#include <stdbool.h>

/* Whether the table holds what iptables has not made and would not print; `json` is what
 * `nft -j list` prints of it, and maybe of others. */
bool ruleset_is_foreign(const char *json, const char *family, const char *name);
