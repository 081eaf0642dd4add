#include "cli/import/door.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/import/command.h"
#include "cli/import/knockd.h"
#include "config/config.h"
#include "config/load.h"
#include "config/text.h"
#include "core/door.h"
#include "core/sequence.h"
#include "util/cleanup.h"

#define PREFIX "[knock] "

/* What knockd takes for granted. */
enum { KNOCKD_SEQ_TIMEOUT_S = 25, KNOCKD_CMD_TIMEOUT_S = 10 };

/* What knocktail allows for a knock: 1h. */
enum { SEQ_TIMEOUT_MAX_S = 3600 };

enum { NAME_ROOM = DOOR_NAME_MAX + 1 };

struct import {
	const char *path;
	const struct knockd_file *file;
	const char *interface; /* or NULL */
	FILE *out, *told;
	char (*names)[NAME_ROOM]; /* of the doors so far */
	size_t n_names;
};

/* One door on its way. */
struct door_import {
	struct import *import;
	const struct knockd_section *from;
	FILE *notes, *body;
	const char *left_out; /* why it cannot be carried over; NULL: it can */
};

/* Says something about a line, to whoever watches and to whoever reads the result. */
__attribute__((format(printf, 4, 5))) static void
import_note(const struct import *import, FILE *notes, unsigned line, const char *format, ...)
{
	char *text CLEANUP(cleanup_free) = NULL;
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	va_end(arguments);
	if (!text)
		return;
	if (line > 0) {
		fprintf(import->told, "%s:%u: note: %s\n", import->path, line, text);
		fprintf(notes, "; line %u: %s\n", line, text);
	} else {
		fprintf(import->told, "%s: note: %s\n", import->path, text);
		fprintf(notes, "; %s\n", text);
	}
}

#define NOTE(door, line, ...) import_note((door)->import, (door)->notes, line, __VA_ARGS__)

/* Of two names for one directive, the one that stands last: it is what counts for knockd. */
static const struct knockd_entry *door_import_find(const struct door_import *door, const char *name,
						   const char *alias)
{
	const struct knockd_entry *entry = knockd_find(door->from, name);
	const struct knockd_entry *other = alias ? knockd_find(door->from, alias) : NULL;

	if (entry && other)
		return entry > other ? entry : other;
	return entry ? entry : other;
}

/* As atoi() has it, which is what knockd asks. */
static uint64_t door_import_seconds(const struct door_import *door,
				    const struct knockd_entry *entry, uint64_t fallback,
				    uint64_t max)
{
	uint64_t seconds = 0;
	const char *text;

	if (!entry || !entry->value)
		return fallback;
	for (text = entry->value; isascii(*text) && isdigit(*text) && seconds <= UINT32_MAX; text++)
		seconds = seconds * 10 + (uint64_t)(*text - '0');
	if (*text != '\0' || seconds < 1 || seconds > max) {
		seconds = seconds < 1 ? 1 : seconds > max ? max : seconds;
		NOTE(door, entry->line, "%s: taken for %" PRIu64 " seconds", entry->key, seconds);
	}
	return seconds;
}

static bool door_import_is_word(const char *text, size_t length, const char *word)
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
	bool is_udp = door_import_is_word(protocol, protocol_length, "udp");
	uint32_t port = 0;

	while (text < number_end && isspace((unsigned char)*text))
		text++;
	text += text < number_end && *text == '+';
	for (; text < number_end && isdigit((unsigned char)*text) && port <= UINT16_MAX; text++)
		port = port * 10 + (uint32_t)(*text - '0');
	if (port < 1 || port > UINT16_MAX ||
	    (colon && !is_udp && !door_import_is_word(protocol, protocol_length, "tcp")))
		return false;
	*ret = (struct step){(uint16_t)port, is_udp ? IPPROTO_UDP : IPPROTO_TCP};
	*ret_more = second || !door_import_is_word(text, (size_t)(number_end - text), "");
	return true;
}

