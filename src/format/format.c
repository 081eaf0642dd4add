/* MUST: a probe of the kernel's comes only out of a line that begins with the prefix and then
 * matches the kernel's pattern to its last byte; one of ulogd's likewise. Local users can have the
 * kernel log text of theirs (a process's name, a file's name in a segfault's message), even with
 * newlines and NULs in it, but never a whole line. MUST: a packet without IN= is not a probe: it
 * was made here, maybe by a local user. MUST: every number is checked before it is stored; what
 * does not fit is damaged, never cut. MUST: a line costs bounded time and no memory, whatever is in
 * it. */
#include "format/format.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/address.h"
#include "core/probe.h"
#include "core/record.h"
#include "format/kernel-pattern.h"
#include "format/pattern.h"
#include "util/cleanup.h"

/* The kernel's own bound is 1 KiB with the prefix. */
enum { LINE_LENGTH_MAX = 2048 };

enum group {
	GROUP_IN,
	GROUP_SRC,
	GROUP_DST,
	GROUP_PROTO,
	GROUP_SPT,
	GROUP_DPT,
	GROUP_FLAGS,
	GROUP_OPT,
	N_GROUPS
};

static const char *const group_names[N_GROUPS + 1] = {
	[GROUP_IN] = "IN",   [GROUP_SRC] = "SRC", [GROUP_DST] = "DST",	   [GROUP_PROTO] = "PROTO",
	[GROUP_SPT] = "SPT", [GROUP_DPT] = "DPT", [GROUP_FLAGS] = "FLAGS", [GROUP_OPT] = "OPT",
};

/* Every line of the format begins with this after its prefix, and is foreign if it does not. */
static const char line_start[] = "IN=";

struct format {
	struct pattern *pattern;
	char prefix[FORMAT_PREFIX_MAX + 1]; /* what the pattern does not see */
	bool may_have_blank;		    /* behind the prefix: ulogd puts one there */
	const char *start;		    /* of what it sees */
	int (*read)(const struct format *format, struct probe *probe);
	enum format_verdict misfit; /* what a line is that does not match */
};

DEFINE_CLEANUP(struct format *, format_free)

struct format *format_free(struct format *format)
{
	if (!format)
		return NULL;
	pattern_free(format->pattern);
	free(format);
	return NULL;
}

static bool prefix_is_valid(const char *prefix)
{
	size_t length = strlen(prefix);

	if (length == 0 || length > FORMAT_PREFIX_MAX)
		return false;
	for (size_t i = 0; i < length; i++)
		if (prefix[i] < ' ' || prefix[i] > '~')
			return false;
	return true;
}

static int span_to_address(struct text_span span, struct address *ret)
{
	char text[ADDRESS_TEXT_MAX];

	if (!span.start || span.length >= sizeof(text) || memchr(span.start, '\0', span.length))
		return -EINVAL;
	memcpy(text, span.start, span.length);
	text[span.length] = '\0';
	return address_parse(text, ret);
}

/* 1 to 65535 as "%u" writes it: no leading zero, at most five digits. */
static int span_to_port(struct text_span span, uint16_t *ret)
{
	uint32_t port = 0;

	if (span.length == 0 || span.length > 5 || span.start[0] == '0')
		return -EINVAL;
	for (size_t i = 0; i < span.length; i++) {
		if (span.start[i] < '0' || span.start[i] > '9')
			return -EINVAL;
		port = port * 10 + (uint32_t)(span.start[i] - '0');
	}
	if (port > UINT16_MAX)
		return -EINVAL;
	*ret = (uint16_t)port;
	return 0;
}

static uint8_t flag_bit(struct text_span word)
{
	static const struct {
		char name[4];
		uint8_t bit;
	} flags[] = {
		{"SYN", TCP_FLAG_SYN}, {"ACK", TCP_FLAG_ACK}, {"RST", TCP_FLAG_RST},
		{"FIN", TCP_FLAG_FIN}, {"PSH", TCP_FLAG_PSH}, {"URG", TCP_FLAG_URG},
		{"ECE", TCP_FLAG_ECE}, {"CWR", TCP_FLAG_CWR},
	};

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (word.length == strlen(flags[i].name) &&
		    strncasecmp(word.start, flags[i].name, word.length) == 0)
			return flags[i].bit;
	return 0; /* AE: not among the eight flags of a filter */
}

