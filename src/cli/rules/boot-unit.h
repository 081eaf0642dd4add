/* The unit that loads the firewall before the network comes up. */
#pragma once

#include "cli/rules/plan.h"

#include <stdbool.h>
#include <stdio.h>

/* Writes the unit, whose first line has in it how it came about; what starts it again after one of
 * those that flush everything; and the nftables table that shuts everything until all is loaded. */
void boot_unit_print(enum variant variant, const struct plan *plan, FILE *file);
void boot_drop_in_print(FILE *file);
void boot_closed_print(const struct plan *plan, FILE *file);

/* Whether it loads rules, and not only sets for rules that others load. */
bool boot_unit_has_rules(enum variant variant);
