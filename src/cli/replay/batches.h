/* A relay: hands records on to another thread, so that one reads while the other judges.
 *
 * A journal may only ever be used by the thread that has opened it (sd-journal(3)), so that one is
 * the reader. */
#pragma once

#include <stddef.h>

struct record;
struct batches;

typedef void (*batches_fn)(void *userdata, const struct record *records, size_t n);

/* Starts the other thread, which calls `fn` for all records in their order, some at a time. 0 or a
 * negative errno. */
int batches_new(batches_fn fn, void *userdata, struct batches **ret);

/* Takes a copy of the record, and waits where the other thread is far behind. */
void batches_put(struct batches *batches, const struct record *record);

/* Waits until all that was put is dealt with, and ends the thread. */
struct batches *batches_free(struct batches *batches);
