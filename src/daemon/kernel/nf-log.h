/* A setting of this machine that lets others forge what the daemon believes. It may change at any
 * time. */
#pragma once

#include <stdbool.h>

struct nf_log {
	bool is_known; /* it has been looked at */
	bool is_for_all;
};

/* Whether anybody who may create a network namespace can have the kernel log any line, now. The
 * first time, and where that has changed, it is logged. */
bool nf_log_is_for_all(struct nf_log *nf_log, bool is_trusted);
