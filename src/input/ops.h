/* What each kind of input implements. */
#pragma once

#include "input/input.h"

#include <stdbool.h>

struct record;

struct input_ops {
	int (*next)(struct input *input, struct record *ret_record);
	void (*free)(struct input *input);
	/* Only of journals; otherwise NULL. */
	bool (*sees_files)(struct input *input);
	/* Only of files of the past; otherwise NULL. */
	bool (*lost)(struct input *input);
	/* Only where there are fields to match; otherwise NULL. */
	int (*listen)(struct input *input, const struct other_log *logs, size_t n);
	/* Only where more may come; otherwise NULL. */
	int (*follow)(struct input *input);
	bool (*place)(struct input *input, struct input_position *ret);
	const struct input_counts *(*counts)(const struct input *input);
};

/* The first member of every kind. */
struct input {
	const struct input_ops *ops;
};
