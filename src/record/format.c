/* MUST: a probe comes only out of a line that begins with the prefix and then matches the kernel's
 * pattern to its last byte. Local users can have the kernel log text of theirs (a process's name, a
 * file's name in a segfault's message), even with newlines and NULs in it, but never a whole line.
 * MUST: a packet without IN= is no probe: it was made here, maybe by a local user.
 * MUST: every number is checked before it is stored; what does not fit is damaged, never cut.
 * MUST: a line costs bounded time and no memory, whatever is in it. */
#include "record/format.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "core/address.h"
#include "core/probe.h"
#include "core/record.h"
#include "record/kernel-pattern.h"
#include "util/cleanup.h"

/* The kernel's own bound is 1 KiB with the prefix. */
enum { LINE_LENGTH_MAX = 2048 };

/* Far above what any line needs (tests run the longest); there should a pattern ever go wrong. */
enum { MATCH_LIMIT = 20000, DEPTH_LIMIT = 1000, HEAP_LIMIT_KIB = 256 };

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

static const char *const group_names[N_GROUPS] = {
	[GROUP_IN] = "IN",   [GROUP_SRC] = "SRC", [GROUP_DST] = "DST",	   [GROUP_PROTO] = "PROTO",
	[GROUP_SPT] = "SPT", [GROUP_DPT] = "DPT", [GROUP_FLAGS] = "FLAGS", [GROUP_OPT] = "OPT",
};

/* Every line of the format begins with this after its prefix, and is foreign if it does not. */
static const char line_start[] = "IN=";

struct format {
	pcre2_code *code;
	pcre2_match_data *match_data;
	pcre2_match_context *context;
	int groups[N_GROUPS]; /* their numbers in the pattern */
	size_t n_prefix;
	size_t n_start;
	char start[FORMAT_PREFIX_MAX + sizeof(line_start)]; /* the prefix, then line_start */
};

DEFINE_CLEANUP(struct format *, format_free)

/* A piece of the record's text; `start` is NULL where its group took no part in the match. */
struct span {
	const char *start;
	size_t length;
};

struct format *format_free(struct format *format)
{
	if (!format)
		return NULL;
	pcre2_match_context_free(format->context);
	pcre2_match_data_free(format->match_data);
	pcre2_code_free(format->code);
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

static int format_compile(struct format *format, const char *pattern)
{
	int error;
	PCRE2_SIZE offset;

	format->code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
				     PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_DOLLAR_ENDONLY |
					     PCRE2_NO_AUTO_CAPTURE,
				     &error, &offset, NULL);
	if (!format->code)
		return error == PCRE2_ERROR_HEAP_FAILED ? -ENOMEM : -EINVAL;

	/* It fails where memory may not be both written and executed; matching then does without.
	 */
	(void)pcre2_jit_compile(format->code, PCRE2_JIT_COMPLETE);

	format->match_data = pcre2_match_data_create_from_pattern(format->code, NULL);
	format->context = pcre2_match_context_create(NULL);
	if (!format->match_data || !format->context)
		return -ENOMEM;
	pcre2_set_match_limit(format->context, MATCH_LIMIT);
	pcre2_set_depth_limit(format->context, DEPTH_LIMIT);
	pcre2_set_heap_limit(format->context, HEAP_LIMIT_KIB);

	for (int i = 0; i < N_GROUPS; i++) {
		format->groups[i] =
			pcre2_substring_number_from_name(format->code, (PCRE2_SPTR)group_names[i]);
		if (format->groups[i] < 0)
			return -EINVAL;
	}
	return 0;
}

int format_new_kernel(const char *prefix, struct format **ret)
{
	CLEANUP(cleanup_format_free) struct format *format = NULL;
	int r;

	if (!prefix_is_valid(prefix))
		return -EINVAL;
	format = calloc(1, sizeof(*format));
	if (!format)
		return -ENOMEM;
	format->n_prefix = strlen(prefix);
	format->n_start = format->n_prefix + strlen(line_start);
	stpcpy(stpcpy(format->start, prefix), line_start);

	r = format_compile(format, kernel_pattern);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(format);
	return 0;
}

