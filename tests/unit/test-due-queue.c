#include "grant/due-queue.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "cmocka-all.h"
#include "shortage.h"

enum { N = 300 };

/* Every item knows its place, and none is due before its parent. */
static void check(const struct due_queue *queue)
{
	for (size_t i = 0; i < queue->n_items; i++) {
		assert_int_equal(queue->items[i]->position, i);
		assert_true(i == 0 || queue->items[(i - 1) / 2]->at_us <= queue->items[i]->at_us);
	}
}

static uint64_t draw(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return *seed >> 33;
}

static void test_empty(void **state)
{
	struct due_queue queue = {0};

	(void)state;
	assert_null(due_queue_first(&queue));
	due_queue_done(&queue);
	due_queue_done(&queue);
}

static void test_one(void **state)
{
	struct due due = {.at_us = UINT64_MAX};
	struct due_queue queue = {0};

	(void)state;
	assert_int_equal(due_queue_add(&queue, &due), 0);
	assert_ptr_equal(due_queue_first(&queue), &due);
	due_queue_move(&queue, &due, 0);
	assert_ptr_equal(due_queue_first(&queue), &due);
	assert_int_equal(due.at_us, 0);
	due_queue_remove(&queue, &due);
	assert_null(due_queue_first(&queue));
	due_queue_done(&queue);
}

static void test_drains_in_order(void **state)
{
	struct due items[N];
	struct due_queue queue = {0};
	uint64_t seed = 1, last_us = 0;

	(void)state;
	for (size_t i = 0; i < N; i++) {
		items[i] = (struct due){.at_us = draw(&seed) % 100};
		assert_int_equal(due_queue_add(&queue, &items[i]), 0);
		check(&queue);
	}
	for (size_t i = 0; i < N; i++) {
		struct due *due = due_queue_first(&queue);

		assert_non_null(due);
		assert_true(due->at_us >= last_us);
		last_us = due->at_us;
		due_queue_remove(&queue, due);
		check(&queue);
	}
	assert_null(due_queue_first(&queue));
	due_queue_done(&queue);
}

/* Adds, moves and removes at random; a plain search must find the same minimum. */
static void test_against_a_search(void **state)
{
	struct due items[N];
	int in_queue[N] = {0};
	struct due_queue queue = {0};
	uint64_t seed = 7;

	(void)state;
	for (size_t round = 0; round < 20000; round++) {
		size_t i = draw(&seed) % N, n = 0;
		uint64_t at_us = draw(&seed) % 1000, first_us = UINT64_MAX;

		if (!in_queue[i]) {
			items[i] = (struct due){.at_us = at_us};
			assert_int_equal(due_queue_add(&queue, &items[i]), 0);
			in_queue[i] = 1;
		} else if (draw(&seed) % 2) {
			due_queue_move(&queue, &items[i], at_us);
			assert_true(items[i].at_us == at_us);
		} else {
			due_queue_remove(&queue, &items[i]);
			in_queue[i] = 0;
		}
		check(&queue);
		for (size_t k = 0; k < N; k++) {
			if (!in_queue[k])
				continue;
			n++;
			if (items[k].at_us < first_us)
				first_us = items[k].at_us;
		}
		assert_int_equal(queue.n_items, n);
		assert_true(n == 0 ? !due_queue_first(&queue)
				   : due_queue_first(&queue)->at_us == first_us);
	}
	due_queue_done(&queue);
}

/* What is in it already stays. */
static void test_no_memory(void **state)
{
	struct due dues[17];
	struct due_queue queue = {0};

	(void)state;
	shortage_left = 0;
	assert_int_equal(due_queue_add(&queue, &dues[0]), -ENOMEM);
	shortage_left = SIZE_MAX;
	for (size_t i = 0; i < 16; i++) {
		dues[i].at_us = i;
		assert_int_equal(due_queue_add(&queue, &dues[i]), 0);
	}
	shortage_left = 0;
	assert_int_equal(due_queue_add(&queue, &dues[16]), -ENOMEM);
	shortage_left = SIZE_MAX;
	assert_int_equal(queue.n_items, 16);
	check(&queue);
	due_queue_done(&queue);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),		cmocka_unit_test(test_one),
		cmocka_unit_test(test_drains_in_order), cmocka_unit_test(test_against_a_search),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests_name("queue", tests, NULL, NULL);
}
