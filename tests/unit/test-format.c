#include "format/format.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/probe.h"
#include "core/record.h"
#include "record-cases.h"
#include "util/cleanup.h"

/* Since Linux 6.3; not in every libc. */
#define SET_MDWE	 65
#define REFUSE_EXEC_GAIN 1

enum { CAPTURED_MIN = 60, KERNEL_US = 123456789, UNTOUCHED = 0xa5 };

static struct record_cases cases;
static struct format *format; /* that of the last prefix */
static char *format_prefix;
static bool format_is_relayed;

static int load_cases(void **state)
{
	(void)state;
	return record_cases_load(TEST_DATA_DIR "/records", &cases);
}

static int free_cases(void **state)
{
	(void)state;
	record_cases_done(&cases);
	format = format_free(format);
	free(TAKE_PTR(format_prefix));
	return 0;
}

static void use_format(const char *prefix, bool is_relayed)
{
	if (format_prefix && strcmp(format_prefix, prefix) == 0 && format_is_relayed == is_relayed)
		return;
	format = format_free(format);
	free(TAKE_PTR(format_prefix));
	format_prefix = strdup(prefix);
	format_is_relayed = is_relayed;
	assert_int_equal(is_relayed ? format_new_relayed(prefix, &format)
				    : format_new_kernel(prefix, &format),
			 0);
}

/* That of the case. */
static void use_prefix(const struct record_case *c)
{
	use_format(c->prefix, c->relayed);
}

static bool is_untouched(const struct probe *probe)
{
	struct probe untouched;

	memset(&untouched, UNTOUCHED, sizeof(untouched));
	return memcmp(probe, &untouched, sizeof(untouched)) == 0;
}

/* Parses a copy of just that size, so that a sanitizer sees what is read beyond. */
static enum format_verdict parse(const char *text, size_t length, struct probe *ret)
{
	char *copy = malloc(length ? length : 1);
	struct record record = {.text = copy, .length = length, .kernel_us = KERNEL_US};
	enum format_verdict verdict;

	memcpy(copy, text, length);
	memset(ret, UNTOUCHED, sizeof(*ret));
	verdict = format_parse(format, &record, ret);
	free(copy);
	if (verdict != FORMAT_PROBE && !is_untouched(ret))
		fail_msg("the probe was written though there is none: %.*s", (int)length, text);
	return verdict;
}

/* All but the time and the options. */
static bool same_packet(const struct probe *a, const struct probe *b)
{
	return address_equal(&a->source, &b->source) && address_equal(&a->target, &b->target) &&
	       a->source_port == b->source_port && a->port == b->port &&
	       a->protocol == b->protocol && a->tcp_flags == b->tcp_flags &&
	       memcmp(a->interface, b->interface, sizeof(a->interface)) == 0;
}

static bool same_options(const struct probe *a, const struct probe *b)
{
	return a->n_options == b->n_options &&
	       memcmp(a->options, b->options, sizeof(a->options)) == 0;
}

static const char *verdict_name(enum format_verdict verdict)
{
	static const char *const names[] = {"a probe", "foreign", "irrelevant", "damaged"};

	return names[verdict];
}

/* Whether the case holds; says what is wrong if not. */
static bool case_holds(const struct record_case *c)
{
	struct probe probe;
	enum format_verdict verdict;

	use_prefix(c);
	verdict = parse(c->text, c->length, &probe);
	if (verdict != c->verdict) {
		print_error("%s:%u: %s, expected %s\n", c->file, c->number, verdict_name(verdict),
			    verdict_name(c->verdict));
		return false;
	}
	if (verdict == FORMAT_PROBE &&
	    (!same_packet(&probe, &c->probe) || !same_options(&probe, &c->probe) ||
	     probe.time_us != KERNEL_US)) {
		print_error("%s:%u: another probe than expected\n", c->file, c->number);
		return false;
	}
	return true;
}

static size_t count_failures(void)
{
	size_t failures = 0;

	for (size_t i = 0; i < cases.n; i++)
		failures += !case_holds(&cases.cases[i]);
	return failures;
}

static void test_every_case(void **state)
{
	(void)state;
	assert_int_equal(count_failures(), 0);
}

