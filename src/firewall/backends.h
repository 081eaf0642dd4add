/* The table of all backends, and what is made by it. */
#pragma once

#include "core/door.h"

struct backend;
struct passage;
struct placeholder_values;

extern const struct backend *const backends[N_BACKENDS];

/* What the opening is for one visitor. 0; -ENOMEM; -EAFNOSUPPORT: it has nothing for the address's
 * family. */
int passage_new(const struct opening *opening, const struct placeholder_values *values,
		struct passage **ret);

/* Reads one line of passage_write() into *passage, which starts as NULL. 0; -ENOENT: not a key of
 * a passage; -EINVAL: not as passage_write() writes it. */
int passage_read_line(const char *key, const char *value, struct passage **passage);
