/* Inheritance: what becomes of the grants that a predecessor has saved. Within the layer only. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct grants;

/* Reads the state files, whose doors grants->find knows (NULL: a sweep), and takes the grants over
 * that are not in the table yet. Files that cannot be read are reported the first time, and retried
 * at grants->reread_us. 0 or a negative errno: the directory cannot be read. */
int inherit_read(struct grants *grants, bool is_first, uint64_t now_us);
