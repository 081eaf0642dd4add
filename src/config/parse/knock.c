#include "config/parse/parse.h"

#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "config/complaint.h"
#include "config/key.h"
#include "config/text.h"
#include "util/cleanup.h"

int parse_prefix(const struct key_reading *reading, const char *text, void *field)
{
	size_t length = strlen(text);
	char *copy;

	if (length == 0 || length > reading->key->max || !text_is_printable(text))
		return parse_reject(reading, text, "a text of 1 to %u printable ASCII characters",
				    (unsigned)reading->key->max);
	copy = strdup(text);
	if (!copy)
		return -ENOMEM;
	*(char **)field = copy;
	return 0;
}

/* The one value that no complaint may show. */
int parse_sequence(const struct key_reading *reading, const char *text, void *field)
{
	size_t step = 0;
	int r = sequence_parse(text, field, &step);

	if (r == 0)
		return 0;
	if (r == -E2BIG)
		complain_error(reading->complaints, reading->line, "%s: %s has more than %d steps",
			       reading->where, reading->key->name, SEQUENCE_STEPS_MAX);
	else if (step == 0)
		complain_error(reading->complaints, reading->line, "%s: %s has no step",
			       reading->where, reading->key->name);
	else
		complain_error(
			reading->complaints, reading->line,
			"%s: %s: step %zu is not PORT, PORT/tcp or PORT/udp with a port from "
			"1 to 65535",
			reading->where, reading->key->name, step);
	return -EBADMSG;
}

int parse_one_time(const struct key_reading *reading, const char *text, void *field)
{
	char *copy;

	if (text[0] != '/' || text[strlen(text) - 1] == '/')
		return parse_reject(reading, text, "the absolute path of a file");
	copy = strdup(text);
	if (!copy)
		return -ENOMEM;
	*(char **)field = copy;
	return 0;
}

int parse_flags(const struct key_reading *reading, const char *text, void *field)
{
	if (filter_parse_flags(text, field) < 0)
		return parse_reject(reading, text,
				    "a list of different flags such as syn, !ack (of fin, syn, "
				    "rst, psh, ack, urg, ece and cwr)");
	return 0;
}

/* What the kernel takes for a name. */
int parse_interface(const struct key_reading *reading, const char *text, void *field)
{
	size_t length = strlen(text);

	if (length == 0 || length >= IF_NAMESIZE || !text_is_printable(text) ||
	    strpbrk(text, " /:") || strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
		return parse_reject(reading, text,
				    "the name of one interface, 1 to %d characters without blank, "
				    "'/' and ':'",
				    IF_NAMESIZE - 1);
	memcpy(field, text, length);
	return 0;
}

int parse_target(const struct key_reading *reading, const char *text, void *field)
{
	struct filter *filter = field;

	if (address_parse(text, &filter->target) < 0)
		return parse_reject(reading, text,
				    "one address such as 203.0.113.5 or 2001:db8::5");
	filter->has_target = true;
	return 0;
}

static int append_network(const struct key_reading *reading, const char *text, struct door *door)
{
	struct network network, *allow;
	int r = network_parse(text, &network);

	if (r == -EDOM)
		return parse_reject(reading, text, "a network: it has bits set beyond its prefix");
	if (r < 0)
		return parse_reject(reading, text,
				    "an address or a network such as 198.51.100.0/24 or "
				    "2001:db8::/32");
	allow = reallocarray(door->allow, door->n_allow + 1, sizeof(*allow));
	if (!allow)
		return -ENOMEM;
	door->allow = allow;
	door->allow[door->n_allow++] = network;
	return 0;
}

int parse_allow(const struct key_reading *reading, const char *text, void *field)
{
	char *copy CLEANUP(cleanup_free) = strdup(text), *rest = copy, *item;

	if (!copy)
		return -ENOMEM;
	while ((item = strsep(&rest, ","))) {
		size_t length;
		int r;

		item += strspn(item, " \t");
		length = strlen(item);
		while (length > 0 && strchr(" \t", item[length - 1]))
			item[--length] = '\0';
		r = append_network(reading, item, field);
		if (r < 0)
			return r;
	}
	return 0;
}
