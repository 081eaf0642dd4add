#include "input/text/header.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cmocka-all.h"
#include "input/input.h"
#include "input/text/month.h"

#define S UINT64_C(1000000)

static const char berlin[] = "CET-1CEST,M3.5.0,M10.5.0/3";

/* 2026-11-22 21:00:00 in Berlin. */
#define THEN_S UINT64_C(1795377600)
#define NOW_US ((THEN_S + 3600) * S)

/* Twelve months back, and a summer. */
#define LAST_NOVEMBER_S UINT64_C(1763928000) /* 2025-11-23 21:00:00 */
#define JULY_S		UINT64_C(1783623600) /* 2026-07-09 21:00:00 */

#define MESSAGE "[knock] IN=eth0 SRC=192.0.2.1"

struct text_header_case {
	const char *head; /* what stands before the message */
	uint64_t realtime_us, kernel_us;
};

/* Heads that are read to their end. */
static const struct text_header_case heads[] = {
	/* none */
	{"", 0, 0},
	/* dmesg, dmesg -r, dmesg -x, dmesg -T, dmesg -x -T, dmesg --time-format=iso */
	{"[    0.000000] ", 0, 0},
	{"[   12.345678] ", 0, 12345678},
	{"[12345.678901] ", 0, 12345678901},
	{"[123456789.000001] ", 0, 123456789000001},
	{"<4>[   12.345678] ", 0, 12345678},
	{"<0>[   12.345678] ", 0, 12345678},
	{"<7>[   12.345678] ", 0, 12345678},
	{"kern  :warn  : [   12.345678] ", 0, 12345678},
	{"kern  :info  : [   12.345678] ", 0, 12345678},
	{"kern  :emerg : [   12.345678] ", 0, 12345678},
	{"[Sun Nov 22 21:00:00 2026] ", THEN_S *S, 0},
	{"[Thu Jul  9 21:00:00 2026] ", JULY_S *S, 0},
	{"kern  :warn  : [Sun Nov 22 21:00:00 2026] ", THEN_S *S, 0},
	{"2026-11-22T21:00:00,123456+01:00 ", THEN_S *S + 123456, 0},
	{"kern  :warn  : 2026-11-22T21:00:00,123456+01:00 ", THEN_S *S + 123456, 0},
	/* RFC 3339, as rsyslog writes it, with and without the kernel's own time */
	{"2026-11-22T21:00:00+01:00 host kernel: ", THEN_S *S, 0},
	{"2026-11-22T20:00:00Z host kernel: ", THEN_S *S, 0},
	{"2026-11-22T14:30:00.5-05:30 host kernel: ", THEN_S *S + 500000, 0},
	{"2026-11-22T21:00:00.123456+01:00 host kernel: ", THEN_S *S + 123456, 0},
	{"2026-11-22T21:00:00.123456789+01:00 host kernel: ", THEN_S *S + 123456, 0},
	{"2026-11-22T21:00:00.123456+01:00 host kernel: [   12.345678] ", THEN_S *S + 123456,
	 12345678},
	/* RFC 3164 */
	{"Nov 22 21:00:00 host kernel: ", THEN_S *S, 0},
	{"Nov 22 21:00:00 host kernel: [   12.345678] ", THEN_S *S, 12345678},
	{"<4>Nov 22 21:00:00 host kernel: ", THEN_S *S, 0},
	{"Jul  9 21:00:00 host kernel: ", JULY_S *S, 0},
	{"Nov 23 21:00:00 host kernel: ", THEN_S *S + 86400 * S, 0},
	{"Nov 24 21:00:00 host kernel: ", (LAST_NOVEMBER_S + 86400) * S, 0},
	{"Nov 22 21:00:00 2001:db8::1 kernel: ", THEN_S *S, 0},
	/* journalctl -o short-precise, short-iso, short-iso-precise (old and new zones) */
	{"Nov 22 21:00:00.123456 host kernel: ", THEN_S *S + 123456, 0},
	{"2026-11-22T21:00:00+0100 host kernel: ", THEN_S *S, 0},
	{"2026-11-22T21:00:00.123456+0100 host kernel: ", THEN_S *S + 123456, 0},
	{"2026-11-22T20:00:00.123456-0000 host kernel: ", THEN_S *S + 123456, 0},
	/* short-full: the zone is a name, or a number where it has none */
	{"Sun 2026-11-22 20:00:00 UTC host kernel: ", THEN_S *S, 0},
	{"Sun 2026-11-22 21:00:00 CET host kernel: ", THEN_S *S, 0},
	{"Thu 2026-07-09 21:00:00 CEST host kernel: ", JULY_S *S, 0},
	{"Sun 2026-11-22 17:00:00 -03 host kernel: ", THEN_S *S, 0},
	{"Mon 2026-11-23 01:45:00 +0545 host kernel: ", THEN_S *S, 0},
	/* short-monotonic, short-unix */
	{"[   12.345678] host kernel: ", 0, 12345678},
	{"1795377600.123456 host kernel: ", THEN_S *S + 123456, 0},
	{"123456789012.5 host kernel: ", 123456789012500000, 0},
	{"1795377600.123456 host kernel: [   12.345678] ", THEN_S *S + 123456, 12345678},
	/* short-full of another zone, and in the hour that comes twice */
	{"Sun 2026-11-22 15:00:00 EST host kernel: ", THEN_S *S, 0},
	{"Mon 2026-11-23 05:00:00 JST host kernel: ", THEN_S *S, 0},
	{"Sun 2026-10-25 02:30:00 CEST host kernel: ", 1792888200 * S, 0},
	{"Sun 2026-10-25 02:30:00 CET host kernel: ", 1792891800 * S, 0},
	/* short-delta, --no-hostname */
	{"[   12.345678                ] host kernel: ", 0, 12345678},
	{"[   12.345678 <    1.000001 >] host kernel: ", 0, 12345678},
	{"Nov 22 21:00:00 kernel: ", THEN_S *S, 0},
	/* months in other languages, with and without a stop; weekdays, too */
	{"Nov. 22 21:00:00 host kernel: ", THEN_S *S, 0},
	{"Juil 9 21:00:00 host kernel: ", JULY_S *S, 0},
	{"juil. 09 21:00:00 host kernel: ", JULY_S *S, 0},
	{"ноя 22 21:00:00 host kernel: ", THEN_S *S, 0},
	{"Ноя 22 21:00:00 host kernel: ", THEN_S *S, 0},
	{"11月 22 21:00:00 host kernel: ", THEN_S *S, 0},
	{" 7월  9 21:00:00 host kernel: ", JULY_S *S, 0},
	{"Thg 11 22 21:00:00 host kernel: ", THEN_S *S, 0},
	{"lis 22 21:00:00 host kernel: ", THEN_S *S, 0},
	{"[dim. nov. 22 21:00:00 2026] ", THEN_S *S, 0},
	/* with a year */
	{"Nov 22 2026 21:00:00 host kernel: ", THEN_S *S, 0},
	{"Jul  9 2026 21:00:00 host kernel: ", JULY_S *S, 0},
	{"Nov 22 9:00:00 host kernel: ", (THEN_S - 43200) * S, 0},
	{"Nov 22 21:00:00 202 kernel: ", THEN_S *S, 0},
	{"Nov 22 21:00:00 20261 kernel: ", THEN_S *S, 0},
	{"Sun Nov 22 20:00:00 UTC 2026 host kernel: ", THEN_S *S, 0},
	/* OpenWrt's logread, with -t too; BusyBox */
	{"Sun Nov 22 21:00:00 2026 kern.warn kernel: [   12.345678] ", THEN_S *S, 12345678},
	{"Sun Nov 22 21:00:00 2026 [1795377600.123] kern.warn kernel: [   12.345678] ", THEN_S *S,
	 12345678},
	{"Nov 22 21:00:00 host kern.warn kernel: [   12.345678] ", THEN_S *S, 12345678},
	{"Nov 22 21:00:00 host kern.w kernel: ", THEN_S *S, 0},
	/* RFC 5424 */
	{"<4>1 2026-11-22T20:00:00.5Z host kernel - - - ", THEN_S *S + 500000, 0},
	{"<4>1 2026-11-22T21:00:00+01:00 host kernel - - - [   12.345678] ", THEN_S *S, 12345678},
	{"1 2026-11-22T21:00:00+01:00 host kernel 0 x [a b=\"]\\\"\"][c] \xef\xbb\xbf", THEN_S *S,
	 0},
	{"<4>1 - - kernel - - - [   12.345678] ", 0, 12345678},
	/* who called printk; /dev/kmsg; dmesg -d; a blank too many */
	{"[   12.345678] [     C1] ", 0, 12345678},
	{"[   12.345678][  T4711] ", 0, 12345678},
	{"Nov 22 21:00:00 host kernel: [   12.345678][    T1] ", THEN_S *S, 12345678},
	{"0,123,12345678,-;", 0, 12345678},
	{"7,1,123456789012345678,-;", 0, 123456789012345678},
	{"4,123,12345678,-;", 0, 12345678},
	{"4,123,12345678,-,caller=T1;", 0, 12345678},
	{"[   12.345678 <    1.000001>] ", 0, 12345678},
	{"[Sun Nov 22 21:00:00 2026 <    1.000001>] ", THEN_S *S, 0},
	{"Nov 22 21:00:00  host  kernel: ", THEN_S *S, 0},
	{"kernel: [   12.345678] ", 0, 12345678},
	{"         Nov 22 21:00:00 host kernel: ", THEN_S *S, 0},
	{"<4>Nov 22 21:00:00 host kernel: <4>[   12.345678] ", THEN_S *S, 12345678},
	/* local time without a zone */
	{"2026-11-22 21:00:00 host kernel: ", THEN_S *S, 0},
	{"2026-11-22T21:00:00.25 host kernel: ", THEN_S *S + 250000, 0},
	/* far east; a second more; the first and the last month; the first times, and earlier */
	{"2026-11-23T08:00:00+12:00 host kernel: ", THEN_S *S, 0},
	{"2026-11-22T19:59:60Z host kernel: ", THEN_S *S, 0},
	{"2026-01-22T20:00:00Z host kernel: ", (THEN_S - 304 * 86400) * S, 0},
	{"1月 22 2026 21:00:00 host kernel: ", (THEN_S - 304 * 86400) * S, 0},
	{"12月 22 2026 21:00:00 host kernel: ", (THEN_S + 30 * 86400) * S, 0},
	{"janv. 22 2026 21:00:00 host kernel: ", (THEN_S - 304 * 86400) * S, 0},
	{"Dez 22 2026 21:00:00 host kernel: ", (THEN_S + 30 * 86400) * S, 0},
	{"1970-01-01T00:00:01.5Z host kernel: ", 1500000, 0},
	{"1970-01-01T00:00:00.5Z host kernel: ", 0, 0},
	{"1969-12-31T23:59:59Z host kernel: ", 0, 0},
	{"1970-01-01 01:00:01.5 host kernel: ", 1500000, 0},
	{"1970-01-01 01:00:00.5 host kernel: ", 0, 0},
	{"1969-12-31 12:00:00 host kernel: ", 0, 0},
	/* dmesg -e, dmesg -d without a blank; behind a mark of UTF-8 */
	{"[Nov22 21:00] ", THEN_S *S, 0},
	{"[11月22 21:00] ", THEN_S *S, 0},
	{"[aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa Nov 22 21:00:00 2026] ", THEN_S *S, 0},
	{"[a Nov 22 21:00:00 2026] ", THEN_S *S, 0},
	{"[2026-11-22 21:00] ", THEN_S *S, 0},
	{"[12345.678901 <1.000001>] ", 0, 12345678901},
	{"\xef\xbb\xbf"
	 "Nov 22 21:00:00 host kernel: ",
	 THEN_S *S, 0},
};

