#include "source/source.h"

#include <assert.h>
#include <stddef.h>

#include "source/ops.h"

struct source *source_free(struct source *source)
{
	if (source)
		source->ops->free(source);
	return NULL;
}

int source_next(struct source *source, struct record *ret_record)
{
	return source->ops->next(source, ret_record);
}

int source_fd(struct source *source)
{
	assert(source->ops->fd);
	return source->ops->fd(source);
}

int source_events(struct source *source)
{
	assert(source->ops->events);
	return source->ops->events(source);
}

int source_deadline(struct source *source, uint64_t *ret_us)
{
	assert(source->ops->deadline);
	return source->ops->deadline(source, ret_us);
}

int source_process(struct source *source)
{
	assert(source->ops->process);
	return source->ops->process(source);
}

bool source_sees_files(struct source *source)
{
	assert(source->ops->sees_files);
	return source->ops->sees_files(source);
}
