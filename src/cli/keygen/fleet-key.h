/* A new key for a fleet. */
#pragma once

#include "cli/verb.h"

/* Writes it to the file, which must not be there, for root and the agent's group alone. */
enum status fleet_key_create(const char *path);
