#include "cli/replay/batches.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "core/record.h"

/* Records go in batches: a hand-over costs more than a record does. */
enum { N_BATCHES = 4, BATCH_RECORDS = 512, BATCH_TEXT = 128 * 1024 };

struct batch {
	size_t n, used;
	struct record records[BATCH_RECORDS];
	char text[BATCH_TEXT];
};

struct relay {
	relay_fn fn;
	void *userdata;
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	size_t n_filled, n_emptied; /* batches, since the start */
	bool ended;
	struct batch batches[N_BATCHES];
};

/* The next one to be judged; NULL: there will be none. */
static struct batch *wait_filled(struct relay *relay)
{
	struct batch *batch = NULL;

	pthread_mutex_lock(&relay->mutex);
	while (relay->n_filled == relay->n_emptied && !relay->ended)
		pthread_cond_wait(&relay->changed, &relay->mutex);
	if (relay->n_filled > relay->n_emptied)
		batch = &relay->batches[relay->n_emptied % N_BATCHES];
	pthread_mutex_unlock(&relay->mutex);
	return batch;
}

static void *run(void *userdata)
{
	struct relay *relay = userdata;
	struct batch *batch;

	while ((batch = wait_filled(relay))) {
		relay->fn(relay->userdata, batch->records, batch->n);
		batch->n = batch->used = 0;
		pthread_mutex_lock(&relay->mutex);
		relay->n_emptied++;
		pthread_cond_signal(&relay->changed);
		pthread_mutex_unlock(&relay->mutex);
	}
	return NULL;
}

int relay_new(relay_fn fn, void *userdata, struct relay **ret)
{
	struct relay *relay = calloc(1, sizeof *relay);
	int r;

	if (!relay)
		return -ENOMEM;
	relay->fn = fn;
	relay->userdata = userdata;
	pthread_mutex_init(&relay->mutex, NULL);
	pthread_cond_init(&relay->changed, NULL);
	r = pthread_create(&relay->thread, NULL, run, relay);
	if (r != 0) {
		free(relay);
		return -r;
	}
	*ret = relay;
	return 0;
}

/* Hands the batch on, and waits until there is another to fill. */
static void hand_on(struct relay *relay)
{
	pthread_mutex_lock(&relay->mutex);
	relay->n_filled++;
	pthread_cond_signal(&relay->changed);
	while (relay->n_filled - relay->n_emptied == N_BATCHES)
		pthread_cond_wait(&relay->changed, &relay->mutex);
	pthread_mutex_unlock(&relay->mutex);
}

void relay_put(struct relay *relay, const struct record *record)
{
	struct batch *batch = &relay->batches[relay->n_filled % N_BATCHES];
	size_t length = record->length < BATCH_TEXT ? record->length : BATCH_TEXT;
	struct record *copy;

	if (batch->n == BATCH_RECORDS || BATCH_TEXT - batch->used < length) {
		hand_on(relay);
		batch = &relay->batches[relay->n_filled % N_BATCHES];
	}
	copy = &batch->records[batch->n++];
	*copy = *record;
	copy->text = memcpy(batch->text + batch->used, record->text, length);
	copy->length = length;
	batch->used += length;
}

struct relay *relay_free(struct relay *relay)
{
	if (!relay)
		return NULL;
	pthread_mutex_lock(&relay->mutex);
	if (relay->batches[relay->n_filled % N_BATCHES].n > 0)
		relay->n_filled++;
	relay->ended = true;
	pthread_cond_signal(&relay->changed);
	pthread_mutex_unlock(&relay->mutex);
	pthread_join(relay->thread, NULL);
	pthread_cond_destroy(&relay->changed);
	pthread_mutex_destroy(&relay->mutex);
	free(relay);
	return NULL;
}
