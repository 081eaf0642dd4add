#include "daemon/bus/framing.h"

#include <errno.h>
#include <string.h>

/* A line ends with CR LF; another LF is part of it. */
static bool line_take(struct framing *framing, char byte)
{
	static const char begin[] = "BEGIN\r";
	bool ends = byte == '\n' && framing->length == sizeof begin - 1 &&
		    memcmp(framing->line, begin, sizeof begin - 1) == 0;

	if (byte == '\n' && framing->cr) {
		framing->length = 0;
	} else {
		if (framing->length < sizeof framing->line)
			framing->line[framing->length] = byte;
		framing->length++;
	}
	framing->cr = byte == '\r';
	return ends;
}

static ssize_t feed_hello(struct framing *framing, const uint8_t *bytes, size_t n)
{
	size_t i = 0;

	while (i < n && !framing->greeted) {
		if (++framing->n_hello > FRAMING_HELLO_MAX)
			return -EMSGSIZE;
		framing->greeted = line_take(framing, (char)bytes[i++]);
	}
	return (ssize_t)i;
}

static uint32_t read_number(const uint8_t *bytes, bool big)
{
	uint32_t number = 0;

	for (int i = 0; i < 4; i++)
		number |= (uint32_t)bytes[i] << 8 * (big ? 3 - i : i);
	return number;
}

/* Behind the header come its fields, filled up to a multiple of eight, and the body. */
static int header_end(struct framing *framing)
{
	bool big = framing->header[0] == 'B';
	uint64_t body = read_number(framing->header + 4, big);
	uint64_t fields = read_number(framing->header + 12, big);
	uint64_t left = (fields + 7) / 8 * 8 + body;

	if (!big && framing->header[0] != 'l')
		return -EBADMSG;
	if (left > FRAMING_MESSAGE_MAX - sizeof framing->header)
		return -EMSGSIZE;
	framing->n_left = left;
	framing->n_header = 0;
	return 0;
}

static ssize_t feed_message(struct framing *framing, const uint8_t *bytes, size_t n)
{
	size_t take = sizeof framing->header - framing->n_header;
	int r = 0;

	if (framing->n_left > 0) {
		take = n < framing->n_left ? n : framing->n_left;
		framing->n_left -= take;
		return (ssize_t)take;
	}
	if (take > n)
		take = n;
	memcpy(framing->header + framing->n_header, bytes, take);
	framing->n_header += take;
	if (framing->n_header == sizeof framing->header)
		r = header_end(framing);
	return r < 0 ? r : (ssize_t)take;
}

ssize_t framing_feed(struct framing *framing, const uint8_t *bytes, size_t n)
{
	size_t done = 0;

	if (!framing->greeted)
		return feed_hello(framing, bytes, n);
	while (done < n) {
		ssize_t r = feed_message(framing, bytes + done, n - done);

		if (r < 0)
			return r;
		done += (size_t)r;
	}
	return (ssize_t)done;
}
