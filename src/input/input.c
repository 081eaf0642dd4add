#include "input/input.h"

#include <assert.h>
#include <stddef.h>

#include "input/ops.h"

struct source *source_free(struct source *source)
{
	if (source)
		source->ops->free(source);
	return NULL;
}

int source_listen(struct source *source, const struct origin *origins, size_t n)
{
	return source->ops->listen ? source->ops->listen(source, origins, n) : 0;
}

int source_next(struct source *source, struct record *ret_record)
{
	return source->ops->next(source, ret_record);
}

bool source_sees_files(struct source *source)
{
	assert(source->ops->sees_files);
	return source->ops->sees_files(source);
}

bool source_lost(struct source *source)
{
	return source->ops->lost && source->ops->lost(source);
}

int source_follow(struct source *source)
{
	assert(source->ops->follow);
	return source->ops->follow(source);
}

bool source_place(struct source *source, struct source_place *ret)
{
	assert(source->ops->place);
	return source->ops->place(source, ret);
}

const struct source_counts *source_counts(const struct source *source)
{
	assert(source->ops->counts);
	return source->ops->counts(source);
}
