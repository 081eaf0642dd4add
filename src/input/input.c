#include "input/input.h"

#include <assert.h>
#include <stddef.h>

#include "input/ops.h"

struct input *input_free(struct input *input)
{
	if (input)
		input->ops->free(input);
	return NULL;
}

int input_listen(struct input *input, const struct other_log *logs, size_t n)
{
	return input->ops->listen ? input->ops->listen(input, logs, n) : 0;
}

int input_next(struct input *input, struct record *ret_record)
{
	return input->ops->next(input, ret_record);
}

bool input_sees_files(struct input *input)
{
	assert(input->ops->sees_files);
	return input->ops->sees_files(input);
}

bool input_lost(struct input *input)
{
	return input->ops->lost && input->ops->lost(input);
}

int input_follow(struct input *input)
{
	assert(input->ops->follow);
	return input->ops->follow(input);
}

bool input_position(struct input *input, struct input_position *ret)
{
	assert(input->ops->place);
	return input->ops->place(input, ret);
}

const struct input_counts *input_counts(const struct input *input)
{
	assert(input->ops->counts);
	return input->ops->counts(input);
}
