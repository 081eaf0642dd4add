/* The grants in the event loop: their timer, their commands, and their news into the journal. */
#pragma once

#include "grant/grants.h"

#include <systemd/sd-event.h>

struct doors;

/* Grants on record under `runtime_directory`, driven by the event loop. 0, or a negative errno
 * after a line in the log. */
int doors_new(sd_event *event, const char *runtime_directory, struct doors **ret);
struct doors *doors_free(struct doors *doors);

struct grants *doors_grants(struct doors *doors);

/* Has `fn` told of all news, after the journal. `deadline_us` is on the wall clock; 0: none. */
typedef void (*doors_news_fn)(void *userdata, const struct grant_news *news, uint64_t deadline_us);
void doors_listen(struct doors *doors, doors_news_fn fn, void *userdata);

/* To be called after grants_open() and the like: what is due may have changed. */
void doors_rearm(struct doors *doors);

/* Closes them all, for a successor to open again what is still due, and runs the loop until that is
 * done, but not for ever. 0 or -ETIMEDOUT. */
int doors_suspend(struct doors *doors);

/* Runs the loop until no grant is left, but not for ever. 0 or -ETIMEDOUT. */
int doors_wait_empty(struct doors *doors);
