/* The unit that loads the firewall before the network comes up. */
#pragma once

#include "cli/rules/plan.h"

#include <stdbool.h>
#include <stdio.h>

/* Writes the unit, and the nftables table that it shuts everything with until all is loaded. */
void boot_unit_print(enum variant variant, FILE *file);
void boot_closed_print(FILE *file);

/* Whether it loads rules, and not only sets for rules that others load. */
bool boot_unit_has_rules(enum variant variant);
