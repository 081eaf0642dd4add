#include "grant/due-queue.h"

#include <errno.h>
#include <stdlib.h>

void due_queue_done(struct due_queue *queue)
{
	free(queue->items);
	*queue = (struct due_queue){0};
}

static void due_queue_put(struct due_queue *queue, size_t position, struct due *due)
{
	queue->items[position] = due;
	due->position = position;
}

static void due_queue_sift_up(struct due_queue *queue, size_t position)
{
	struct due *due = queue->items[position];

	while (position > 0 && due->at_us < queue->items[(position - 1) / 2]->at_us) {
		due_queue_put(queue, position, queue->items[(position - 1) / 2]);
		position = (position - 1) / 2;
	}
	due_queue_put(queue, position, due);
}

static void due_queue_sift_down(struct due_queue *queue, size_t position)
{
	struct due *due = queue->items[position];

	for (;;) {
		size_t child = 2 * position + 1;

		if (child + 1 < queue->n_items &&
		    queue->items[child + 1]->at_us < queue->items[child]->at_us)
			child++;
		if (child >= queue->n_items || queue->items[child]->at_us >= due->at_us)
			break;
		due_queue_put(queue, position, queue->items[child]);
		position = child;
	}
	due_queue_put(queue, position, due);
}

int due_queue_add(struct due_queue *queue, struct due *due)
{
	if (queue->n_items == queue->n_room) {
		size_t n_room = queue->n_room ? 2 * queue->n_room : 16;
		struct due **items = realloc(queue->items, n_room * sizeof(struct due *));

		if (!items)
			return -ENOMEM;
		queue->items = items;
		queue->n_room = n_room;
	}
	due_queue_put(queue, queue->n_items++, due);
	due_queue_sift_up(queue, due->position);
	return 0;
}

void due_queue_remove(struct due_queue *queue, struct due *due)
{
	size_t position = due->position;
	struct due *last = queue->items[--queue->n_items];

	if (last == due)
		return;
	due_queue_put(queue, position, last);
	due_queue_sift_up(queue, position);
	due_queue_sift_down(queue, last->position);
}

void due_queue_move(struct due_queue *queue, struct due *due, uint64_t at_us)
{
	due->at_us = at_us;
	due_queue_sift_up(queue, due->position);
	due_queue_sift_down(queue, due->position);
}

struct due *due_queue_first(const struct due_queue *queue)
{
	return queue->n_items > 0 ? queue->items[0] : NULL;
}
