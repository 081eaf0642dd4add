#include "core/other-log.h"

#include <stdlib.h>

#include "core/strv.h"

/* FNV-1a, the text's NUL included. */
static uint64_t add_text(uint64_t hash, const char *text)
{
	do
		hash = (hash ^ (uint8_t)*text) * UINT64_C(1099511628211);
	while (*text++ != '\0');
	return hash;
}

void other_log_seal(struct other_log *log)
{
	uint64_t hash = add_text(UINT64_C(14695981039346656037), log->name);

	for (char **match = log->matches; *match; match++)
		hash = add_text(hash, *match);
	hash = add_text(hash, log->pattern);
	log->id = hash != OTHER_LOG_KERNEL ? hash : 1;
}

void other_log_done(struct other_log *log)
{
	strv_free(log->matches);
	free(log->pattern);
	*log = (struct other_log){0};
}