static void put_step(struct door_import *door, const struct knockd_entry *entry, unsigned n,
		     const char *text, size_t length)
{
	struct step step;
	bool more;

	if (!read_step(text, length, &step, &more)) {
		fputs("???", door->body);
		door->left_out = "a step of its sequence is not a port from 1 to 65535 with :tcp "
				 "or :udp";
		return;
	}
	fprintf(door->body, "%u%s", step.port, step.protocol == IPPROTO_UDP ? "/udp" : "");
	if (more)
		NOTE(door, entry->line,
		     "%s: what is behind the number of step %u counts for nothing, as for knockd, "
		     "where udp needs a colon",
		     entry->key, n);
}

static void put_sequence(struct door_import *door, const struct knockd_entry *entry)
{
	const char *text = entry->value ? entry->value : "";

	fputs("sequence = ", door->body);
	for (unsigned n = 1;; n++) {
		size_t length = strcspn(text, ",");

		if (n > 1)
			fputs(", ", door->body);
		put_step(door, entry, n, text, length);
		if (text[length] == '\0')
			break;
		text += length + 1;
	}
	fputc('\n', door->body);
}

static void put_one_time(struct door_import *door, const struct knockd_entry *entry)
{
	fprintf(door->body, "one_time_sequences = %s\n", entry->value ? entry->value : "");
	NOTE(door, entry->line,
	     "one_time_sequences: the daemon's user must own the file and be able to write to its "
	     "directory: move it to /var/lib/knocktail");
}

/* Whichever of the two stands last, as for knockd. */
static void door_import_put_knock(struct door_import *door)
{
	const struct knockd_entry *entry = door_import_find(door, "sequence", "one_time_sequences");
	uint64_t seconds;

	if (!entry)
		door->left_out = "it has no sequence";
	else if (strcmp(entry->key, "sequence") == 0)
		put_sequence(door, entry);
	else
		put_one_time(door, entry);
	seconds = door_import_seconds(door, door_import_find(door, "seq_timeout", "timeout"),
				      KNOCKD_SEQ_TIMEOUT_S, SEQ_TIMEOUT_MAX_S);
	fprintf(door->body, "seq_timeout = %" PRIu64 "s\n", seconds);
}

static void door_import_put_flags(struct door_import *door)
{
	const struct knockd_entry *entry = door_import_find(door, "tcpflags", NULL);

	if (!entry || !entry->value || !*entry->value) {
		NOTE(door, door->from->line,
		     "no tcpflags: for knockd any TCP packet counts, here a SYN without ACK");
		return;
	}
	fputs("tcpflags = ", door->body);
	for (const char *c = entry->value; *c; c++)
		fputc(isascii(*c) ? tolower(*c) : *c, door->body);
	fputc('\n', door->body);
	if (strcasecmp(entry->value, "syn") != 0 && strcasecmp(entry->value, "syn,!ack") != 0)
		NOTE(door, entry->line,
		     "tcpflags: the LOG rules must log such packets; `knocktail rules` writes "
		     "rules that do");
}

static void put_filter(struct door_import *door)
{
	const struct knockd_entry *entry = door_import_find(door, "target", NULL);

	door_import_put_flags(door);
	if (door->import->interface)
		fprintf(door->body, "interface = %s\n", door->import->interface);
	if (entry)
		fprintf(door->body, "target = %s\n", entry->value ? entry->value : "");
}

/* What the command means here, other than for knockd. */
static void note_command(const struct door_import *door, const struct knockd_entry *entry,
			 const char *value, enum import_way way)
{
	if (way == IMPORT_SHELL)
		NOTE(door, entry->line,
		     "%s: needs a shell, which it gets as /bin/sh -c; the sandbox of the daemon "
		     "holds for it, too",
		     entry->key);
	else if (way == IMPORT_ABSOLUTE)
		NOTE(door, entry->line, "%s: the program is named with its path here", entry->key);
	if (strstr(value, "/ufw "))
		NOTE(door, entry->line,
		     "%s: ufw insists on being root, which the daemon is not: use an ipset, as "
		     "`knocktail rules ufw` has it",
		     entry->key);
}

