/* The configuration file, read, checked and turned into doors.
 *
 * MUST: with one error anywhere nothing of the file counts. Nobody but the file's owner may write
 * it. No complaint shows a step of a sequence. */
#pragma once

#include "core/door.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One thing to say about the file. */
struct complaint {
	unsigned line; /* from 1; 0: about the file as a whole */
	bool warning;  /* allowed, but worth a word; otherwise an error */
	char *text;    /* one sentence without a final stop: what is wrong and what was expected */
};

struct complaints {
	struct complaint *items;
	size_t n_items;
	size_t n_errors; /* also of those that were too many to be kept */
	int error;	 /* 0, or -ENOMEM: memory ran out for some */
};

void complaints_done(struct complaints *complaints);

enum on_stop { ON_STOP_CLOSE, ON_STOP_KEEP };

struct config {
	char *log_prefix;
	uint32_t max_sources; /* trackers */
	uint32_t max_open;    /* grants, over all doors */
	uint64_t max_age_us;
	uint8_t ipv6_prefix;
	enum on_stop on_stop;
	uint64_t clock_skew_us; /* tokens and SPA knocks: how far a client's clock may be off */
	char *keys;		/* the directory of the keys */
	struct door *doors;	/* in the order of the file */
	size_t n_doors;
	struct other_log *logs; /* the [log NAME] sections, in their order */
	size_t n_logs;
};

/* Reads `path`. 0: *ret_config is whole, and *ret_complaints may hold warnings. -EBADMSG: the file
 * is wrong, and *ret_complaints (in line order) says how; this includes a file that its group or
 * others may write. Another negative errno: it could not be read at all, or memory ran out. The
 * complaints are the caller's to destroy in every case. */
int config_load(const char *path, struct config **ret_config, struct complaints *ret_complaints);

/* The same for a file's bytes. `proc_net` is the directory that says which ports this machine
 * listens on ("/proc/self/net"), or NULL: no warning about them. */
int config_load_bytes(const char *data, size_t size, const char *proc_net,
		      struct config **ret_config, struct complaints *ret_complaints);

struct config *config_free(struct config *config);

/* The door of this name, or NULL. */
const struct door *config_find_door(const struct config *config, const char *name);
