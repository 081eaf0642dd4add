/* The grants in the event loop: their timer, their commands, and their events into the journal. */
#pragma once

#include "grant/grants.h"

#include <systemd/sd-event.h>

struct grant_loop;

/* Grants saved under `runtime_directory`, driven by the event loop. 0, or a negative errno
 * after a line in the log. */
int grant_loop_new(sd_event *event, const char *runtime_directory, struct grant_loop **ret);
struct grant_loop *grant_loop_free(struct grant_loop *loop);

struct grants *grant_loop_grants(struct grant_loop *loop);

/* Calls `fn` for all events, after the journal has them. */
void grant_loop_listen(struct grant_loop *loop, event_fn fn, void *userdata);

/* To be called after grants_open() and the like, which may change what is due. */
void grant_loop_rearm(struct grant_loop *loop);

/* Closes them all, for a successor to open again what is still due, and runs the loop until that is
 * done, but not forever. 0 or -ETIMEDOUT. */
int grant_loop_suspend(struct grant_loop *loop);

/* Runs the loop until no grant is left, but not forever. 0 or -ETIMEDOUT. */
int grant_loop_wait_empty(struct grant_loop *loop);
