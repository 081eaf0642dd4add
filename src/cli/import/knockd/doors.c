#include "cli/import/knockd/doors.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "cli/import/knockd/defaults.h"
#include "cli/import/knockd/file.h"
#include "cli/import/knockd/knock.h"
#include "cli/import/knockd/opening.h"
#include "cli/import/knockd/section.h"
#include "cli/import/result.h"
#include "config/text.h"

static void note_foreign_keys(struct section_import *section)
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

	for (size_t i = 0; i < section->from->n_entries; i++) {
		const struct knockd_entry *entry = &section->from->entries[i];
		bool is_known = false;

		for (size_t j = 0; j < sizeof known / sizeof known[0]; j++)
			is_known = is_known || strcmp(entry->key, known[j]) == 0;
		if (!is_known)
			NOTE(section, entry->line, "%s: not a knockd directive; skipped",
			     text_quote_name(entry->key, quoted));
		else if (knockd_find(section->from, entry->key) != entry)
			NOTE(section, entry->line, "%s: only the last one counts, as for knockd",
			     entry->key);
	}
}

static int section_translate(struct section_import *section)
{
	int r = import_door_name(&section->door, section->from->name);

	if (r < 0)
		return r;
	note_foreign_keys(section);
	section_put_knock(section);
	return section_put_opening(section);
}

static int import_section(struct section_import *section, struct import_result *result)
{
	int r = import_door_init(&section->door, result, section->from->line);

	if (r == 0)
		r = section_translate(section);
	if (r == 0)
		r = import_door_finish(&section->door, "");
	import_door_done(&section->door);
	return r;
}

static void note_option(const struct import_result *result, const struct knockd_entry *entry)
{
	static const struct {
		const char *key, *text;
	} directives[] = {
		{"usesyslog", "the daemon always writes to the journal"},
		{"logfile", "the daemon writes to the journal, not to a file"},
		{"pidfile", "there is none: systemd knows the daemon's process"},
		{"interface", "becomes the key interface of each door"},
	};
	const char *text = "not a knockd option; skipped";
	char quoted[TEXT_QUOTED_MAX];

	for (size_t i = 0; i < sizeof directives / sizeof directives[0]; i++)
		if (strcmp(entry->key, directives[i].key) == 0)
			text = directives[i].text;
	import_note(result, result->out, NULL, entry->line, "%s: %s",
		    text_quote_name(entry->key, quoted), text);
}

/* Returns the interface of all doors, or NULL. */
static const char *import_options(const struct knockd_file *file,
				  const struct knockd_defaults *defaults,
				  const struct import_result *result)
{
	const char *interface = NULL;

	for (size_t i = 0; i < file->n_sections; i++) {
		const struct knockd_section *section = &file->sections[i];

		if (strcmp(section->name, "options") != 0)
			continue;
		for (size_t j = 0; j < section->n_entries; j++) {
			const struct knockd_entry *entry = &section->entries[j];

			note_option(result, entry);
			if (strcmp(entry->key, "interface") == 0 && !interface)
				interface = entry->value;
		}
	}
	if (!defaults || !defaults->interface[0])
		return interface;
	import_note(result, result->out, defaults->path, defaults->line,
		    "-i: becomes the key interface of each door%s",
		    interface ? ", and not the one in the file, as for knockd" : "");
	return defaults->interface;
}

static const char *put_head(const struct knockd_file *file, const struct knockd_defaults *defaults,
			    const struct import_result *result)
{
	static const char *const differences[] = {
		"strict: any other port that the firewall logs from the same source breaks a knock "
		"here; knockd ignores ports that are in none of its sequences",
		"renewal: a knock while the door is open runs no command, it moves the time of the "
		"stop_command",
		"rights: commands run as the daemon's user with CAP_NET_ADMIN, not as root, and for "
		"10 seconds at most",
		"logging: the firewall must log what it drops with the log_prefix below; `knocktail "
		"rules` writes such rules",
	};
	const char *interface;

	import_put_head(result, "a knockd file");
	for (size_t i = 0; i < sizeof differences / sizeof differences[0]; i++)
		import_note(result, result->out, NULL, 0, "%s", differences[i]);
	interface = import_options(file, defaults, result);
	fputs("\n[options]\nlog_prefix = \"" IMPORT_LOG_PREFIX "\"\n", result->out);
	return interface;
}

int knockd_import(const struct knockd_file *file, const struct knockd_defaults *defaults,
		  struct import_result *result)
{
	const char *interface = put_head(file, defaults, result);
	int r = 0;

	for (size_t i = 0; r == 0 && i < file->n_sections; i++) {
		struct section_import section = {
			.file = file, .from = &file->sections[i], .interface = interface};

		if (strcmp(section.from->name, "options") != 0)
			r = import_section(&section, result);
	}
	return r;
}