static bool on_begins(void *userdata, const char *text, size_t length)
{
	const char *message = userdata ? userdata : MESSAGE;

	return length >= strlen(message) && memcmp(text, message, strlen(message)) == 0;
}

static const struct text_messages messages = {.begins = on_begins};
static const struct text_messages anybodys = {.begins = on_begins, .anybody = true};

static void test_heads(void **state)
{
	size_t n_failed = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		char line[256];
		struct text_header header;
		const char *message;

		strcpy(line, heads[i].head);
		strcat(line, MESSAGE);
		message = text_header_parse(line, NOW_US, NULL, &header);
		if (strcmp(message, MESSAGE) == 0 && header.realtime_us == heads[i].realtime_us &&
		    header.kernel_us == heads[i].kernel_us)
			continue;
		n_failed++;
		print_message("\"%s\": %" PRIu64 " us, %" PRIu64 " us, \"%s\"\n", heads[i].head,
			      header.realtime_us, header.kernel_us, message);
	}
	assert_int_equal(n_failed, 0);
}

/* Where it is known what a message is, they are the same, and more. */
static void test_heads_of_known_messages(void **state)
{
	static const struct text_header_case more[] = {
		{"Nov 22 21:00:00 host ", THEN_S * S, 0}, /* ulogd */
		{"Nov 22 21:00:00 ", THEN_S * S, 0},
		{"  ", 0, 0},
		{"[   12.345678]   ", 0, 12345678},
		{"Nov 22 21:00:00 host   ", THEN_S * S, 0},
	};
	static const char *const of_programs[] = {
		"Nov 22 21:00:00 host ulogd[12]: ",
		"Nov 22 21:00:00 ulogd: ",
		"<134>Nov 22 21:00:00 host ulogd[12]: ",
		"<30>1 2026-11-22T21:00:00+01:00 host ulogd 12 - - ",
		"1 2026-11-22T21:00:00+01:00 host ulogd 12 - - ",
	};
	static const char *const of_nobody[] = {"<>", "x>", "<1234>"};
	const size_t n = sizeof(heads) / sizeof(heads[0]), n_more = sizeof(more) / sizeof(more[0]);

	(void)state;
	for (size_t i = 0; i < n + n_more; i++) {
		const struct text_header_case *head = i < n ? &heads[i] : &more[i - n];
		char line[256];
		struct text_header header;

		strcpy(line, head->head);
		strcat(line, MESSAGE);
		if (strcmp(text_header_parse(line, NOW_US, &messages, &header), MESSAGE) != 0 ||
		    !header.understood || header.realtime_us != head->realtime_us ||
		    header.kernel_us != head->kernel_us)
			fail_msg("\"%s\"", head->head);
	}
	for (size_t i = 0; i < sizeof(of_programs) / sizeof(of_programs[0]); i++) {
		char line[256];
		struct text_header header;

		strcpy(line, of_programs[i]);
		strcat(line, MESSAGE);
		text_header_parse(line, NOW_US, &messages, &header);
		assert_false(header.understood);
		text_header_parse(line, NOW_US, &anybodys, &header);
		if (!header.understood)
			fail_msg("\"%s\"", of_programs[i]);
	}
	for (size_t i = 0; i < sizeof(of_nobody) / sizeof(of_nobody[0]); i++) {
		char line[256];
		struct text_header header;

		strcpy(line, of_nobody[i]);
		strcat(line, MESSAGE);
		text_header_parse(line, NOW_US, &anybodys, &header);
		if (header.understood)
			fail_msg("\"%s\"", of_nobody[i]);
	}
}

