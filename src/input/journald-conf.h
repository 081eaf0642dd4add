/* journald's settings, as far as they matter here: journald.conf(5). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { JOURNALD_LEVEL_MAX = 7 };

struct journald_conf {
	bool stores, reads_kernel, is_volatile;
	unsigned max_level;		  /* of what it stores: 0 to JOURNALD_LEVEL_MAX */
	uint64_t system_max, runtime_max; /* bytes; 0: not set */
};

/* Reads what `systemd-analyze cat-config` prints, which it changes. What is not understood is as if
 * it were not there. */
void journald_conf_read(char *text, struct journald_conf *ret);
