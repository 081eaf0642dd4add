#include "core/other-log.h"

#include <stdlib.h>

#include "core/placeholder.h"

/* FNV-1a, the text's NUL included. */
static uint64_t add_text(uint64_t hash, const char *text)
{
	do
		hash = (hash ^ (uint8_t)*text) * UINT64_C(1099511628211);
	while (*text++ != '\0');
	return hash;
}

void origin_seal(struct origin *origin)
{
	uint64_t hash = add_text(UINT64_C(14695981039346656037), origin->name);

	for (char **match = origin->matches; *match; match++)
		hash = add_text(hash, *match);
	hash = add_text(hash, origin->pattern);
	origin->id = hash != ORIGIN_KERNEL ? hash : 1;
}

void origin_done(struct origin *origin)
{
	command_free(origin->matches);
	free(origin->pattern);
	*origin = (struct origin){0};
}
