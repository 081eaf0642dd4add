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

struct batches {
	batches_fn fn;
	void *userdata;
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	size_t n_filled, n_emptied; /* batches, since the start */
	bool ended;
	struct batch batches[N_BATCHES];
};

/* The next one to be judged; NULL: there will be none. */
static struct batch *wait_filled(struct batches *batches)
{
	struct batch *batch = NULL;

	pthread_mutex_lock(&batches->mutex);
	while (batches->n_filled == batches->n_emptied && !batches->ended)
		pthread_cond_wait(&batches->changed, &batches->mutex);
	if (batches->n_filled > batches->n_emptied)
		batch = &batches->batches[batches->n_emptied % N_BATCHES];
	pthread_mutex_unlock(&batches->mutex);
	return batch;
}

static void *batches_run(void *userdata)
{
	struct batches *batches = userdata;
	struct batch *batch;

	while ((batch = wait_filled(batches))) {
		batches->fn(batches->userdata, batch->records, batch->n);
		batch->n = batch->used = 0;
		pthread_mutex_lock(&batches->mutex);
		batches->n_emptied++;
		pthread_cond_signal(&batches->changed);
		pthread_mutex_unlock(&batches->mutex);
	}
	return NULL;
}

int batches_new(batches_fn fn, void *userdata, struct batches **ret)
{
	struct batches *batches = calloc(1, sizeof *batches);
	int r;

	if (!batches)
		return -ENOMEM;
	batches->fn = fn;
	batches->userdata = userdata;
	pthread_mutex_init(&batches->mutex, NULL);
	pthread_cond_init(&batches->changed, NULL);
	r = pthread_create(&batches->thread, NULL, batches_run, batches);
	if (r != 0) {
		free(batches);
		return -r;
	}
	*ret = batches;
	return 0;
}

/* Hands the batch on, and waits until there is another to fill. */
static void hand_on(struct batches *batches)
{
	pthread_mutex_lock(&batches->mutex);
	batches->n_filled++;
	pthread_cond_signal(&batches->changed);
	while (batches->n_filled - batches->n_emptied == N_BATCHES)
		pthread_cond_wait(&batches->changed, &batches->mutex);
	pthread_mutex_unlock(&batches->mutex);
}

void batches_put(struct batches *batches, const struct record *record)
{
	struct batch *batch = &batches->batches[batches->n_filled % N_BATCHES];
	size_t length = record->length < BATCH_TEXT ? record->length : BATCH_TEXT;
	struct record *copy;

	if (batch->n == BATCH_RECORDS || BATCH_TEXT - batch->used < length) {
		hand_on(batches);
		batch = &batches->batches[batches->n_filled % N_BATCHES];
	}
	copy = &batch->records[batch->n++];
	*copy = *record;
	copy->text = memcpy(batch->text + batch->used, record->text, length);
	copy->length = length;
	batch->used += length;
}

struct batches *batches_free(struct batches *batches)
{
	if (!batches)
		return NULL;
	pthread_mutex_lock(&batches->mutex);
	if (batches->batches[batches->n_filled % N_BATCHES].n > 0)
		batches->n_filled++;
	batches->ended = true;
	pthread_cond_signal(&batches->changed);
	pthread_mutex_unlock(&batches->mutex);
	pthread_join(batches->thread, NULL);
	pthread_cond_destroy(&batches->changed);
	pthread_mutex_destroy(&batches->mutex);
	free(batches);
	return NULL;
}
