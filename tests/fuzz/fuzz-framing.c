/* Any bytes on the daemon's own socket: however the kernel cuts them, the same of them are in
 * order, no more than the hello and what is announced is let through, and nothing is too long. The
 * first byte says how they are cut. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/bus/framing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* As the intake does: what is in order is passed on, and the rest is fed again. How many bytes were
 * in order before the end, or the error. */
static size_t feed_all(const uint8_t *data, size_t size, size_t step, ssize_t *ret_error)
{
	struct framing framing = {.n_hello = 0};
	size_t done = 0;

	*ret_error = 0;
	while (done < size) {
		size_t n = size - done < step ? size - done : step;
		/* Nothing may be read behind it. */
		uint8_t *piece = malloc(n);
		ssize_t r;

		require(piece != NULL);
		memcpy(piece, data + done, n);
		r = framing_feed(&framing, piece, n);
		free(piece);
		require(framing.n_hello <= FRAMING_HELLO_MAX + 1);
		if (r < 0) {
			require(r == -EMSGSIZE || r == -EBADMSG);
			*ret_error = r;
			break;
		}
		require(framing.n_left <= FRAMING_MESSAGE_MAX - sizeof framing.header);
		require(framing.n_header < sizeof framing.header);
		require(r > 0 && (size_t)r <= n);
		require((size_t)r == n || framing.greeted);
		done += (size_t)r;
	}
	return done;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ssize_t whole_error, cut_error, bytewise_error;
	size_t step, bytewise;

	if (size == 0)
		return 0;
	step = data[0] == 0 ? 1 : data[0];
	bytewise = feed_all(data + 1, size - 1, 1, &bytewise_error);
	/* A piece in which something is wrong is passed on to nobody. */
	require(feed_all(data + 1, size - 1, size, &whole_error) <= bytewise);
	require(feed_all(data + 1, size - 1, step, &cut_error) <= bytewise);
	require(whole_error == bytewise_error && cut_error == bytewise_error);
	return 0;
}
