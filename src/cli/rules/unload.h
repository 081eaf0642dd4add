/* Taking the rules and sets that are loaded out of the kernel. */
#pragma once

#include "cli/rules/plan.h"
#include "cli/rules/removal.h"

/* As far as they are there. What others use stays. */
void unload(const struct config *config, enum variant variant, struct removal *removal);
