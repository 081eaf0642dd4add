/* One knock, followed as it comes in. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct address;
struct config;
struct door;

/* Follows one knock of this address and explains where it ended. 0: it opened a door; 1: it did
 * not; a negative errno. */
int doctor_watch(const struct config *config, const struct door *only, const struct address *source,
		 uint64_t timeout_us, bool json);