static int put_command(struct door_import *door, const char *key, const struct knockd_entry *entry,
		       bool is_told)
{
	char *value CLEANUP(cleanup_free) = NULL;
	enum import_way way;
	int r = import_command(entry->value, &value, &way);

	if (r == -ENOTSUP) {
		door->left_out =
			"one of its commands has quotes of both kinds with ';' or '#': put "
			"it into a script";
		fprintf(door->body, "%s = %s\n", key, entry->value);
		return 0;
	}
	if (r < 0)
		return r;
	fprintf(door->body, "%s = %s\n", key, value);
	if (is_told)
		note_command(door, entry, value, way);
	return 0;
}

static bool is_given(const struct knockd_entry *entry)
{
	return entry && entry->value && *entry->value;
}

/* For IPv6, knockd falls back on the command for IPv4, unless the other is there and empty. */
static int put_family_6(struct door_import *door, const char *key,
			const struct knockd_entry *entry_6, const struct knockd_entry *entry)
{
	if (is_given(entry_6))
		return put_command(door, key, entry_6, true);
	if (entry_6 || !is_given(entry))
		return 0;
	if (import_is_ipv4(entry->value)) {
		NOTE(door, entry->line,
		     "%s: knockd would run it for IPv6, too, where iptables fails: %s is not set",
		     entry->key, key);
		return 0;
	}
	NOTE(door, entry->line, "%s: stands for %s, too, as for knockd", entry->key, key);
	return put_command(door, key, entry, false);
}

/* The other door that undoes what this one does, if there is one; its name in the result is not
 * known yet. */
static const struct knockd_section *find_undoing(const struct door_import *door, const char *text,
						 const char **ret_undo)
{
	const struct knockd_file *file = door->import->file;

	for (size_t i = 0; i < file->n_sections; i++) {
		struct door_import other = {.from = &file->sections[i]};
		const struct knockd_entry *entry =
			door_import_find(&other, "start_command", "command");

		if (!is_given(entry) || !import_undoes(text, entry->value))
			continue;
		*ret_undo = entry->value;
		return &file->sections[i];
	}
	return NULL;
}

static void note_nothing_closes(struct door_import *door, const struct knockd_entry *start)
{
	const struct knockd_section *other;
	char quoted[TEXT_QUOTED_MAX];
	const char *undo;

	NOTE(door, start->line,
	     "%s: has no stop_command, so that nothing closes the door by itself; timeout is how "
	     "long another knock does not run it again",
	     start->key);
	other = find_undoing(door, start->value, &undo);
	if (other)
		NOTE(door, other->line,
		     "section %s only undoes that: give this door its command as stop_command and "
		     "a timeout, and drop the other",
		     text_quote(other->name, quoted));
}

/* What could stand there instead, as a comment. */
static void offer_backend(struct door_import *door, const struct knockd_entry *start)
{
	struct step port;

	if (!is_given(start) || !import_accepts(start->value, &port))
		return;
	fprintf(door->notes,
		"; Without commands, closed by the kernel itself, for both families: instead of "
		"the backend and\n"
		"; the commands below\n"
		";   backend = iptables\n"
		";   ports = %u/%s\n",
		port.port, port.protocol == IPPROTO_UDP ? "udp" : "tcp");
}

static int put_commands(struct door_import *door)
{
	const struct knockd_entry *start = door_import_find(door, "start_command", "command");
	const struct knockd_entry *start_6 = door_import_find(door, "start_command_6", "command_6");
	const struct knockd_entry *stop = door_import_find(door, "stop_command", NULL);
	const struct knockd_entry *stop_6 = door_import_find(door, "stop_command_6", NULL);
	bool closes = is_given(stop) || is_given(stop_6);
	uint64_t seconds = 1;
	int r = 0;

	if (closes)
		seconds = door_import_seconds(door, door_import_find(door, "cmd_timeout", NULL),
					      KNOCKD_CMD_TIMEOUT_S, DOOR_TIMEOUT_MAX_S);
	else if (is_given(start))
		note_nothing_closes(door, start);
	offer_backend(door, start);
	fprintf(door->body, "timeout = %" PRIu64 "s\nbackend = command\n", seconds);
	if (is_given(start))
		r = put_command(door, "start_command", start, true);
	if (r == 0 && is_given(stop))
		r = put_command(door, "stop_command", stop, true);
	if (r == 0)
		r = put_family_6(door, "start_command_6", start_6, start);
	/* An empty start_command_6 leaves nothing to undo. */
	if (r == 0 && (is_given(start_6) || !start_6))
		r = put_family_6(door, "stop_command_6", stop_6, stop);
	return r;
}

