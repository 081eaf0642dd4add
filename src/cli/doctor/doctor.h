/* The doctor, for another verb. */
#pragma once

#include <stddef.h>

struct config;

/* Says what is wrong with the rules that are loaded, and only that. How many problems there are. */
size_t doctor_examine_rules(const struct config *config);
