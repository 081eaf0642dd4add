/* Records from lines of text. */
#include "input/input.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/record.h"
#include "input/ops.h"
#include "input/text-header.h"
#include "util/cleanup.h"
#include "util/clock.h"

/* Longer than any kernel line; what is beyond is dropped, and the line is too long to count then.
 */
enum { LINE_MAX_BYTES = 8192 };

struct text_input {
	struct input base;
	FILE *file;
	uint64_t since_us, until_us, now_us;
	uint64_t last_kernel_us;
	uint32_t boot;
	char line[LINE_MAX_BYTES + 1];
};

static struct text_input *text_input_free(struct text_input *self)
{
	if (self && self->file && self->file != stdin)
		fclose(self->file);
	free(self);
	return NULL;
}

DEFINE_CLEANUP(struct text_input *, text_input_free)

static void text_free(struct input *input)
{
	text_input_free((struct text_input *)input);
}

/* Reads one line without its end. False at the end of the file. */
static bool text_input_read_line(struct text_input *self, size_t *ret_length)
{
	size_t length = 0;
	int c;

	for (c = getc_unlocked(self->file); c != EOF && c != '\n'; c = getc_unlocked(self->file))
		if (length < LINE_MAX_BYTES)
			self->line[length++] = (char)c;
	if (length > 0 && self->line[length - 1] == '\r')
		length--;
	self->line[length] = '\0';
	*ret_length = length;
	return c != EOF || length > 0;
}

/* Where the kernel's clock starts again, another boot begins. */
static void follow_boot(struct text_input *self, uint64_t kernel_us)
{
	if (kernel_us + US_PER_S < self->last_kernel_us)
		self->boot++;
	self->last_kernel_us = kernel_us;
}

static int text_next(struct input *input, struct record *ret_record)
{
	struct text_input *self = (struct text_input *)input;
	bool bounded = self->since_us > 0 || self->until_us < UINT64_MAX;
	size_t length;

	while (text_input_read_line(self, &length)) {
		struct text_header header;
		const char *message = text_header_parse(self->line, self->now_us, &header);

		if (bounded && (header.realtime_us == 0 || header.realtime_us < self->since_us ||
				header.realtime_us >= self->until_us))
			continue;
		if (header.has_kernel_us)
			follow_boot(self, header.kernel_us);
		else
			header.kernel_us = header.realtime_us;
		*ret_record = (struct record){
			.text = message,
			.length = (size_t)(self->line + length - message),
			.kernel_us = header.kernel_us,
			.realtime_us = header.realtime_us,
			.boot = self->boot,
		};
		return INPUT_RECORD;
	}
	return ferror(self->file) ? -EIO : INPUT_DRAINED;
}

static const struct input_ops text_ops = {
	.next = text_next,
	.free = text_free,
};

int input_new_text(const char *path, uint64_t since_us, uint64_t until_us, struct input **ret)
{
	CLEANUP(cleanup_text_input_free) struct text_input *self = calloc(1, sizeof *self);

	if (!self)
		return -ENOMEM;
	self->base.ops = &text_ops;
	self->since_us = since_us;
	self->until_us = until_us;
	self->now_us = clock_us(CLOCK_REALTIME);
	self->file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	if (!self->file)
		return -errno;
	*ret = &TAKE_PTR(self)->base;
	return 0;
}
