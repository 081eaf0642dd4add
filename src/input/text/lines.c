/* Records from lines of text. */
#include "input/input.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/record.h"
#include "input/ops.h"
#include "input/text/header.h"
#include "util/cleanup.h"
#include "util/clock.h"

/* Longer than any kernel line; what is beyond is dropped, and the line is too long to count then.
 */
enum { LINE_MAX_BYTES = 8192 };

struct text_input {
	struct input base;
	FILE *file;
	const struct text_messages *messages;
	uint64_t since_us, until_us, now_us;
	uint64_t n_lines;
	uint64_t last_kernel_us;
	uint64_t clock_us, realtime_us; /* of the last line with a time */
	char line[LINE_MAX_BYTES + 1];
	uint32_t boot;
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

/* Takes out what colours the text of a terminal: ESC, "[", parameters and a letter. The line ends
 * with a 0. */
static size_t strip_colours(char *line, size_t length)
{
	size_t n = 0, i = 0;

	while (i < length) {
		if (line[i] != '\033' || line[i + 1] != '[') {
			line[n++] = line[i++];
			continue;
		}
		for (i += 2; line[i] >= ' ' && line[i] <= '?'; i++)
			;
		i++;
	}
	line[n] = '\0';
	return n;
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
	self->n_lines++;
	*ret_length =
		memchr(self->line, '\033', length) ? strip_colours(self->line, length) : length;
	return c != EOF || length > 0;
}

/* Where the kernel's clock starts again, another boot begins. */
static void follow_boot(struct text_input *self, uint64_t kernel_us)
{
	if (kernel_us + US_PER_S < self->last_kernel_us)
		self->boot++;
	self->last_kernel_us = kernel_us;
}

/* Completes what the line says of its time by what those before it said. */
static void follow_time(struct text_input *self, struct text_header *header)
{
	bool dated = header->realtime_us > 0;

	/* Time does not go back: that hour has come again. */
	if (header->later_us > 0 && header->realtime_us + US_PER_S < self->realtime_us)
		header->realtime_us = header->later_us;
	if (header->has_kernel_us) {
		follow_boot(self, header->kernel_us);
	} else if (header->has_delta && !dated) {
		header->kernel_us = self->clock_us + header->delta_us;
		if (self->realtime_us > 0)
			header->realtime_us = self->realtime_us + header->delta_us;
	} else {
		header->kernel_us = header->realtime_us;
	}
	if (header->kernel_us > 0) {
		self->clock_us = header->kernel_us;
		self->realtime_us = header->realtime_us;
	}
}

static bool is_left_out(const struct text_input *self, const struct text_header *header)
{
	return (self->since_us > 0 || self->until_us < UINT64_MAX) &&
	       (header->realtime_us == 0 || header->realtime_us < self->since_us ||
		header->realtime_us >= self->until_us);
}

static int text_next(struct input *input, struct record *ret_record)
{
	struct text_input *self = (struct text_input *)input;
	size_t length;

	while (text_input_read_line(self, &length)) {
		struct text_header header;
		const char *message =
			text_header_parse(self->line, self->now_us, self->messages, &header);

		follow_time(self, &header);
		if (self->messages && !header.understood &&
		    (header.realtime_us == 0 || !is_left_out(self, &header)))
			self->messages->unread(self->messages->userdata, self->n_lines, self->line,
					       length);
		if (is_left_out(self, &header))
			continue;
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

int input_new_text(const char *path, const struct text_messages *messages, uint64_t since_us,
		   uint64_t until_us, struct input **ret)
{
	CLEANUP(cleanup_text_input_free) struct text_input *self = calloc(1, sizeof *self);

	if (!self)
		return -ENOMEM;
	self->base.ops = &text_ops;
	self->messages = messages;
	self->since_us = since_us;
	self->until_us = until_us;
	self->now_us = clock_us(CLOCK_REALTIME);
	tzset(); /* for the names of local time: once, as it asks for the zone's file */
	self->file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	if (!self->file)
		return -errno;
	*ret = &TAKE_PTR(self)->base;
	return 0;
}
