/* What stands in the doors' sets for a time and the daemon does not know of (firewall/strays.h), as
 * it is seen from outside. */
#pragma once

#include "core/address.h"

#include <stddef.h>
#include <stdint.h>

struct config;
struct stray_search;

/* 0 or a negative errno. */
int stray_search_new(const struct config *config, struct stray_search **ret);
struct stray_search *stray_search_free(struct stray_search *search);

/* The daemon says that this door is open for this source; of a door that the configuration does not
 * have, nothing follows. 0 or -ENOMEM. */
int stray_search_know(struct stray_search *search, const char *door, const char *source);

/* Looks through the sets. 0; -ENOMEM; how many could not be listed. */
typedef int (*stray_found_fn)(void *userdata, const char *door, const char *set,
			      const char *element, uint64_t left_us);
int stray_search_run(struct stray_search *search, stray_found_fn fn, void *userdata);