static void test_a_message_that_begins_with_a_blank(void **state)
{
	static char message[] = " " MESSAGE;
	const struct text_messages known = {.begins = on_begins, .userdata = message};
	struct text_header header;

	(void)state;
	assert_string_equal(
		text_header_parse("Nov 22 21:00:00 host  " MESSAGE, NOW_US, &known, &header),
		message);
	assert_true(header.understood);
}

/* The first one is the kernel's, and the last one anybody's. */
static void test_a_message_that_begins_twice(void **state)
{
	static char message[] = "<4>";
	struct text_messages known = {.begins = on_begins, .userdata = message};
	const char *line = "<4><4>x";
	struct text_header header;

	(void)state;
	assert_string_equal(text_header_parse(line, NOW_US, &known, &header), line);
	known.anybody = true;
	assert_string_equal(text_header_parse(line, NOW_US, &known, &header), "<4>x");
}

static void test_month(void **state)
{
	int month;

	(void)state;
	assert_string_equal(month_parse("Nov 22", &month), " 22");
	assert_int_equal(month, 10);
}

/* The names of zones, where local time has none. */
static void test_zones(void **state)
{
	static const struct {
		const char *name, *offset;
	} zones[] = {
		{"UTC", "+0000"},  {"GMT", "+0000"},  {"WET", "+0000"},	 {"WEST", "+0100"},
		{"BST", "+0100"},  {"CET", "+0100"},  {"CEST", "+0200"}, {"MET", "+0100"},
		{"MEST", "+0200"}, {"EET", "+0200"},  {"EEST", "+0300"}, {"MSK", "+0300"},
		{"WAT", "+0100"},  {"CAT", "+0200"},  {"SAST", "+0200"}, {"EAT", "+0300"},
		{"IDT", "+0300"},  {"PKT", "+0500"},  {"IST", "+0530"},	 {"WIB", "+0700"},
		{"WITA", "+0800"}, {"WIT", "+0900"},  {"HKT", "+0800"},	 {"JST", "+0900"},
		{"KST", "+0900"},  {"AWST", "+0800"}, {"ACST", "+0930"}, {"ACDT", "+1030"},
		{"AEST", "+1000"}, {"AEDT", "+1100"}, {"ChST", "+1000"}, {"NZST", "+1200"},
		{"NZDT", "+1300"}, {"SST", "-1100"},  {"HST", "-1000"},	 {"HDT", "-0900"},
		{"AKST", "-0900"}, {"AKDT", "-0800"}, {"PST", "-0800"},	 {"PDT", "-0700"},
		{"MST", "-0700"},  {"MDT", "-0600"},  {"CST", "-0600"},	 {"CDT", "-0500"},
		{"EST", "-0500"},  {"EDT", "-0400"},  {"AST", "-0400"},	 {"ADT", "-0300"},
		{"NST", "-0330"},  {"NDT", "-0230"},
	};

	struct text_header header;

	(void)state;
	setenv("TZ", "<+04>-4", 1);
	tzset();
	for (size_t i = 0; i < sizeof(zones) / sizeof(zones[0]); i++) {
		char line[64];
		struct text_header named, numbered;

		snprintf(line, sizeof line, "2026-11-22 20:00:00 %s x", zones[i].name);
		text_header_parse(line, NOW_US, NULL, &named);
		snprintf(line, sizeof line, "2026-11-22 20:00:00 %s x", zones[i].offset);
		text_header_parse(line, NOW_US, NULL, &numbered);
		if (named.realtime_us == 0 || named.realtime_us != numbered.realtime_us)
			fail_msg("%s", zones[i].name);
	}
	/* What is local comes first. */
	setenv("TZ", "EST-1EDT,M3.5.0,M10.5.0/3", 1);
	tzset();
	text_header_parse("2026-11-22 21:00:00 EST x", NOW_US, NULL, &header);
	assert_int_equal(header.realtime_us, THEN_S * S);
	text_header_parse("2026-07-09 21:00:00 EDT x", NOW_US, NULL, &header);
	assert_int_equal(header.realtime_us, JULY_S * S);
	setenv("TZ", berlin, 1);
	tzset();
}

