/* The configuration: what its file says, turned into doors. */
#pragma once

#include "core/door.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum on_stop { ON_STOP_CLOSE, ON_STOP_KEEP };

struct config {
	char *log_prefix;
	uint32_t max_sources;	/* trackers */
	uint32_t max_open;	/* grants, over all doors */
	uint32_t max_open_user; /* of them, of one user's */
	uint64_t max_age_us;
	char **notify_command; /* or NULL */
	uint8_t ipv6_prefix;
	enum on_stop on_stop;
	uint64_t clock_skew_us;	  /* tokens and SPA knocks: how far a client's clock may be off */
	unsigned trust_all_netns; /* 1: sequences open doors though any user may forge them */
	char *keys;		  /* the directory of the keys */
	char *expected_ports; /* the set of the ports that keyed knocks are expected at: as doors
				 name theirs of ipset or nft */
	char *realm;	      /* that they are for; NULL: the machine's own (keys/machine.h) */
	struct door *doors;   /* in the order of the file */
	size_t n_doors;
	struct other_log *logs; /* the [log NAME] sections, in their order */
	size_t n_logs;
};

struct config *config_free(struct config *config);

/* The door of this name, or NULL. */
const struct door *config_find_door(const struct config *config, const char *name);
