/* A queue of grants by the time when something is due: a binary heap. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* The part of a grant that the queue knows. */
struct due {
	uint64_t at_us;
	size_t position;
};

struct due_queue {
	struct due **items;
	size_t n_items, n_room;
};

void due_queue_done(struct due_queue *queue);

/* 0 or -ENOMEM. */
int due_queue_add(struct due_queue *queue, struct due *due);
void due_queue_remove(struct due_queue *queue, struct due *due);

/* Gives an item that is in the queue another time. */
void due_queue_move(struct due_queue *queue, struct due *due, uint64_t at_us);

/* The earliest, or NULL. */
struct due *due_queue_first(const struct due_queue *queue);