static void test_an_hour_that_comes_twice(void **state)
{
	struct text_header header;

	(void)state;
	text_header_parse("2006-10-29 02:30:00 x", NOW_US, NULL, &header);
	assert_int_equal(header.realtime_us, 1162081800 * S);
	assert_int_equal(header.later_us, 1162085400 * S);
}

/* Lines that are not what the kernel wrote: whatever of the head is taken away, no prefix of a LOG
 * rule must come to stand first. */
static const char *const strangers[] = {
	"Nov 22 21:00:00 host sshd[1]: " MESSAGE,
	"Nov 22 21:00:00 host kernel[1]: " MESSAGE,
	"Nov 22 21:00:00 host Kernel: " MESSAGE,
	"Nov 22 21:00:00 host su: kernel: " MESSAGE,
	"2026-11-22T21:00:00+01:00 host audit: " MESSAGE,
	"1795377600.123456 host logger: " MESSAGE,
	"[   12.345678] host logger: " MESSAGE,
	"[   12.345678] systemd[1]: " MESSAGE,
	"user  :warn  : [   12.345678] " MESSAGE,
	"daemon:info  : [   12.345678] " MESSAGE,
	"kernel:warn  : [   12.345678] " MESSAGE,
	/* dmesg -r: any facility but the kernel's is a process that wrote to /dev/kmsg */
	"<12>[   12.345678] " MESSAGE,
	"<8>" MESSAGE,
	"<30>[   12.345678] " MESSAGE,
	"<99999999999999999999>[   12.345678] " MESSAGE,
	"-- Boot 0123456789abcdef0123456789abcdef --",
	"<4>1 2026-11-22T21:00:00+01:00 host logger - - - " MESSAGE,
	"Nov 22 21:00:00 host user.warn kernel: " MESSAGE,
	"12,123,12345678,-;" MESSAGE,
	"9,123,12345678,-;" MESSAGE,
	"4.123,12345678,-;" MESSAGE,
	"<4>4,123,12345678,-;" MESSAGE,
	"kern.warn kernel: [   12.345678] " MESSAGE,
	"Nov 22 21:00:00 host kern. kernel: " MESSAGE,
	"Nov 22 21:00:00 host kern.warn[   12.345678] " MESSAGE,
	"Nov 22 21:00:00          kernel: " MESSAGE,
	"Nov 22 21:00:00 host kern.warn x kernel: " MESSAGE,
	"Nov 22 21:00:00 kernel: su " MESSAGE,
	"1 2026-11-22T21:00:00+01:00 host kernel - - - su kernel: " MESSAGE,
	"1 2026-11-22T21:00:00+01:00 host kernel - - - kernel: " MESSAGE,
	"1 2026-11-22T21:00:00+01:00  kernel - - - " MESSAGE,
	"1 2026-11-22T21:00:00+01:00 host kernel - - x] " MESSAGE,
	"Nov 22 21:00:00 1 - host kernel - - - " MESSAGE,
	"x" MESSAGE,
};

