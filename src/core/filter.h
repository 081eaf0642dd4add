/* A filter: which probes a door looks at, whatever their port. */
#pragma once

#include "core/address.h"

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

struct probe;

struct filter {
	uint64_t log;	     /* of which log: its id, or OTHER_LOG_KERNEL */
	bool by_nflog;	     /* and that is what this machine's firewall logs by NFLOG */
	uint8_t flags_set;   /* TCP_FLAG_* that a TCP probe must carry */
	uint8_t flags_clear; /* and must not carry */
	bool has_target;
	struct address target;	     /* where it must be sent to, if has_target */
	char interface[IF_NAMESIZE]; /* where it must come in; "": anywhere; "ppp+": where the name
					begins so. Zero-padded */
};

/* The default: a SYN that is not a SYN-ACK, from anywhere to anywhere. */
extern const struct filter filter_default;

/* "syn, !ack": sets both masks of `filter`. 0; -EINVAL: an unknown flag, a flag twice, or nothing.
 */
int filter_parse_flags(const char *text, struct filter *filter);

/* Whether it is this machine's firewall that logs them. */
bool filter_is_logged_here(const struct filter *filter);

bool filter_equal(const struct filter *a, const struct filter *b);
/* Whether what comes in by the interface passes. */
bool filter_takes_interface(const struct filter *filter, const char *interface);
bool filter_passes(const struct filter *filter, const struct probe *probe);
