/* The frames of what a peer sends: the lines of the hello, up to BEGIN, and then D-Bus messages.
 *
 * sd-bus makes room for as much as a message says that it has, up to 128 MB.
 * MUST: no message that is longer than those that the daemon answers is passed on beyond its first
 * bytes, and what sd-bus takes for the beginning of a message is one here, too. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { FRAMING_HELLO_MAX = 1024, FRAMING_MESSAGE_MAX = 4096 };

struct framing {
	size_t n_hello; /* bytes of it, so far */
	char line[8];	/* the beginning of its line */
	size_t length;	/* of the line */
	bool cr;	/* its last byte was a carriage return */
	bool greeted;	/* the hello has ended */
	uint8_t header[16];
	size_t n_header;
	size_t n_left; /* bytes of the message behind the header */
};

/* How many of these bytes are in order: all, or those up to the end of the hello. -EMSGSIZE: the
 * hello, or a message, is too long; -EBADMSG: it is not a message. */
ssize_t framing_feed(struct framing *framing, const uint8_t *bytes, size_t n);