/* `text` is where the match began. */
static struct span format_group(const struct format *format, const char *text, enum group group)
{
	const PCRE2_SIZE *offsets = pcre2_get_ovector_pointer(format->match_data);
	size_t i = 2 * (size_t)format->groups[group];

	if (offsets[i] == PCRE2_UNSET)
		return (struct span){0};
	return (struct span){text + offsets[i], offsets[i + 1] - offsets[i]};
}

static int span_to_address(struct span span, struct address *ret)
{
	char text[ADDRESS_TEXT_MAX];

	if (span.length >= sizeof(text))
		return -EINVAL;
	memcpy(text, span.start, span.length);
	text[span.length] = '\0';
	return address_parse(text, ret);
}

/* 1 to 65535 as "%u" writes it: no leading zero, at most five digits. */
static int span_to_port(struct span span, uint16_t *ret)
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

static uint8_t flag_bit(struct span word)
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
		    memcmp(word.start, flags[i].name, word.length) == 0)
			return flags[i].bit;
	return 0; /* AE: not among the eight flags of a filter */
}

/* Words that each end with a blank, which the pattern has vouched for. */
static uint8_t span_to_flags(struct span span)
{
	uint8_t flags = 0;

	while (span.length > 0) {
		const char *blank = memchr(span.start, ' ', span.length);
		size_t length = blank ? (size_t)(blank - span.start) : span.length;

		flags |= flag_bit((struct span){span.start, length});
		length += blank ? 1 : 0;
		span.start += length;
		span.length -= length;
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

static int span_to_options(struct span span, struct probe *probe)
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

static int format_read(const struct format *format, const char *text, struct probe *probe)
{
	struct span in = format_group(format, text, GROUP_IN);
	struct span options = format_group(format, text, GROUP_OPT);
	int r;

	if (in.length >= sizeof(probe->interface))
		return -EINVAL;
	memcpy(probe->interface, in.start, in.length);

	r = span_to_address(format_group(format, text, GROUP_SRC), &probe->source);
	if (r < 0)
		return r;
	r = span_to_address(format_group(format, text, GROUP_DST), &probe->target);
	if (r < 0)
		return r;
	r = span_to_port(format_group(format, text, GROUP_SPT), &probe->source_port);
	if (r < 0)
		return r;
	r = span_to_port(format_group(format, text, GROUP_DPT), &probe->port);
	if (r < 0)
		return r;

	probe->protocol =
		format_group(format, text, GROUP_PROTO).start[0] == 'T' ? IPPROTO_TCP : IPPROTO_UDP;
	probe->tcp_flags = span_to_flags(format_group(format, text, GROUP_FLAGS));
	return options.start ? span_to_options(options, probe) : 0;
}

enum format_verdict format_parse(const struct format *format, const struct record *record,
				 struct probe *ret_probe)
{
	struct probe probe = {.time_us = record->kernel_us};
	const char *text;

	if (record->length < format->n_start ||
	    memcmp(record->text, format->start, format->n_start) != 0)
		return FORMAT_FOREIGN;
	if (record->length > LINE_LENGTH_MAX)
		return FORMAT_DAMAGED;

	text = record->text + format->n_prefix;
	if (pcre2_match(format->code, (PCRE2_SPTR)text, record->length - format->n_prefix, 0, 0,
			format->match_data, format->context) <= 0)
		return FORMAT_DAMAGED;
	if (format_group(format, text, GROUP_IN).length == 0 ||
	    !format_group(format, text, GROUP_PROTO).start)
		return FORMAT_IRRELEVANT;
	if (format_read(format, text, &probe) < 0)
		return FORMAT_DAMAGED;
	*ret_probe = probe;
	return FORMAT_PROBE;
}
