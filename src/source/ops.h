/* What each kind of source implements. */
#pragma once

#include "source/source.h"

#include <stdbool.h>
#include <stdint.h>

struct record;

struct source_ops {
	int (*next)(struct source *source, struct record *ret_record);
	void (*free)(struct source *source);
	/* Only where there is something to wait for; otherwise NULL. */
	int (*fd)(struct source *source);
	int (*events)(struct source *source);
	int (*deadline)(struct source *source, uint64_t *ret_us);
	int (*process)(struct source *source);
	bool (*sees_files)(struct source *source);
};

/* The first member of every kind. */
struct source {
	const struct source_ops *ops;
};
