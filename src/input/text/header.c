#include "input/text/header.h"

#include <ctype.h>
#include <string.h>

#include "input/input.h"
#include "input/text/moment.h"
#include "input/text/zone.h"

/* Each of these reads one part of a head, and returns what is behind it; NULL: it is not there. */
struct head {
	const char *line;
	uint64_t now_us;
	const struct text_messages *messages; /* or NULL */
	struct text_header *header;
	bool has_date, has_host, has_program;
};

static const char letters[] = "abcdefghijklmnopqrstuvwxyz";

static bool begins_message(const struct head *head, const char *at)
{
	const struct text_messages *messages = head->messages;

	return messages && messages->begins(messages->userdata, at, strlen(at));
}

static const char *skip_blanks(const char *at)
{
	return at + strspn(at, " ");
}

static const char *skip_text(const char *at, const char *text)
{
	size_t length = strlen(text);

	return strncmp(at, text, length) == 0 ? at + length : NULL;
}

static bool takes_anybodys(const struct head *head)
{
	return head->messages && head->messages->anybody;
}

/* "<4>": syslog's and printk's priority, if its facility is the kernel's. */
static const char *take_priority(struct head *head, const char *at)
{
	size_t n_digits = *at == '<' ? strspn(at + 1, "0123456789") : 0;

	if (n_digits < 1 || n_digits > 3 || at[n_digits + 1] != '>' ||
	    ((n_digits > 1 || at[1] > '7') && !takes_anybodys(head)))
		return NULL;
	return at + n_digits + 2;
}

/* "kern  :warn  : ", dmesg -x; "kern.warn ", BusyBox and OpenWrt. */
static const char *take_level(struct head *head, const char *at)
{
	char between;

	at = skip_text(at, "kern");
	if (!at)
		return NULL;
	if (*at == '.') {
		if (!head->has_date || !islower((unsigned char)at[1]))
			return NULL;
		at += 1 + strspn(at + 1, letters);
		return *at == ' ' ? at : NULL;
	}
	at = skip_blanks(at);
	between = *at;
	if (between != ':')
		return NULL;
	at++;
	at = skip_blanks(at + strspn(at, letters));
	return *at == ':' ? at + 1 : NULL;
}

static void set_kernel_time(struct head *head, uint64_t us)
{
	head->header->kernel_us = us;
	head->header->has_kernel_us = true;
}

/* "4,1234,18097804221,-;": /dev/kmsg. */
static const char *take_kmsg(struct head *head, const char *at)
{
	uint64_t us = 0;
	size_t n;

	if (at != head->line || at[0] < '0' || at[0] > '7' || at[1] != ',')
		return NULL;
	at += 2;
	n = strspn(at, "0123456789");
	if (n == 0 || at[n] != ',')
		return NULL;
	at += n + 1;
	n = strspn(at, "0123456789");
	if (n == 0 || n > 18 || at[n] != ',')
		return NULL;
	for (size_t i = 0; i < n; i++)
		us = us * 10 + (uint64_t)(at[i] - '0');
	set_kernel_time(head, us);
	at += strcspn(at, ";");
	return *at == ';' ? at + 1 : NULL;
}

static void set_date(struct head *head, const struct moment *moment)
{
	head->header->realtime_us = moment->us;
	head->header->later_us = moment->later_us;
	head->has_date = true;
}

/* "<    1.000001>": the time since the line before. */
static const char *take_delta(struct head *head, const char *at)
{
	at = moment_parse_seconds(skip_blanks(at + 1), &head->header->delta_us);
	at = at ? skip_blanks(at) : NULL;
	if (!at || *at != '>')
		return NULL;
	head->header->has_delta = true;
	return at + 1;
}

/* "[   12.345678]", "[  +0.000123]", "[Sun Nov 22 21:00:00 2026]", "[Nov22 21:00]", each perhaps
 * with the time since the line before; that alone; and who called printk: "[  T123]". */
static const char *take_brackets(struct head *head, const char *at)
{
	struct text_header *header = head->header;
	const char *end;
	struct moment moment;
	uint64_t us;

	if (*at != '[')
		return NULL;
	at = skip_blanks(at + 1);
	if (*at == '+') {
		at = moment_parse_seconds(at + 1, &header->delta_us);
		header->has_delta = header->has_delta || (at && *at == ']');
	} else if ((end = moment_parse_seconds(at, &us))) {
		at = skip_blanks(end);
		if (*at == ']' || *at == '<')
			set_kernel_time(head, us);
	} else if ((end = moment_parse(at, head->now_us, &moment))) {
		at = skip_blanks(end);
		if (*at == ']' || *at == '<')
			set_date(head, &moment);
	} else if ((*at == 'T' || *at == 'C') && isdigit((unsigned char)at[1])) {
		at += 1 + strspn(at + 1, "0123456789");
	} else if (*at != '<') {
		return NULL;
	}
	if (at && *at == '<')
		at = take_delta(head, at);
	return at && *at == ']' ? at + 1 : NULL;
}

