/* What each kind of source implements. */
#pragma once

#include "input/input.h"

#include <stdbool.h>

struct record;

struct source_ops {
	int (*next)(struct source *source, struct record *ret_record);
	void (*free)(struct source *source);
	/* Only of journals; otherwise NULL. */
	bool (*sees_files)(struct source *source);
	/* Only of files of the past; otherwise NULL. */
	bool (*lost)(struct source *source);
	/* Only where there are fields to match; otherwise NULL. */
	int (*listen)(struct source *source, const struct origin *origins, size_t n);
	/* Only where more may come; otherwise NULL. */
	int (*follow)(struct source *source);
	bool (*place)(struct source *source, struct source_place *ret);
	const struct source_counts *(*counts)(const struct source *source);
};

/* The first member of every kind. */
struct source {
	const struct source_ops *ops;
};
