/* One knock, followed as it comes in. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct address;
struct config;
struct door;

enum attempt_outcome { ATTEMPT_OPENED, ATTEMPT_IN_VAIN };

/* Follows one knock of this address and explains where it ended. An attempt_outcome, or a negative
 * errno. */
int attempt_follow(const struct config *config, const struct door *only,
		   const struct address *source, uint64_t timeout_us, bool json);