static void note_foreign_keys(struct door_import *door)
{
	static const char *const known[] = {
		"sequence",	   "one_time_sequences",
		"seq_timeout",	   "timeout",
		"tcpflags",	   "target",
		"start_command",   "command",
		"start_command_6", "command_6",
		"cmd_timeout",	   "stop_command",
		"stop_command_6",
	};
	char quoted[TEXT_QUOTED_MAX];

	for (size_t i = 0; i < door->from->n_entries; i++) {
		const struct knockd_entry *entry = &door->from->entries[i];
		bool is_known = false;

		for (size_t j = 0; j < sizeof known / sizeof known[0]; j++)
			is_known = is_known || strcmp(entry->key, known[j]) == 0;
		if (!is_known)
			NOTE(door, entry->line, "%s: not a knockd directive; skipped",
			     text_quote_name(entry->key, quoted));
		else if (knockd_find(door->from, entry->key) != entry)
			NOTE(door, entry->line, "%s: only the last one counts, as for knockd",
			     entry->key);
	}
}

/* A name that knocktail takes and that no other door has. */
static void make_name(struct door_import *door, char name[static NAME_ROOM])
{
	struct import *import = door->import;
	char base[NAME_ROOM] = "", quoted[TEXT_QUOTED_MAX];
	const char *from = door->from->name;
	size_t length = 0;

	if (!isascii(*from) || !isalnum(*from))
		length = (size_t)snprintf(base, sizeof base, "door");
	for (; *from && length < DOOR_NAME_MAX; from++)
		base[length++] = isascii(*from) && (isalnum(*from) || *from == '_')
					 ? (char)tolower(*from)
					 : '-';
	base[length] = '\0';
	memcpy(name, base, sizeof base);
	for (unsigned i = 0, n = 2; i < import->n_names; i++) {
		if (strcmp(import->names[i], name) != 0)
			continue;
		snprintf(name, NAME_ROOM, "%.*s-%u", DOOR_NAME_MAX - 8, base, n++);
		i = (unsigned)-1; /* from the first again */
	}
	memcpy(import->names[import->n_names++], name, NAME_ROOM);
	if (strcasecmp(name, door->from->name) != 0)
		NOTE(door, door->from->line, "the section %s is the door %s here",
		     text_quote(door->from->name, quoted), name);
}

/* What `knocktail check` would have against the door alone, to be freed; NULL: nothing. */
static int find_fault(const char *body, char **ret_fault)
{
	char *text CLEANUP(cleanup_free) = NULL;
	struct complaints complaints = {0};
	struct config *config = NULL;
	int r = asprintf(&text, "[options]\nlog_prefix = \"" PREFIX "\"\n%s", body);

	*ret_fault = NULL;
	if (r < 0) {
		text = NULL;
		return -ENOMEM;
	}
	r = config_load_bytes(text, (size_t)r, NULL, &config, &complaints);
	for (size_t i = 0; r == -EBADMSG && !*ret_fault && i < complaints.n_items; i++)
		if (!complaints.items[i].warning)
			*ret_fault = strdup(complaints.items[i].text);
	if (r == -EBADMSG)
		r = *ret_fault ? 0 : -ENOMEM;
	complaints_done(&complaints);
	config_free(config);
	return r;
}

static void put_as_comment(FILE *out, const char *body)
{
	while (*body) {
		size_t length = strcspn(body, "\n");

		fputs("; ", out);
		for (size_t i = 0; i < length; i++)
			fputc(isascii(body[i]) && isprint(body[i]) ? body[i] : '?', out);
		fputc('\n', out);
		body += length + (body[length] == '\n');
	}
}

static int door_import_translate(struct door_import *door)
{
	char name[NAME_ROOM];

	make_name(door, name);
	note_foreign_keys(door);
	fprintf(door->body, "[door %s]\n", name);
	door_import_put_knock(door);
	put_filter(door);
	return put_commands(door);
}

