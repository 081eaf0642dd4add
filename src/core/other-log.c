#include "core/other-log.h"

#include <stdlib.h>

#include "core/hash.h"
#include "core/strv.h"

void other_log_seal(struct other_log *log)
{
	uint64_t hash = hash_text(HASH_START, log->name);

	for (char **match = log->matches; *match; match++)
		hash = hash_text(hash, *match);
	hash = hash_text(hash, log->pattern ? log->pattern : "");
	log->id = hash != OTHER_LOG_KERNEL ? hash : 1;
}

void other_log_done(struct other_log *log)
{
	strv_free(log->matches);
	free(log->pattern);
	*log = (struct other_log){0};
}
