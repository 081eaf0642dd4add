#include "util/text/stream.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "util/cleanup.h"

struct text_stream {
	char **text;
	size_t *size;
	size_t length, room;
	bool failed;
};

static bool text_stream_grow(struct text_stream *stream, size_t n)
{
	size_t room = 2 * (stream->length + n + 1);
	char *text;

	if (stream->length + n < stream->room)
		return true;
	text = realloc(*stream->text, room);
	if (!text)
		return false;
	*stream->text = text;
	stream->room = room;
	return true;
}

static ssize_t on_write(void *cookie, const char *data, size_t n)
{
	struct text_stream *stream = cookie;

	stream->failed |= !text_stream_grow(stream, n);
	if (stream->failed)
		return 0;
	memcpy(*stream->text + stream->length, data, n);
	stream->length += n;
	(*stream->text)[stream->length] = '\0';
	if (stream->size)
		*stream->size = stream->length;
	return (ssize_t)n;
}

/* ftell(3) asks so. */
static int on_seek(void *cookie, off64_t *offset, int whence)
{
	const struct text_stream *stream = cookie;

	if (whence != SEEK_CUR || *offset != 0)
		return -1;
	*offset = (off64_t)stream->length;
	return 0;
}

static int on_close(void *cookie)
{
	CLEANUP(cleanup_free) struct text_stream *stream = cookie;

	if (!stream->failed)
		return 0;
	free(TAKE_PTR(*stream->text));
	errno = ENOMEM;
	return -1;
}

FILE *text_stream_open(char **ret_text, size_t *ret_size)
{
	CLEANUP(cleanup_free) struct text_stream *stream = calloc(1, sizeof *stream);
	FILE *file = NULL;

	*ret_text = calloc(1, 1);
	if (stream && *ret_text) {
		*stream = (struct text_stream){.text = ret_text, .size = ret_size, .room = 1};
		file = fopencookie(stream, "w",
				   (cookie_io_functions_t){
					   .write = on_write, .seek = on_seek, .close = on_close});
	}
	if (!file) {
		free(TAKE_PTR(*ret_text));
		return NULL;
	}
	if (ret_size)
		*ret_size = 0;
	(void)TAKE_PTR(stream);
	return file;
}
