/* The running configuration: the one in force, and the matcher made from it. */
#pragma once

#include "match/matcher.h"

#include <stdbool.h>
#include <stdint.h>

struct config;
struct door;
struct grants;
struct running_config;

/* Reads the file; complaints, and any other error, go to the log. 0; -EBADMSG: it is wrong; another
 * negative errno. */
int running_config_read(const char *path, struct config **ret);

/* Nothing is in force before running_config_replace(). NULL: no memory. */
struct running_config *running_config_new(void);
struct running_config *running_config_free(struct running_config *running);

/* Who gets the strays of this matcher and its successors. */
void running_config_set_stray(struct running_config *running, matcher_stray_fn fn, void *userdata);

/* Puts a configuration and its matcher in force, which belong to `running` then. Grants of users
 * whose keys have gone are closed while both matchers are there to compare. */
void running_config_replace(struct running_config *running, struct config *config,
			    struct matcher *matcher, struct grants *grants);

/* NULL before something is in force; valid until it is replaced. */
const struct config *running_config_data(const struct running_config *running);
struct matcher *running_config_matcher(const struct running_config *running);

/* The door, if this user (or nobody) may still open it with this key (NULL: any of theirs).
 * `userdata` is the running configuration. */
const struct door *running_config_find_door(void *userdata, const char *name, const char *user,
					    const struct key_id *key);

/* How long ago a knock may have begun that can still open a door. */
uint64_t running_config_reach_us(const struct running_config *running);
