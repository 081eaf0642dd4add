/* A queue of grants by the time when something is due: a binary heap. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* The part of a grant that the queue knows. */
struct due {
	uint64_t at_us;
	size_t position;
};

struct queue {
	struct due **items;
	size_t n_items, n_room;
};

void queue_done(struct queue *queue);

/* 0 or -ENOMEM. */
int queue_add(struct queue *queue, struct due *due);
void queue_remove(struct queue *queue, struct due *due);

/* Gives an item that is in the queue another time. */
void queue_move(struct queue *queue, struct due *due, uint64_t at_us);

/* The earliest, or NULL. */
struct due *queue_first(const struct queue *queue);
