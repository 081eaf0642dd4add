/* Connecting through a door that is about to open. */
#pragma once

#include <stdint.h>

struct destinations;

/* Tries the addresses one after the other, again and again, until one accepts or the time is up. 0,
 * with a socket that does not block; -ETIMEDOUT; another negative errno: no way leads there. */
int connect_patiently(const struct destinations *to, uint16_t port, uint64_t timeout_us,
		      int *ret_fd);
