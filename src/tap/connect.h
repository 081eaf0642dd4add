/* Connecting through a door that is about to open. */
#pragma once

#include <stdint.h>

struct destinations;

/* Tries the addresses one after the other, each for so long and until the deadline
 * (CLOCK_MONOTONIC); a refusal is no reason to hurry. 0, with a socket that does not block;
 * -EAGAIN: nobody answers; another negative errno: refused, or no way leads there. */
int connect_try(const struct destinations *to, uint16_t port, uint64_t patience_us,
		uint64_t deadline_us, int *ret_fd);