/* As under MemoryDenyWriteExecute=. Runs first: later, PCRE2 might reuse memory that it has. */
static void test_without_jit(void **state)
{
	int status;
	pid_t child;

	(void)state;
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		if (prctl(SET_MDWE, REFUSE_EXEC_GAIN, 0, 0, 0) < 0 ||
		    mmap(NULL, 4096, PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
			    MAP_FAILED)
			_exit(77);
		_exit(count_failures() == 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_enough_captured_lines(void **state)
{
	size_t captured = 0;

	(void)state;
	for (size_t i = 0; i < cases.n; i++)
		captured += cases.cases[i].captured;
	assert_true(captured >= CAPTURED_MIN);
}

/* What the kernel writes is read alike where another program passes it on; what ulogd writes is
 * never taken for the kernel's. */
static void test_who_has_written_it(void **state)
{
	(void)state;
	for (size_t i = 0; i < cases.n; i++) {
		const struct record_case *c = &cases.cases[i];
		struct probe probe;

		use_format(c->prefix, !c->relayed);
		if (c->captured && parse(c->text, c->length, &probe) != c->verdict)
			fail_msg("%s:%u: read in another way", c->file, c->number);
		if (c->relayed && parse(c->text, c->length, &probe) == FORMAT_PROBE)
			fail_msg("%s:%u: taken for the kernel's", c->file, c->number);
	}
}

/* Whether the line is as a kernel writes it, so that a change must spoil it. */
static bool is_sound(const struct record_case *c)
{
	return c->captured || c->verdict == FORMAT_PROBE;
}

/* Where the line of a probe may be cut without harm: after the first digit of its last obligatory
 * field. What follows it is optional: options, owner, mark, the last blank. */
static size_t complete_at(const struct record_case *c)
{
	const char *field = c->probe.protocol == IPPROTO_TCP ? " URGP=" : " LEN=";
	const char *ports = memmem(c->text, c->length, " DPT=", 5);
	const char *found =
		memmem(ports, c->length - (size_t)(ports - c->text), field, strlen(field));

	return (size_t)(found - c->text) + strlen(field) + 1;
}

static void test_a_cut_line_is_no_other_probe(void **state)
{
	(void)state;
	for (size_t i = 0; i < cases.n; i++) {
		const struct record_case *c = &cases.cases[i];
		struct probe probe;

		use_prefix(c);
		for (size_t n = 0; c->verdict == FORMAT_PROBE && n < c->length; n++) {
			if (parse(c->text, n, &probe) != FORMAT_PROBE)
				continue;
			if (n < complete_at(c) || !same_packet(&probe, &c->probe) ||
			    (probe.n_options > 0 && !same_options(&probe, &c->probe)))
				fail_msg("%s:%u: cut after %zu bytes", c->file, c->number, n);
		}
		for (size_t n = 0; c->verdict == FORMAT_IRRELEVANT && n < c->length; n++)
			if (parse(c->text, n, &probe) == FORMAT_PROBE)
				fail_msg("%s:%u: cut after %zu bytes", c->file, c->number, n);
	}
}

/* No byte of a probe's line may be one that the kernel does not write, and none may be missing
 * where it separates fields. */
static void test_a_garbled_line_is_no_probe(void **state)
{
	static const char bytes[] = {'\0',   '\n',   '\r',   '\t', '\x1b',
				     '\x7f', '\x80', '\xff', '"',  '['};

	(void)state;
	for (size_t i = 0; i < cases.n; i++) {
		const struct record_case *c = &cases.cases[i];
		CLEANUP(cleanup_free) char *text = malloc(c->length + 1);
		size_t name = strlen(c->prefix) + 3;

		use_prefix(c);
		for (size_t n = 0; is_sound(c) && n < c->length; n++) {
			for (size_t b = 0; b < sizeof(bytes); b++) {
				struct probe probe;
				bool printable = bytes[b] >= ' ' && bytes[b] <= '~';

				/* Interfaces may well be called that. */
				if (printable && n >= name && n < c->length / 2)
					continue;
				memcpy(text, c->text, c->length);
				if (text[n] == bytes[b])
					continue;
				text[n] = bytes[b];
				if (parse(text, c->length, &probe) == FORMAT_PROBE)
					fail_msg("%s:%u: byte %zu is 0x%02x", c->file, c->number, n,
						 (unsigned char)bytes[b]);
			}
		}
	}
}

/* Where the blank after OUT= and its name is. */
static size_t out_end(const struct record_case *c)
{
	size_t start = strlen(c->prefix);
	const char *out = memmem(c->text + start, c->length - start, " OUT=", 5);

	return out ? start + strcspn(out + 1, " ") + (size_t)(out + 1 - (c->text + start)) : 0;
}

/* From where on no blank may be put in: ulogd may have one behind the prefix. */
static size_t fields_at(const struct record_case *c)
{
	return c->relayed ? strlen(c->prefix) + strspn(c->text + strlen(c->prefix), " ") + 1 : 0;
}

static void test_one_blank_more_or_less_is_no_other_probe(void **state)
{
	(void)state;
	for (size_t i = 0; i < cases.n; i++) {
		const struct record_case *c = &cases.cases[i];
		CLEANUP(cleanup_free) char *text = malloc(c->length + 1);
		struct probe probe;
		size_t last =
			c->length && c->text[c->length - 1] == ' ' ? c->length - 1 : c->length;

		use_prefix(c);
		for (size_t n = fields_at(c); is_sound(c) && n < c->length; n++) {
			memcpy(text, c->text, n);
			text[n] = ' ';
			memcpy(text + n + 1, c->text + n, c->length - n);
			if (parse(text, c->length + 1, &probe) == FORMAT_PROBE)
				fail_msg("%s:%u: a blank before byte %zu", c->file, c->number, n);
			if (c->text[n] != ' ' || n == last)
				continue;
			memcpy(text + n, c->text + n + 1, c->length - n - 1);
			/* What follows OUT= may well be a part of an interface's name. */
			if (parse(text, c->length - 1, &probe) == FORMAT_PROBE &&
			    (n != out_end(c) || !same_packet(&probe, &c->probe)))
				fail_msg("%s:%u: no blank at byte %zu", c->file, c->number, n);
		}
	}
}

/* The end of the word, with its blank, that begins at `start`. */
static size_t word_end(const struct record_case *c, size_t start)
{
	const char *blank = memchr(c->text + start, ' ', c->length - start);

	return blank ? (size_t)(blank - c->text) + 1 : c->length;
}

static void test_a_doubled_or_swapped_field_is_no_probe(void **state)
{
	(void)state;
	for (size_t i = 0; i < cases.n; i++) {
		const struct record_case *c = &cases.cases[i];
		CLEANUP(cleanup_free) char *text = malloc(2 * c->length + 1);
		struct probe probe;
		size_t next;

		use_prefix(c);
		for (size_t start = strlen(c->prefix); is_sound(c) && start < c->length;
		     start = next) {
			size_t after;

			next = word_end(c, start);
			memcpy(text, c->text, next);
			memcpy(text + next, c->text + start, c->length - start);
			if (parse(text, c->length + next - start, &probe) == FORMAT_PROBE)
				fail_msg("%s:%u: byte %zu doubled", c->file, c->number, start);

			after = word_end(c, next);
			memcpy(text, c->text, start);
			memcpy(text + start, c->text + next, after - next);
			memcpy(text + start + after - next, c->text + start, next - start);
			memcpy(text + after, c->text + after, c->length - after);
			if (next < c->length && parse(text, c->length, &probe) == FORMAT_PROBE)
				fail_msg("%s:%u: byte %zu swapped", c->file, c->number, start);
		}
	}
}

static void test_two_lines_in_one_are_no_probe(void **state)
{
	(void)state;
	for (size_t i = 0; i < cases.n; i++) {
		const struct record_case *first = &cases.cases[i];
		const struct record_case *second = &cases.cases[(i * 7 + 1) % cases.n];
		size_t length = first->length + 1 + second->length;
		CLEANUP(cleanup_free) char *text = malloc(length);
		struct probe probe;

		use_prefix(first);
		for (const char *glue = "\n\r] "; *glue && second->length > 0; glue++) {
			memcpy(text, first->text, first->length);
			text[first->length] = *glue;
			memcpy(text + first->length + 1, second->text, second->length);
			if (parse(text, length, &probe) == FORMAT_PROBE)
				fail_msg("%s:%u with %s:%u", first->file, first->number,
					 second->file, second->number);
		}
	}
}

/* A line of just `length` bytes, by its link header. */
static enum format_verdict parse_long(size_t length)
{
	static const char head[] = "[rec] IN=eth0 OUT= MAC=00";
	static const char tail[] = " SRC=192.0.2.1 DST=192.0.2.2 LEN=33 TOS=0x00 PREC=0x00 TTL=64 "
				   "ID=1 PROTO=UDP SPT=40000 DPT=7000 LEN=13";
	char text[4096];
	struct probe probe;
	size_t n = strlen(head);

	memcpy(text, head, n);
	while (n + strlen(tail) + 3 <= length)
		n += (size_t)sprintf(text + n, ":11");
	n += (size_t)sprintf(text + n, "%s", tail);
	for (; n < length; n++) /* two bytes at most: a digit, a blank */
		text[n] = n + 1 == length ? ' ' : '0';
	return parse(text, length, &probe);
}

static void test_a_line_has_a_longest_length(void **state)
{
	(void)state;
	use_format("[rec] ", false);
	assert_int_equal(parse_long(200), FORMAT_PROBE);
	assert_int_equal(parse_long(1024), FORMAT_PROBE);
	assert_int_equal(parse_long(2048), FORMAT_PROBE);
	assert_int_equal(parse_long(2049), FORMAT_DAMAGED);
	assert_int_equal(parse_long(4000), FORMAT_DAMAGED);
}

static void test_options_in_capitals_or_not(void **state)
{
	static const char line[] =
		"[rec] IN=eth0 OUT= MAC= SRC=192.0.2.1 DST=192.0.2.2 LEN=60 TOS=0x00 PREC=0x00 "
		"TTL=64 ID=1 DF PROTO=TCP SPT=1 DPT=2 WINDOW=64240 RES=0x00 SYN URGP=0 "
		"OPT (09AFaf0F) ";
	static const uint8_t options[] = {0x09, 0xaf, 0xaf, 0x0f};
	struct probe probe;

	(void)state;
	use_format("[rec] ", false);
	assert_int_equal(parse(line, strlen(line), &probe), FORMAT_PROBE);
	assert_int_equal(probe.n_options, sizeof(options));
	assert_memory_equal(probe.options, options, sizeof(options));
}

static void test_only_a_printable_prefix_is_taken(void **state)
{
	struct format *none = NULL;
	char prefix[FORMAT_PREFIX_MAX + 2];

	(void)state;
	assert_int_equal(format_new_kernel("", &none), -EINVAL);
	assert_int_equal(format_new_kernel("[rec]\n", &none), -EINVAL);
	assert_int_equal(format_new_kernel("[r\xc3\xa9"
					   "c] ",
					   &none),
			 -EINVAL);
	assert_int_equal(format_new_kernel("\x7f", &none), -EINVAL);
	memset(prefix, 'x', sizeof(prefix) - 1);
	prefix[sizeof(prefix) - 1] = '\0';
	assert_int_equal(format_new_kernel(prefix, &none), -EINVAL);
	assert_null(none);
	prefix[FORMAT_PREFIX_MAX] = '\0';
	assert_int_equal(format_new_kernel(prefix, &none), 0);
	assert_null(format_free(none));
	assert_null(format_free(NULL));
}

static enum format_verdict parse_custom(const char *expression, const char *text, size_t length,
					struct probe *ret)
{
	struct record record = {.text = text, .length = length};
	struct format_error error;
	struct format *custom;
	enum format_verdict verdict;

	memset(ret, 0, sizeof(*ret));
	assert_int_equal(format_new_custom(expression, &error, &custom), 0);
	verdict = format_parse(custom, &record, ret);
	format_free(custom);
	return verdict;
}

static void test_custom_lines(void **state)
{
	static const char simple[] = "from (?<SRC>\\S+) to (?<DPT>\\S+)";
	static const char optional[] = "(?:from (?<SRC>\\S+) )?to (?<DPT>\\S*)";
	static const char all[] =
		"(?<IN>\\w*) (?<PROTO>\\w+) (?<SRC>\\S+) (?<SPT>\\w+) (?<DST>\\S+) "
		"(?<DPT>\\w+)(?: \\[(?<FLAGS>.*)\\])?";
	static const struct {
		const char *expression, *text;
		enum format_verdict verdict;
	} customs[] = {
		{simple, "from 192.0.2.1 to 7000", FORMAT_PROBE},
		{simple, "from 2001:db8::1 to 65535", FORMAT_PROBE},
		{simple, "from 192.0.2.1 to 7000\n", FORMAT_FOREIGN},
		{"^from (?<SRC>\\S+) to (?<DPT>\\S+)$", "from 192.0.2.1 to 7", FORMAT_PROBE},
		{simple, "x from 192.0.2.1 to 7000", FORMAT_FOREIGN},
		{simple, "", FORMAT_FOREIGN},
		{simple, "from 192.0.2.1 to 0", FORMAT_DAMAGED},
		{simple, "from 2001:db8:000000000000000000000000000000000:1:1 to 7",
		 FORMAT_DAMAGED}, /* a byte too long for any address */
		{simple, "from 192.0.2.1 to 65536", FORMAT_DAMAGED},
		{simple, "from 192.0.2.1 to 07", FORMAT_DAMAGED},
		{simple, "from 192.0.2.256 to 7", FORMAT_DAMAGED},
		{simple, "from ::ffff:192.0.2.1 to 7", FORMAT_DAMAGED},
		{simple, "from fe80::1%eth0 to 7", FORMAT_DAMAGED},
		{all, "eth0 tcp 192.0.2.1 1 192.0.2.2 2", FORMAT_PROBE},
		{all, " UDP 192.0.2.1 1 192.0.2.2 2", FORMAT_PROBE},
		{all, "eth0 17 192.0.2.1 1 192.0.2.2 2", FORMAT_PROBE},
		{all, "eth0 icmp 192.0.2.1 1 192.0.2.2 2", FORMAT_IRRELEVANT},
		{all, "an_interface_name tcp 192.0.2.1 1 192.0.2.2 2", FORMAT_DAMAGED},
		{all, "interface_name16 tcp 192.0.2.1 1 192.0.2.2 2", FORMAT_DAMAGED},
		{all, "interface_nam15 tcp 192.0.2.1 1 192.0.2.2 2", FORMAT_PROBE},
		{all, "eth0 tcp 192.0.2.1 x 192.0.2.2 2", FORMAT_DAMAGED},
		{all, "eth0 tcp 192.0.2.1 1 everybody 2", FORMAT_DAMAGED},
		{simple, "from 192.0.2.1 to 070000", FORMAT_DAMAGED},
		{simple, "from 192.0.2.1 to 7x", FORMAT_DAMAGED},
		{simple, "from 192.0.2.1 to 7/", FORMAT_DAMAGED},
		{optional, "to 7000", FORMAT_DAMAGED},
		{optional, "from 192.0.2.1 to ", FORMAT_DAMAGED},
		{optional, "from 192.0.2.1 to 7000", FORMAT_PROBE},
		{optional, "from 192.0.2.1234567890123456789012345678901234567890 to 7",
		 FORMAT_DAMAGED},
	};
	struct probe probe;

	(void)state;
	for (size_t i = 0; i < sizeof(customs) / sizeof(customs[0]); i++)
		if (parse_custom(customs[i].expression, customs[i].text, strlen(customs[i].text),
				 &probe) != customs[i].verdict)
			fail_msg("%s", customs[i].text);
	parse_custom(simple, "from 192.0.2.1 to 7000", 22, &probe);
	assert_int_equal(probe.protocol, IPPROTO_TCP);
	assert_int_equal(probe.tcp_flags, TCP_FLAG_SYN);
	assert_int_equal(probe.port, 7000);
	assert_int_equal(probe.source_port, 0);
	parse_custom(all, "eth0 tcp 192.0.2.1 1 192.0.2.2 2 [ack,FIN rst]", 46, &probe);
	assert_int_equal(probe.tcp_flags, TCP_FLAG_ACK | TCP_FLAG_FIN | TCP_FLAG_RST);
	assert_int_equal(probe.source_port, 1);
	assert_string_equal(probe.interface, "eth0");
	assert_int_equal(probe.target.bytes[15], 2);
	parse_custom(all, " UDP 192.0.2.1 1 192.0.2.2 2 [SYN]", 34, &probe);
	assert_int_equal(probe.tcp_flags, 0);
}

/* Nothing can be told from a line without a source and a port; the rest need not be there. */
static void test_custom_groups(void **state)
{
	static const struct {
		const char *expression, *missing;
		bool has_interface, has_target;
	} customs[] = {
		{"(?<DPT>x)", "SRC", false, false},
		{"(?<SRC>x)", "DPT", false, false},
		{"(?<SRC>x)(?<DPT>x)", NULL, false, false},
		{"(?<SRC>x)(?<DPT>x)(?<IN>x)", NULL, true, false},
		{"(?<SRC>x)(?<DPT>x)(?<DST>x)", NULL, false, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(customs) / sizeof(customs[0]); i++) {
		struct format_error error = {""};
		struct format *custom = NULL;
		int r = format_new_custom(customs[i].expression, &error, &custom);

		assert_int_equal(r, customs[i].missing ? -EINVAL : 0);
		if (r < 0) {
			assert_non_null(strstr(error.text, customs[i].missing));
			continue;
		}
		assert_int_equal(format_knows_interface(custom), customs[i].has_interface);
		assert_int_equal(format_knows_target(custom), customs[i].has_target);
		format_free(custom);
	}
}

/* A prefix says enough; without one, it takes the whole line. */
static void test_how_a_line_begins(void **state)
{
	static const char sound[] = "[rec] IN=eth0 OUT=";
	struct format_error error;
	struct format *custom;
	char text[2049];

	(void)state;
	use_format("[rec] ", false);
	assert_true(format_begins(format, sound, strlen(sound)));
	assert_false(format_begins(format, sound, strlen("[rec] IN")));
	assert_false(format_begins(format, sound + 1, strlen(sound + 1)));
	assert_int_equal(format_new_custom("(?<SRC>1) (?<DPT>7)x*", &error, &custom), 0);
	memset(text, 'x', sizeof(text));
	memcpy(text, "1 7", 3);
	assert_true(format_begins(custom, text, 3));
	assert_true(format_begins(custom, text, 2048));
	assert_false(format_begins(custom, text, 2049));
	assert_false(format_begins(custom, text + 1, 3));
	format_free(custom);
}

/* What a C string would not show is no part of an address. */
static void test_custom_lines_with_nul(void **state)
{
	struct probe probe;

	(void)state;
	assert_int_equal(parse_custom("(?<SRC>[^ ]*) (?<DPT>.*)", "192.0.2.1\0x 7", 13, &probe),
			 FORMAT_DAMAGED);
	assert_int_equal(parse_custom("(?<SRC>[^ ]*) (?<DPT>.*)", "192.0.2.1 7\0x", 13, &probe),
			 FORMAT_DAMAGED);
}

/* What versions of PCRE2 read differently is refused, and nothing else is. */
static void test_custom_braces(void **state)
{
	static const struct {
		const char *text;
		int result;
		size_t offset;
	} braces[] = {
		{"a{,3}", -EINVAL, 1},
		{"a{ 1,2}", -EINVAL, 1},
		{"a{1, 2}", -EINVAL, 1},
		{"a{1 }", -EINVAL, 1},
		{"a{1\t}", -EINVAL, 1},
		{"[{]a{1,2 }", -EINVAL, 4},
		{"[]]a{,3}", -EINVAL, 4},
		{"\\\\{,3}", -EINVAL, 2},
		{"\\Q{,3}\\E{,3}", -EINVAL, 8},
		{"a{3}", 0, 0},
		{"a{0,3}", 0, 0},
		{"a{3,}", 0, 0},
		{"a{,}", 0, 0},
		{"a{ }", 0, 0},
		{"a{b 1}", 0, 0},
		{"a{b}1 }", 0, 0},
		{"a\\{,3}", 0, 0},
		{"[a{,3}]", 0, 0},
		{"[^]{,3}]", 0, 0},
		{"[[:alpha:]{,3}]", 0, 0},
		{"[\\]{,3}]", 0, 0},
		{"\\Q{,3}\\E", 0, 0},
		{"\\Q{,3}", 0, 0},
		{"a{", 0, 0},
		{"[^]a]{,3}", -EINVAL, 5},
		{"[[:alpha:]]{,3}", -EINVAL, 11},
		{"[[:]{,3}", -EINVAL, 4},
		{"[a\\]]{,3}", -EINVAL, 5},
		{"a{ 1}\\Qb", -EINVAL, 1},
		{"{x}{2}", 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(braces) / sizeof(braces[0]); i++) {
		static const char head[] = "(?<SRC>\\S+) (?<DPT>\\S+) ";
		char expression[100], at[40];
		struct format_error error = {""};
		struct format *custom = NULL;
		int r;

		snprintf(expression, sizeof(expression), "%s%s", head, braces[i].text);
		snprintf(at, sizeof(at), "at offset %zu", strlen(head) + braces[i].offset);
		r = format_new_custom(expression, &error, &custom);
		if (r != braces[i].result)
			fail_msg("%s: %d, \"%s\"", braces[i].text, r, error.text);
		if (r < 0 && (!strstr(error.text, "10.43") || !strstr(error.text, at)))
			fail_msg("%s: \"%s\"", braces[i].text, error.text);
		format_free(custom);
	}
}

/* The interpreter needs more and more memory for a longer line, and has it for the next as well. */
static void test_custom_lines_without_jit(void **state)
{
	static const char expression[] = "(*NO_JIT)(?<SRC>\\S+) (?<DPT>7)(?:x|xy)*";
	struct format_error error;
	struct format *custom;
	char text[300] = "192.0.2.1 7";

	(void)state;
	memset(text + strlen(text), 'x', sizeof(text) - strlen(text));
	assert_int_equal(format_new_custom(expression, &error, &custom), 0);
	for (int i = 0; i < 2; i++) {
		for (size_t length = 20; length <= sizeof(text); length += 20) {
			struct record record = {.text = text, .length = length};
			struct probe probe;

			assert_int_equal(format_parse(custom, &record, &probe), FORMAT_PROBE);
		}
	}
	format_free(custom);
}

/* What PCRE2 refuses, though there would be another reason behind the end. */
static void test_custom_patterns_that_are_none(void **state)
{
	static const char *const expressions[] = {
		"(?<SRC>x)(?<DPT>y)[a\\\0]{,3}", "(?<SRC>x)(?<DPT>y)\\\0{,3}",
		"(?<SRC>x)(?<DPT>y)[a\0{,3}",	 "(?<SRC>x)(?<DPT>y)\\C",
		"(?<SRC>x)(?<DPT>y)(a)\\3",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(expressions) / sizeof(expressions[0]); i++) {
		struct format_error error = {""};
		struct format *custom = NULL;

		if (format_new_custom(expressions[i], &error, &custom) != -EINVAL ||
		    strstr(error.text, "10.43"))
			fail_msg("%s: \"%s\"", expressions[i], error.text);
	}
}

static void test_custom_pattern_that_explodes(void **state)
{
	static const char *const expressions[] = {
		"(?:(?:a|aa)+b)*(?<SRC>x)(?<DPT>y)",
		"(?:a?){30}(?:a*)*(?<SRC>x)(?<DPT>y)",
		"(a(?R)?)*(?<SRC>x)(?<DPT>y)",
	};
	struct probe probe;
	char text[2000];

	(void)state;
	memset(text, 'a', sizeof(text));
	for (size_t i = 0; i < sizeof(expressions) / sizeof(expressions[0]); i++) {
		enum format_verdict verdict =
			parse_custom(expressions[i], text, sizeof(text), &probe);

		assert_true(verdict == FORMAT_DAMAGED || verdict == FORMAT_FOREIGN);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_jit),
		cmocka_unit_test(test_every_case),
		cmocka_unit_test(test_who_has_written_it),
		cmocka_unit_test(test_enough_captured_lines),
		cmocka_unit_test(test_a_cut_line_is_no_other_probe),
		cmocka_unit_test(test_a_garbled_line_is_no_probe),
		cmocka_unit_test(test_one_blank_more_or_less_is_no_other_probe),
		cmocka_unit_test(test_a_doubled_or_swapped_field_is_no_probe),
		cmocka_unit_test(test_two_lines_in_one_are_no_probe),
		cmocka_unit_test(test_a_line_has_a_longest_length),
		cmocka_unit_test(test_options_in_capitals_or_not),
		cmocka_unit_test(test_only_a_printable_prefix_is_taken),
		cmocka_unit_test(test_custom_lines),
		cmocka_unit_test(test_custom_groups),
		cmocka_unit_test(test_how_a_line_begins),
		cmocka_unit_test(test_custom_lines_with_nul),
		cmocka_unit_test(test_custom_braces),
		cmocka_unit_test(test_custom_lines_without_jit),
		cmocka_unit_test(test_custom_patterns_that_are_none),
		cmocka_unit_test(test_custom_pattern_that_explodes),
	};

	return cmocka_run_group_tests_name("format", tests, load_cases, free_cases);
}