static void test_strangers(void **state)
{
	size_t n_failed = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(strangers) / sizeof(strangers[0]); i++) {
		struct text_header header;
		const char *message = text_header_parse(strangers[i], NOW_US, NULL, &header);

		bool believed = strncmp(message, MESSAGE, strlen(MESSAGE)) == 0;

		text_header_parse(strangers[i], NOW_US, &messages, &header);
		if (!believed && !header.understood)
			continue;
		n_failed++;
		print_message("\"%s\" was believed\n", strangers[i]);
	}
	assert_int_equal(n_failed, 0);
}

/* Where the message begins, which is more than is read of it. */
static void test_messages(void **state)
{
	static const struct {
		const char *head, *message;
	} cases[] = {
		{"[   12.345678] ", "Nov 22 21:00:00 x"},
		{"[   12.345678] ", "1795377600.5 x"},
		{"Nov 22 21:00:00 ", "Nov 22 21:00:00 x"},
		{"Nov 22 21:00:00 ", "1795377600.5 x"},
		{"1795377600.5 ", "1795377600.5 x"},
		/* twelve parts, and one more */
		{"<4><4><4><4><4><4><4><4><4><4><4><4>", "<4>x"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char line[256];
		struct text_header header;

		strcpy(line, cases[i].head);
		strcat(line, cases[i].message);
		assert_string_equal(text_header_parse(line, NOW_US, NULL, &header),
				    cases[i].message);
	}
}

/* Messages that look nearly as a time: nothing of them is lost, and no time comes of it. */
static void test_no_head(void **state)
{
	static const char *const lines[] = {
		"[",
		"[]",
		"[ ]",
		"[12]",
		"[12.]",
		"[.5] x",
		"[12.5 x",
		"[-1.5] x",
		"[1e3.5] x",
		"[1234567890123.5] x",
		"[knock] IN=",
		"12 x",
		"12. x",
		"12.5x",
		"1234567890123.5 x",
		".5 x",
		"<",
		"<>",
		"<4",
		"<x>y",
		"<-1>x",
		"< 4>x",
		"kernel:x",
		"kern",
		"kern x",
		"kern :x",
		"kern  :warn",
		"kern  :WARN : x",
		"Nov",
		"Nov 22",
		"Nov 22 21:00",
		"Nov 32 21:00:00 x",
		"Nov 22 24:00:00 x",
		"Foo 22 21:00:00 x",
		"2026-11-22",
		"2026-13-22T21:00:00 x",
		"2026-11-32T21:00:00 x",
		"0月 22 21:00:00 x",
		"13月 22 21:00:00 x",
		"011月 22 21:00:00 x",
		"11最 22 21:00:00 x",
		"11원 22 21:00:00 x",
		"Thg 11x22 21:00:00 x",
		"4,,12345678,-;x",
		"4,123,,-;x",
		"4,123,1234567890123456789,-;x",
		"4,123,12345678,-x",
		"Thgx11 22 21:00:00 x",
		"20261-11-22T21:00:00 x",
		"2026-11-22T21:00:61 x",
		"2026-11-22T21:00:00+1 x",
		"2026-11-22T21:00:00+010 x",
		"Novx 22 21:00:00 x",
		"Novя 22 21:00:00 x",
		"Sun Sun Nov 22 21:00:00 x",
		"          Nov 22 21:00:00 x",
		"Sun:Nov 22 21:00:00 x",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa Nov 22 21:00:00 x",
		"1 2026-11-22T21:00:00+01:00 host kernel - - [a b=\"\\\0\"] x",
		"2026-11-22T21:00 x",
		"226-11-22T21:00:00 x",
		"2026-00-22T21:00:00 x",
		"2026-1-22T21:00:00 x",
		"2026-011-22T21:00:00 x",
		"2026-11-00T21:00:00 x",
		"2026-11-2T21:00:00 x",
		"2026-11-022T21:00:00 x",
		"Nov 0 21:00:00 x",
		"Nov 022 21:00:00 x",
		"Nov 22 021:00:00 x",
		"Nov 22 12026 21:00:00 x",
		"Nov 22 :00:00 x",
		"Nov 22 21:000:00 x",
		"Nov 22 21:0:00 x",
		"Nov 22 21:60:00 x",
		"Nov 22 21:00:0 x",
		"Nov 22 21:00:000 x",
		"Nov 22 226 21:00:00 x",
		"Sun 22 Nov 2026 21:00:00 x",
		"[Sun Nov 22 21:00:00 2026",
		" host kernel: x",
		"\xff\xfe",
		"\x01",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct text_header header;
		const char *message = text_header_parse(lines[i], NOW_US, NULL, &header);

		if (message != lines[i] || header.realtime_us != 0 || header.kernel_us != 0)
			fail_msg("\"%s\": %" PRIu64 " us, %" PRIu64 " us, \"%s\"", lines[i],
				 header.realtime_us, header.kernel_us, message);
	}
}

/* A year that is not in the line is that of the last twelve months, on both sides of a new year. */
static void test_year(void **state)
{
	static const struct {
		const char *line;
		uint64_t now_s, realtime_s;
	} cases[] = {
		{"Dec 31 23:59:59 host kernel: x", 1798758000, 1798757999},
		{"Jan  1 00:00:00 host kernel: x", 1798758000, 1798758000},
		{"Jan  1 00:00:00 host kernel: x", 1798757999, 1767222000},
		{"Feb 29 12:00:00 host kernel: x", 1709204400 + 86400, 1709204400},
		/* another clock may be ahead of this one by a day */
		{"Jan  2 00:00:00 host kernel: x", 1798758000, 1798758000 + 86400},
		{"Jan  2 00:00:01 host kernel: x", 1798758000, 1767222000 + 86401},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct text_header header;

		text_header_parse(cases[i].line, cases[i].now_s * S, NULL, &header);
		if (header.realtime_us != cases[i].realtime_s * S)
			fail_msg("\"%s\": %" PRIu64, cases[i].line, header.realtime_us / S);
	}
}

/* Every head, cut off anywhere: nothing beyond the line's end is read (a sanitizer looks). */
static void test_truncated(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		size_t length = strlen(heads[i].head);

		for (size_t n = 0; n <= length; n++) {
			char *line = strndup(heads[i].head, n);
			struct text_header header;
			const char *message;

			assert_non_null(line);
			message = text_header_parse(line, NOW_US, NULL, &header);
			assert_true(message >= line && message <= line + n);
			free(line);
		}
	}
}

/* And with any one byte replaced by another. */
static void test_damaged(void **state)
{
	static const char bytes[] = " []<>:.,-+Z09aA\xff\x01";

	(void)state;
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		size_t length = strlen(heads[i].head);

		for (size_t n = 0; n < length; n++) {
			char *line = strdup(heads[i].head);

			assert_non_null(line);
			for (const char *byte = bytes; *byte; byte++) {
				struct text_header header;
				const char *message;

				line[n] = *byte;
				message = text_header_parse(line, NOW_US, NULL, &header);
				assert_true(message >= line && message <= line + length);
			}
			free(line);
		}
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_heads),
		cmocka_unit_test(test_heads_of_known_messages),
		cmocka_unit_test(test_a_message_that_begins_with_a_blank),
		cmocka_unit_test(test_a_message_that_begins_twice),
		cmocka_unit_test(test_month),
		cmocka_unit_test(test_zones),
		cmocka_unit_test(test_an_hour_that_comes_twice),
		cmocka_unit_test(test_strangers),
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_no_head),
		cmocka_unit_test(test_year),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_damaged),
	};

	setenv("TZ", berlin, 1);
	tzset();
	return cmocka_run_group_tests_name("stamp", tests, NULL, NULL);
}
