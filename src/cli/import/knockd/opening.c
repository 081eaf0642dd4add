#include "cli/import/knockd/opening.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cli/import/knockd/command.h"
#include "cli/import/knockd/file.h"
#include "cli/import/knockd/iptables.h"
#include "cli/import/knockd/section.h"
#include "config/text.h"
#include "core/door.h"
#include "util/cleanup.h"
#include "util/sandbox.h"

/* What knockd takes for granted. */
enum { CMD_TIMEOUT_S = 10 };

/* What of it root can do and the daemon cannot. */
static void note_sandbox(const struct section_import *section, const struct knockd_entry *entry)
{
	struct sandbox_finding finding;

	if (sandbox_find_in_text(entry->value, &finding))
		NOTE(section, entry->line, "%s: %s %s", entry->key, finding.word, finding.why);
}

/* What the command means here, other than for knockd. */
static void note_command(const struct section_import *section, const struct knockd_entry *entry,
			 enum import_way way)
{
	if (way == IMPORT_MISSING)
		NOTE(section, entry->line,
		     "%s: its program is not on this machine: /bin/sh -c looks for it; where it is, "
		     "name it with its path instead",
		     entry->key);
	else if (way == IMPORT_SHELL)
		NOTE(section, entry->line,
		     "%s: needs a shell, which it gets as /bin/sh -c; the sandbox of the daemon "
		     "holds for it, too",
		     entry->key);
	else if (way == IMPORT_ABSOLUTE)
		NOTE(section, entry->line, "%s: the program is named with its path here",
		     entry->key);
	note_sandbox(section, entry);
}

static int put_command(struct section_import *section, const char *key,
		       const struct knockd_entry *entry, bool is_told)
{
	char *value CLEANUP(cleanup_free) = NULL;
	enum import_way way;
	int r = import_command(entry->value, &value, &way);

	if (r == -ENOTSUP) {
		section->door.left_out =
			"one of its commands has quotes of both kinds with ';' or '#': put "
			"it into a script";
		fprintf(section->door.body, "%s = %s\n", key, entry->value);
		return 0;
	}
	if (r < 0)
		return r;
	fprintf(section->door.body, "%s = %s\n", key, value);
	if (is_told)
		note_command(section, entry, way);
	return 0;
}

static bool is_given(const struct knockd_entry *entry)
{
	return entry && entry->value && *entry->value;
}

/* For IPv6, knockd falls back on the command for IPv4, unless the other is there and empty. */
static int put_family_6(struct section_import *section, const char *key,
			const struct knockd_entry *entry_6, const struct knockd_entry *entry)
{
	if (is_given(entry_6))
		return put_command(section, key, entry_6, true);
	if (entry_6 || !is_given(entry))
		return 0;
	if (iptables_is_ipv4(entry->value)) {
		NOTE(section, entry->line,
		     "%s: knockd would run it for IPv6, too, where iptables fails: %s is not set",
		     entry->key, key);
		return 0;
	}
	NOTE(section, entry->line, "%s: stands for %s, too, as for knockd", entry->key, key);
	return put_command(section, key, entry, false);
}

/* The other door that undoes what this one does, if there is one; its name in the result is not
 * known yet. */
static const struct knockd_section *find_undoing(const struct section_import *section,
						 const char *text, const char **ret_undo)
{
	const struct knockd_file *file = section->file;

	for (size_t i = 0; i < file->n_sections; i++) {
		const struct knockd_entry *entry =
			knockd_find_either(&file->sections[i], "start_command", "command");

		if (!is_given(entry) || !iptables_undoes(text, entry->value))
			continue;
		*ret_undo = entry->value;
		return &file->sections[i];
	}
	return NULL;
}

static void note_nothing_closes(struct section_import *section, const struct knockd_entry *start,
				const char *what)
{
	const struct knockd_section *other;
	char quoted[TEXT_QUOTED_MAX];
	const char *undo;

	NOTE(section, start->line,
	     "%s: has no stop_command, so that nothing closes the door%s by itself; timeout is how "
	     "long another knock does not run it again",
	     start->key, what);
	other = find_undoing(section, start->value, &undo);
	if (other)
		NOTE(section, other->line,
		     "section %s only undoes that: give this door its command as stop_command and "
		     "a timeout, and drop the other",
		     text_quote(other->name, quoted));
}

/* What could stand there instead, as a comment. */
static void offer_backend(struct section_import *section, const struct knockd_entry *start)
{
	struct iptables_rule rule;

	if (!is_given(start))
		return;
	if (!iptables_accepts(start->value, &rule)) {
		if (strstr(start->value, " DNAT"))
			NOTE(section, start->line,
			     "%s: stays a command: the key forward sends on who has knocked from "
			     "ports that are named to one address",
			     start->key);
		return;
	}
	fprintf(section->door.notes,
		"; Without commands, closed by the kernel itself%s: instead of the backend and\n"
		"; the commands below\n"
		";   backend = iptables\n"
		";   ports = %s\n",
		rule.forward[0] ? "" : ", for both families", rule.ports);
	if (rule.forward[0])
		fprintf(section->door.notes,
			";   forward = %s\n"
			"; (`knocktail rules iptables` writes the rules that it needs besides)\n",
			rule.forward);
	if (rule.interface[0])
		fprintf(section->door.notes, "; (on every interface, not only on %s)\n",
			rule.interface);
}

/* For whom it opens and closes, if it does not say so. */
static void note_everybody(struct section_import *section, const struct knockd_entry *start,
			   const struct knockd_entry *stop)
{
	if (is_given(start) && !strstr(start->value, "%IP%"))
		NOTE(section, start->line,
		     "%s does not say for whom (%%IP%%): it opens to everybody, and each source "
		     "that knocks runs it again",
		     start->key);
	else if (is_given(start) && is_given(stop) && !strstr(stop->value, "%IP%"))
		NOTE(section, stop->line,
		     "%s does not say for whom (%%IP%%): it closes for everybody", stop->key);
}

int section_put_opening(struct section_import *section)
{
	const struct knockd_entry *start =
		knockd_find_either(section->from, "start_command", "command");
	const struct knockd_entry *start_6 =
		knockd_find_either(section->from, "start_command_6", "command_6");
	const struct knockd_entry *stop = knockd_find_either(section->from, "stop_command", NULL);
	const struct knockd_entry *stop_6 =
		knockd_find_either(section->from, "stop_command_6", NULL);
	bool closes = is_given(stop) || is_given(stop_6);
	uint64_t seconds = 1;
	int r = 0;

	if (closes)
		seconds = section_seconds(section,
					  knockd_find_either(section->from, "cmd_timeout", NULL),
					  CMD_TIMEOUT_S, DOOR_TIMEOUT_MAX_S);
	if (is_given(start) && !is_given(stop))
		note_nothing_closes(section, start, closes ? " for IPv4" : "");
	note_everybody(section, start, stop);
	note_everybody(section, start_6, stop_6);
	offer_backend(section, start);
	fprintf(section->door.body, "timeout = %" PRIu64 "s\nbackend = command\n", seconds);
	if (is_given(start))
		r = put_command(section, "start_command", start, true);
	if (r == 0 && is_given(stop))
		r = put_command(section, "stop_command", stop, true);
	if (r == 0)
		r = put_family_6(section, "start_command_6", start_6, start);
	/* An empty start_command_6 leaves nothing to undo. */
	if (r == 0 && (is_given(start_6) || !start_6))
		r = put_family_6(section, "stop_command_6", stop_6, stop);
	return r;
}
