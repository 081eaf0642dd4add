/* The unit that loads the firewall before the network comes up. */
#pragma once

#include "cli/rules/plan.h"

#include <stdio.h>

/* Writes the unit, and the nftables table that it shuts everything with until all is loaded. */
void boot_unit_print(enum variant variant, FILE *file);
void boot_closed_print(FILE *file);