static int door_import_finish(struct door_import *door, const char *body, char **notes,
			      struct import_result *result)
{
	struct import *import = door->import;
	char *fault CLEANUP(cleanup_free) = NULL;
	int r = find_fault(body, &fault);

	if (r < 0)
		return r;
	if (door->left_out || fault) {
		NOTE(door, door->from->line, "LEFT OUT: %s",
		     door->left_out ? door->left_out : fault);
		fflush(door->notes);
		result->n_left_out++;
		fprintf(import->out, "\n%s", *notes);
		put_as_comment(import->out, body);
		return 0;
	}
	result->n_doors++;
	fprintf(import->out, "\n%s%s", *notes, body);
	return 0;
}

static int import_door(struct import *import, const struct knockd_section *section,
		       struct import_result *result)
{
	char *notes CLEANUP(cleanup_free) = NULL, *body CLEANUP(cleanup_free) = NULL;
	struct door_import door = {.import = import, .from = section};
	size_t notes_size, body_size;
	int r = -ENOMEM;

	door.notes = open_memstream(&notes, &notes_size);
	door.body = open_memstream(&body, &body_size);
	if (door.notes && door.body) {
		r = door_import_translate(&door);
		if (r == 0 && (fflush(door.notes) != 0 || fflush(door.body) != 0))
			r = -ENOMEM;
		if (r == 0)
			r = door_import_finish(&door, body, &notes, result);
	}
	if (door.notes)
		fclose(door.notes);
	if (door.body)
		fclose(door.body);
	return r;
}

static void import_options(struct import *import)
{
	static const struct {
		const char *key, *text;
	} directives[] = {
		{"usesyslog", "the daemon always writes to the journal"},
		{"logfile", "the daemon writes to the journal, not to a file"},
		{"pidfile", "there is none: systemd knows the daemon's process"},
		{"interface", "becomes the key interface of each door"},
	};

	for (size_t i = 0; i < import->file->n_sections; i++) {
		const struct knockd_section *section = &import->file->sections[i];

		if (strcmp(section->name, "options") != 0)
			continue;
		for (size_t j = 0; j < section->n_entries; j++) {
			const struct knockd_entry *entry = &section->entries[j];
			const char *text = "not a knockd option; skipped";
			char quoted[TEXT_QUOTED_MAX];

			for (size_t k = 0; k < sizeof directives / sizeof directives[0]; k++)
				if (strcmp(entry->key, directives[k].key) == 0)
					text = directives[k].text;
			if (strcmp(entry->key, "interface") == 0 && !import->interface)
				import->interface = entry->value;
			import_note(import, import->out, entry->line, "%s: %s",
				    text_quote_name(entry->key, quoted), text);
		}
	}
}

static void put_head(struct import *import)
{
	fprintf(import->out,
		"; Made by `knocktail import` from a knockd file. Each \"line\" below is one "
		"of that file.\n;\n");
	import_note(
		import, import->out, 0,
		"strict: any other port that the firewall logs from the same source breaks a knock "
		"here; knockd ignores ports that are in none of its sequences");
	import_note(
		import, import->out, 0,
		"renewal: a knock while the door is open runs no command, it moves the time of the "
		"stop_command");
	import_note(
		import, import->out, 0,
		"rights: commands run as the daemon's user with CAP_NET_ADMIN, not as root, and for "
		"10 seconds at most");
	import_note(
		import, import->out, 0,
		"logging: the firewall must log what it drops with the log_prefix below; `knocktail "
		"rules` writes such rules");
	import_options(import);
	fputs("\n[options]\nlog_prefix = \"" PREFIX "\"\n", import->out);
}

int import_doors(const char *path, const struct knockd_file *file, FILE *out, FILE *told,
		 struct import_result *ret)
{
	struct import import = {.path = path, .file = file, .out = out, .told = told};
	int r = 0;

	*ret = (struct import_result){0};
	import.names = calloc(file->n_sections + 1, sizeof import.names[0]);
	if (!import.names)
		return -ENOMEM;
	put_head(&import);
	for (size_t i = 0; r == 0 && i < file->n_sections; i++)
		if (strcmp(file->sections[i].name, "options") != 0)
			r = import_door(&import, &file->sections[i], ret);
	free(import.names);
	return r;
}
