/* A relay: hands records on to another thread, so that one reads while the other judges.
 *
 * A journal may only ever be used by the thread that has opened it (sd-journal(3)), so that one is
 * the reader. */
#pragma once

#include <stddef.h>

struct record;
struct relay;

typedef void (*relay_fn)(void *userdata, const struct record *records, size_t n);

/* Starts the other thread, which calls `fn` for all records in their order, some at a time. 0 or a
 * negative errno. */
int relay_new(relay_fn fn, void *userdata, struct relay **ret);

/* Takes a copy of the record, and waits where the other thread is far behind. */
void relay_put(struct relay *relay, const struct record *record);

/* Waits until all that was put is dealt with, and ends the thread. */
struct relay *relay_free(struct relay *relay);