static const char *take_date(struct head *head, const char *at)
{
	struct moment moment;

	if (head->has_date || head->header->has_kernel_us)
		return NULL;
	at = moment_parse(at, head->now_us, &moment);
	if (!at || (*at != ' ' && *at != '\0'))
		return NULL;
	set_date(head, &moment);
	return at;
}

/* "1795384800.123456 ": journalctl -o short-unix. */
static const char *take_seconds(struct head *head, const char *at)
{
	uint64_t us;

	if (head->has_date || head->header->has_kernel_us)
		return NULL;
	at = moment_parse_seconds(at, &us);
	if (!at || (*at != ' ' && *at != '\0'))
		return NULL;
	head->header->realtime_us = us;
	head->has_date = true;
	return at;
}

/* One word and the blank behind it. */
static const char *skip_word(const char *at)
{
	size_t length = strcspn(at, " ");

	return length > 0 && at[length] == ' ' ? at + length + 1 : NULL;
}

/* "[id name=\"value\"]", one after another, or "-". */
static const char *skip_structured_data(const char *at)
{
	bool quoted = false;

	if (*at == '-')
		return at + 1;
	if (*at != '[')
		return NULL;
	for (; *at; at++) {
		if (*at == '"')
			quoted = !quoted;
		else if (quoted && *at == '\\' && at[1])
			at++;
		else if (!quoted && *at == ']' && at[1] != '[')
			return at + 1;
	}
	return NULL;
}

/* RFC 5424: "1 2026-11-22T21:00:00Z host kernel - - - ", behind its priority or without one. */
static const char *take_rfc5424(struct head *head, const char *at)
{
	const char *program;

	if (head->has_date)
		return NULL;
	at = skip_text(at, "1 ");
	if (!at)
		return NULL;
	at = *at == '-' ? at + 1 : take_date(head, at);
	program = at && *at == ' ' ? skip_word(at + 1) : NULL;
	if (!program || (!skip_text(program, "kernel ") && !takes_anybodys(head)))
		return NULL;
	at = skip_word(program);
	for (int i = 0; at && i < 2; i++)
		at = skip_word(at);
	at = at ? skip_structured_data(at) : NULL;
	if (!at || *at != ' ')
		return NULL;
	head->has_host = head->has_program = true;
	return skip_text(at, " \xef\xbb\xbf") ? at + 4 : at;
}

/* "kernel:", or anybody's "ulogd[12]:" where that is wanted. */
static const char *take_program(struct head *head, const char *at)
{
	const char *end = skip_text(at, "kernel:");

	if (head->has_program)
		return NULL;
	if (!end && head->has_date && takes_anybodys(head)) {
		end = at + strcspn(at, " ");
		end = end > at && end[-1] == ':' ? end : NULL;
	}
	if (!end || (*end != ' ' && *end != '\0'))
		return NULL;
	head->has_program = true;
	return end;
}

/* A host, as far as what is behind it says that it is one. */
static const char *take_host(struct head *head, const char *at)
{
	const char *end = at + strcspn(at, " "), *next = skip_blanks(end);
	struct head rest = *head;

	if (head->has_host || head->has_program || end == at || end == next || end[-1] == ':' ||
	    (!head->has_date && !head->header->has_kernel_us))
		return NULL;
	if (!take_program(&rest, next) && !take_level(&rest, next) &&
	    !(head->has_date && (begins_message(head, end + 1) || begins_message(head, next))))
		return NULL;
	head->has_host = true;
	return end;
}

static const char *take_part(struct head *head, const char *at)
{
	static const char *(*const parts[])(struct head * head, const char *at) = {
		take_priority, take_kmsg,    take_level,   take_rfc5424, take_brackets,
		take_date,     take_seconds, take_program, take_host,
	};
	const struct head before = *head;
	const struct text_header header = *head->header;

	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
		const char *end = parts[i](head, at);

		if (end)
			return end;
		*head = before;
		*head->header = header;
	}
	return NULL;
}

const char *text_header_parse(const char *line, uint64_t now_us,
			      const struct text_messages *messages, struct text_header *ret)
{
	enum { N_PARTS_MAX = 12, N_BLANKS_MAX = 8 };
	struct head head = {.now_us = now_us, .messages = messages, .header = ret};
	const char *at = skip_text(line, "\xef\xbb\xbf"), *message, *end, *found = NULL;

	*ret = (struct text_header){0};
	message = at = head.line = at ? at : line;
	for (int n = 0; n < N_PARTS_MAX; n++) {
		for (int i = 0; i <= N_BLANKS_MAX; i++) {
			if (begins_message(&head, at))
				found = at;
			/* What anybody writes may begin in the head as well: the last one counts.
			 */
			if (found && !messages->anybody)
				break;
			if (*at != ' ' && *at != '\t')
				break;
			at++;
		}
		end = found && !messages->anybody ? NULL : take_part(&head, at);
		if (!end)
			break;
		message = end + (*end == ' ');
		at = end;
	}
	ret->understood = found != NULL;
	return found ? found : message;
}