/* Words with blanks or commas between them. */
static uint8_t span_to_flags(struct text_span span)
{
	uint8_t flags = 0;

	for (size_t i = 0, length; i < span.length; i += length + 1) {
		const char *word = span.start + i;

		for (length = 0; i + length < span.length && !strchr(" ,", word[length]); length++)
			;
		flags |= flag_bit((struct text_span){word, length});
	}
	return flags;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -EINVAL;
}

static int span_to_options(struct text_span span, struct probe *probe)
{
	if (span.length % 2 != 0 || span.length / 2 > sizeof(probe->options))
		return -EINVAL;
	for (size_t i = 0; i < span.length; i += 2) {
		int high = hex_digit(span.start[i]);
		int low = hex_digit(span.start[i + 1]);

		if (high < 0 || low < 0)
			return -EINVAL;
		probe->options[i / 2] = (uint8_t)(high << 4 | low);
	}
	probe->n_options = (uint8_t)(span.length / 2);
	return 0;
}

/* Where it came in, from whom, and to which port. */
static int read_place(const struct format *format, struct probe *probe)
{
	struct text_span in = pattern_group(format->pattern, GROUP_IN);
	struct text_span source = pattern_group(format->pattern, GROUP_SRC);
	int r;

	if (in.length >= sizeof(probe->interface))
		return -EINVAL;
	if (in.start)
		memcpy(probe->interface, in.start, in.length);
	r = span_to_address(source, &probe->source);
	return r < 0 ? r : span_to_port(pattern_group(format->pattern, GROUP_DPT), &probe->port);
}

/* -ENOENT: a packet, but no probe. */
static int read_kernel(const struct format *format, struct probe *probe)
{
	struct text_span in = pattern_group(format->pattern, GROUP_IN);
	struct text_span protocol = pattern_group(format->pattern, GROUP_PROTO);
	struct text_span options = pattern_group(format->pattern, GROUP_OPT);
	int r;

	if (in.length == 0 || !protocol.start)
		return -ENOENT;
	r = read_place(format, probe);
	if (r < 0)
		return r;
	r = span_to_address(pattern_group(format->pattern, GROUP_DST), &probe->target);
	if (r < 0)
		return r;
	r = span_to_port(pattern_group(format->pattern, GROUP_SPT), &probe->source_port);
	if (r < 0)
		return r;
	probe->protocol = protocol.start[0] == 'T' ? IPPROTO_TCP : IPPROTO_UDP;
	probe->tcp_flags = span_to_flags(pattern_group(format->pattern, GROUP_FLAGS));
	return options.start ? span_to_options(options, probe) : 0;
}

/* The kernel's fields, as the expression has them. */
static int format_new(const char *prefix, const char *expression, bool may_have_blank,
		      struct format **ret)
{
	CLEANUP(cleanup_format_free) struct format *format = NULL;
	struct pattern_error error;
	int r;

	if (!prefix_is_valid(prefix))
		return -EINVAL;
	format = calloc(1, sizeof(*format));
	if (!format)
		return -ENOMEM;
	stpcpy(format->prefix, prefix);
	format->may_have_blank = may_have_blank;
	format->start = line_start;
	format->read = read_kernel;
	format->misfit = FORMAT_DAMAGED;

	r = pattern_new(expression, group_names, &error, &format->pattern);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(format);
	return 0;
}

int format_new_kernel(const char *prefix, struct format **ret)
{
	return format_new(prefix, kernel_pattern, false, ret);
}

int format_new_relayed(const char *prefix, struct format **ret)
{
	return format_new(prefix, relayed_pattern, true, ret);
}

/* By name, in any case, or by number. -ENOENT: another protocol. */
static int span_to_protocol(struct text_span span, uint8_t *ret)
{
	static const struct {
		const char *name;
		uint8_t protocol;
	} protocols[] = {
		{"tcp", IPPROTO_TCP},
		{"6", IPPROTO_TCP},
		{"udp", IPPROTO_UDP},
		{"17", IPPROTO_UDP},
	};

	for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++) {
		if (span.length != strlen(protocols[i].name) ||
		    strncasecmp(span.start, protocols[i].name, span.length) != 0)
			continue;
		*ret = protocols[i].protocol;
		return 0;
	}
	return -ENOENT;
}

