/* What has to be known of the expected ports without a daemon. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct config;

/* Whether knocks of these kinds (AUTH_*) are looked for in what this machine's firewall logs. */
bool config_listens_for(const struct config *config, unsigned auth);

/* Reads the keys: how many ports may be expected at a time (expected_ports_count()). 0 or a
 * negative errno. */
int config_count_expected(const struct config *config, size_t *ret);
