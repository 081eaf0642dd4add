/* Memory that runs out, for programs that are linked with --wrap for the allocators that are to
 * fail. What libraries allocate by themselves is not counted. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* How many allocations succeed from now on; then none does. SIZE_MAX: as many as there is room for.
 */
extern size_t shortage_left;

/* Only one fails, and all succeed again. */
extern bool shortage_is_brief;

/* Set when one fails. */
extern bool shortage_met;