/* What the line leaves out is as it mostly is: a SYN, from a port and to an address unknown. */
static int read_custom(const struct format *format, struct probe *probe)
{
	struct text_span protocol = pattern_group(format->pattern, GROUP_PROTO);
	struct text_span target = pattern_group(format->pattern, GROUP_DST);
	struct text_span source_port = pattern_group(format->pattern, GROUP_SPT);
	struct text_span flags = pattern_group(format->pattern, GROUP_FLAGS);
	int r = read_place(format, probe);

	probe->protocol = IPPROTO_TCP;
	if (r == 0 && protocol.start)
		r = span_to_protocol(protocol, &probe->protocol);
	if (r == 0 && target.start)
		r = span_to_address(target, &probe->target);
	if (r == 0 && source_port.start)
		r = span_to_port(source_port, &probe->source_port);
	if (r == 0 && probe->protocol == IPPROTO_TCP)
		probe->tcp_flags = flags.start ? span_to_flags(flags) : TCP_FLAG_SYN;
	return r;
}

int format_new_custom(const char *expression, struct format_error *ret_error, struct format **ret)
{
	CLEANUP(cleanup_format_free) struct format *format = calloc(1, sizeof(*format));
	struct pattern_error error;
	int r;

	if (!format)
		return -ENOMEM;
	format->start = "";
	format->read = read_custom;
	format->misfit = FORMAT_FOREIGN;
	r = pattern_new(expression, group_names, &error, &format->pattern);
	if (r == -EINVAL)
		snprintf(ret_error->text, sizeof(ret_error->text), "%s, at offset %zu", error.text,
			 error.offset);
	if (r < 0)
		return r;
	for (enum group group = 0; group < N_GROUPS; group++) {
		bool needed = group == GROUP_SRC || group == GROUP_DPT;

		if (!needed || pattern_has(format->pattern, group))
			continue;
		snprintf(ret_error->text, sizeof(ret_error->text),
			 "it has no group named %s: (?<%s>...)", group_names[group],
			 group_names[group]);
		return -EINVAL;
	}
	*ret = TAKE_PTR(format);
	return 0;
}

bool format_knows_interface(const struct format *format)
{
	return pattern_has(format->pattern, GROUP_IN);
}

bool format_knows_target(const struct format *format)
{
	return pattern_has(format->pattern, GROUP_DST);
}

bool format_is_full_table(const struct record *record)
{
	static const char start[] = "xt_hashlimit: max count of ", end[] = " reached";
	const size_t n_start = sizeof start - 1, n_end = sizeof end - 1;
	size_t n_digits = 0;

	if (record->length < n_start || memcmp(record->text, start, n_start) != 0)
		return false;
	while (n_start + n_digits < record->length && record->text[n_start + n_digits] >= '0' &&
	       record->text[n_start + n_digits] <= '9')
		n_digits++;
	return n_digits > 0 && record->length == n_start + n_digits + n_end &&
	       memcmp(record->text + n_start + n_digits, end, n_end) == 0;
}

static bool text_begins(const char *text, size_t length, const char *with)
{
	size_t n = strlen(with);

	return length >= n && memcmp(text, with, n) == 0;
}

/* Where in a line of this format the pattern begins; SIZE_MAX: it is not one. */
static size_t format_find_start(const struct format *format, const char *text, size_t length)
{
	size_t at = strlen(format->prefix);

	if (!text_begins(text, length, format->prefix))
		return SIZE_MAX;
	if (format->may_have_blank && text_begins(text + at, length - at, " "))
		at++;
	return text_begins(text + at, length - at, format->start) ? at : SIZE_MAX;
}

bool format_begins(const struct format *format, const char *text, size_t length)
{
	if (format_find_start(format, text, length) == SIZE_MAX)
		return false;
	return *format->prefix || (length <= LINE_LENGTH_MAX &&
				   pattern_match(format->pattern, text, length) == PATTERN_MATCHES);
}

enum format_verdict format_parse(const struct format *format, const struct record *record,
				 struct probe *ret_probe)
{
	size_t start = format_find_start(format, record->text, record->length);
	struct probe probe = {.time_us = record->kernel_us};
	int r;

	if (start == SIZE_MAX)
		return FORMAT_FOREIGN;
	if (record->length > LINE_LENGTH_MAX)
		return format->misfit;
	switch (pattern_match(format->pattern, record->text + start, record->length - start)) {
	case PATTERN_MATCHES:
		break;
	case PATTERN_DIFFERS:
		return format->misfit;
	case PATTERN_EXHAUSTED:
		return FORMAT_DAMAGED;
	}
	r = format->read(format, &probe);
	if (r < 0)
		return r == -ENOENT ? FORMAT_IRRELEVANT : FORMAT_DAMAGED;
	*ret_probe = probe;
	return FORMAT_PROBE;
}
