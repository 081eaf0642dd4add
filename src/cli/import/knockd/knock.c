#include "cli/import/knockd/knock.h"

#include <ctype.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "cli/import/knockd/file.h"
#include "cli/import/knockd/section.h"
#include "core/sequence.h"

/* What knockd takes for granted, and what knocktail allows: 1h. */
enum { SEQ_TIMEOUT_S = 25, SEQ_TIMEOUT_MAX_S = 3600 };

static bool text_is_word(const char *text, size_t length, const char *word)
{
	while (length > 0 && isspace((unsigned char)*text)) {
		text++;
		length--;
	}
	while (length > 0 && isspace((unsigned char)text[length - 1]))
		length--;
	return length == strlen(word) && strncasecmp(text, word, length) == 0;
}

/* Reads one step as knockd does: a number with anything behind it, which counts for nothing, then
 * maybe a colon and the protocol. False: it is none. */
static bool read_step(const char *text, size_t length, struct step *ret, bool *ret_more)
{
	const char *end = text + length, *colon = memchr(text, ':', length);
	const char *number_end = colon ? colon : end, *protocol = colon ? colon + 1 : end;
	const char *second = memchr(protocol, ':', (size_t)(end - protocol));
	size_t protocol_length = (size_t)((second ? second : end) - protocol);
	bool is_udp = text_is_word(protocol, protocol_length, "udp");
	uint32_t port = 0;

	while (text < number_end && isspace((unsigned char)*text))
		text++;
	text += text < number_end && *text == '+';
	for (; text < number_end && isdigit((unsigned char)*text) && port <= UINT16_MAX; text++)
		port = port * 10 + (uint32_t)(*text - '0');
	if (port < 1 || port > UINT16_MAX ||
	    (colon && !is_udp && !text_is_word(protocol, protocol_length, "tcp")))
		return false;
	*ret = (struct step){(uint16_t)port, is_udp ? IPPROTO_UDP : IPPROTO_TCP};
	*ret_more = second || !text_is_word(text, (size_t)(number_end - text), "");
	return true;
}

static bool put_step(struct section_import *section, const struct knockd_entry *entry, unsigned n,
		     const char *text, size_t length, struct step *ret)
{
	bool more;

	if (!read_step(text, length, ret, &more)) {
		fputs("???", section->door.body);
		section->door.left_out =
			"a step of its sequence is not a port from 1 to 65535 with :tcp or :udp";
		return false;
	}
	fprintf(section->door.body, "%u%s", ret->port, ret->protocol == IPPROTO_UDP ? "/udp" : "");
	if (more)
		NOTE(section, entry->line,
		     "%s: what is behind the number of step %u counts for nothing, as for knockd, "
		     "where udp needs a colon",
		     entry->key, n);
	return true;
}

/* Of TCP only the step right before counts: a client takes another source port for each connection,
 * but may send datagrams from one socket. */
static void note_repeated(struct section_import *section, const struct knockd_entry *entry,
			  const struct step *steps, unsigned n)
{
	const struct step *step = &steps[n - 1];

	for (unsigned i = n - 1; i > 0; i--) {
		const struct step *other = &steps[i - 1];

		if (other->port != step->port || other->protocol != step->protocol ||
		    (step->protocol == IPPROTO_TCP && i < n - 1))
			continue;
		NOTE(section, entry->line,
		     "%s: step %u is the port of step %u again, which wants another source port "
		     "here: what comes from the same one counts as sent again, and not as a step",
		     entry->key, n, i);
		return;
	}
}

static void put_sequence(struct section_import *section, const struct knockd_entry *entry)
{
	struct step steps[SEQUENCE_STEPS_MAX];
	const char *text = entry->value ? entry->value : "";

	fputs("sequence = ", section->door.body);
	for (unsigned n = 1;; n++) {
		struct step *step = &steps[n <= SEQUENCE_STEPS_MAX ? n - 1 : 0];
		size_t length = strcspn(text, ",");

		if (n > 1)
			fputs(", ", section->door.body);
		*step = (struct step){0};
		if (put_step(section, entry, n, text, length, step) && n <= SEQUENCE_STEPS_MAX)
			note_repeated(section, entry, steps, n);
		if (text[length] == '\0')
			break;
		text += length + 1;
	}
	fputc('\n', section->door.body);
}

static void put_one_time(struct section_import *section, const struct knockd_entry *entry)
{
	fprintf(section->door.body, "one_time_sequences = %s\n", entry->value ? entry->value : "");
	NOTE(section, entry->line,
	     "one_time_sequences: the daemon's user must own the file and be able to write to its "
	     "directory: move it to /var/lib/knocktail");
}

/* Whichever of the two stands last, as for knockd. */
static void put_times(struct section_import *section)
{
	const struct knockd_entry *entry =
		knockd_find_either(section->from, "sequence", "one_time_sequences");
	uint64_t seconds;

	if (!entry)
		section->door.left_out = "it has no sequence";
	else if (strcmp(entry->key, "sequence") == 0)
		put_sequence(section, entry);
	else
		put_one_time(section, entry);
	seconds = section_seconds(section,
				  knockd_find_either(section->from, "seq_timeout", "timeout"),
				  SEQ_TIMEOUT_S, SEQ_TIMEOUT_MAX_S);
	fprintf(section->door.body, "seq_timeout = %" PRIu64 "s\n", seconds);
}

static void put_flags(struct section_import *section)
{
	const struct knockd_entry *entry = knockd_find_either(section->from, "tcpflags", NULL);

	if (!entry || !entry->value || !*entry->value) {
		NOTE(section, section->from->line,
		     "no tcpflags: for knockd any TCP packet counts, here a SYN without ACK");
		return;
	}
	fputs("tcpflags = ", section->door.body);
	for (const char *c = entry->value; *c; c++)
		fputc(isascii(*c) ? tolower(*c) : *c, section->door.body);
	fputc('\n', section->door.body);
	if (strcasecmp(entry->value, "syn") != 0 && strcasecmp(entry->value, "syn,!ack") != 0)
		NOTE(section, entry->line,
		     "tcpflags: the LOG rules must log such packets; `knocktail rules` writes "
		     "rules that do");
}

void section_put_knock(struct section_import *section)
{
	const struct knockd_entry *entry = knockd_find_either(section->from, "target", NULL);

	put_times(section);
	put_flags(section);
	if (section->interface)
		fprintf(section->door.body, "interface = %s\n", section->interface);
	if (entry)
		fprintf(section->door.body, "target = %s\n", entry->value ? entry->value : "");
}
