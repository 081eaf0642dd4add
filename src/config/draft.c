#include "config/draft.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/complaint.h"
#include "config/ini/ini.h"
#include "config/ini/values.h"
#include "config/key.h"
#include "config/parse/parse.h"
#include "config/text.h"
#include "core/other-log.h"
#include "util/cleanup.h"

DEFINE_CLEANUP(struct values *, values_free)

static const char *const places[] = {"[options]", "a [door NAME] section", "a [log NAME] section"};

/* What sections and keys about another log were called before. */
static const char old_log[] = "source";

enum { WHERE_MAX = sizeof("door ") + DOOR_NAME_MAX };

/* One section being read. */
struct section_draft {
	enum section_kind kind;
	struct ini_section *section;
	const char *where;
	void *object;		 /* struct config, door or other_log */
	const struct door *door; /* NULL if it is none */
	struct complaints *complaints;
};

/* The section that a key is of; N_SECTION_KINDS: of none. */
static enum section_kind find_owner(const char *key)
{
	enum section_kind kind = 0;

	while (kind < N_SECTION_KINDS && !key_find(kind, key))
		kind++;
	return kind;
}

static void complain_unknown(const struct section_draft *part, const struct ini_entry *entry)
{
	enum section_kind other = find_owner(entry->key);
	const struct config_key *guess = key_guess(part->kind, entry->key);
	char shown[TEXT_QUOTED_MAX];

	text_quote_name(entry->key, shown);
	if (part->kind == SECTION_DOOR && strcmp(entry->key, old_log) == 0)
		complain_error(part->complaints, entry->line,
			       "%s: unknown key %s: it is called log", part->where, shown);
	else if (other < N_SECTION_KINDS)
		complain_error(part->complaints, entry->line, "%s: %s belongs in %s", part->where,
			       entry->key, places[other]);
	else if (guess)
		complain_error(part->complaints, entry->line,
			       "%s: unknown key %s: did you mean %s?", part->where, shown,
			       guess->name);
	else
		complain_error(part->complaints, entry->line, "%s: unknown key %s", part->where,
			       shown);
}

static void drop_unknown(const struct section_draft *part)
{
	struct ini_section *section = part->section;

	for (size_t i = 0; i < section->n_entries;) {
		if (key_find(part->kind, section->entries[i].key)) {
			i++;
			continue;
		}
		complain_unknown(part, &section->entries[i]);
		ini_drop(section, i);
	}
}

static void complain_missing(const struct section_draft *part, const struct config_key *key)
{
	char list[CHOICES_TEXT_MAX];

	if (part->section->damaged)
		return;
	if (key->choices)
		complain_error(part->complaints, part->section->line, "%s: %s is missing: %s",
			       part->where, key->name, parse_list_choices(key->choices, list));
	else
		complain_error(part->complaints, part->section->line, "%s: %s is missing",
			       part->where, key->name);
}

static void complain_foreign(const struct section_draft *part, const struct config_key *key,
			     unsigned line)
{
	const char *owners[N_BACKENDS + 1] = {NULL};
	char list[CHOICES_TEXT_MAX];
	size_t n = 0;

	for (unsigned i = 0; i < N_BACKENDS; i++)
		if (key_backends(key) & 1U << i)
			owners[n++] = backend_names[i];
	complain_error(part->complaints, line, "%s: %s belongs to the backend %s, not to %s",
		       part->where, key->name, parse_list_choices(owners, list),
		       backend_names[part->door->opening.backend]);
}

/* Whether the row is this door's; if no row of the key is, but it is given, with a complaint. */
static bool key_belongs(const struct section_draft *part, const struct config_key *key,
			const struct ini_entry *entry)
{
	unsigned backends = key_backends(key);

	if (backends == 0)
		return true;
	/* Of an unknown backend: the text is judged nevertheless, if it can mean but one thing. */
	if (part->door->opening.backend == N_BACKENDS)
		return entry && backends == key->backends;
	if (key->backends & 1U << part->door->opening.backend)
		return true;
	if (entry && !(backends & 1U << part->door->opening.backend) &&
	    key_find(part->kind, key->name) == key)
		complain_foreign(part, key, entry->line);
	return false;
}

static int draft_read_key(const struct section_draft *part, const struct values *values,
			  const struct config_key *key)
{
	const struct ini_entry *entry = ini_find(part->section, key->name);
	const struct key_reading reading = {
		.key = key,
		.where = part->where,
		.line = entry ? entry->line : part->section->line,
		.complaints = part->complaints,
	};
	const char *text = entry ? values_get(values, key->name) : key->fallback;
	int r;

	if (!key_belongs(part, key, entry))
		return 0;
	if (!text) {
		if (key->required)
			complain_missing(part, key);
		return 0;
	}
	r = key->parse(&reading, text, (char *)part->object + key->offset);
	return r == -EBADMSG ? 0 : r;
}

static int draft_read_section(struct section_draft *part)
{
	struct values *values CLEANUP(cleanup_values_free) = NULL;
	int r;

	drop_unknown(part);
	r = values_new(part->section, part->complaints, &values);
	if (r < 0)
		return r == -EBADMSG ? 0 : r;
	for (const struct config_key *key = keys; key->name; key++) {
		if (key->section != part->kind)
			continue;
		r = draft_read_key(part, values, key);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The name in a section's "KIND NAME", or an empty one, with a complaint; and "KIND NAME". */
static void draft_read_name(enum section_kind kind, const struct ini_section *section,
			    struct complaints *complaints, char name[static DOOR_NAME_MAX + 1],
			    char where[static WHERE_MAX])
{
	static const char first[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	static const char others[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";
	const char *text = section->name + strlen(section_names[kind]);
	size_t length = strlen(text += strspn(text, " "));
	char quoted[TEXT_QUOTED_MAX];

	if (length == 0 || length > DOOR_NAME_MAX || !strchr(first, text[0]) ||
	    text[strspn(text, others)] != '\0') {
		complain_error(complaints, section->line,
			       "%s is not the name of a %s: 1 to %d of the characters a-z 0-9 _ "
			       "-, the first a letter or a digit",
			       text_quote(text, quoted), section_names[kind], DOOR_NAME_MAX);
		text = "";
		length = 0;
	}
	memcpy(name, text, length + 1);
	snprintf(where, WHERE_MAX, "%s%s%s", section_names[kind], *name ? " " : "", name);
}

static int draft_read_door(struct ini_section *section, struct complaints *complaints,
			   struct draft *draft)
{
	size_t n = draft->config->n_doors++;
	struct door *door = &draft->config->doors[n];
	size_t n_errors = complaints->n_errors;
	char where[WHERE_MAX];
	struct section_draft part = {SECTION_DOOR, section, where, door, door, complaints};
	int r;

	door->opening.backend = N_BACKENDS;
	draft_read_name(SECTION_DOOR, section, complaints, door->name, where);
	r = draft_read_section(&part);
	draft->doors[n].section = section;
	draft->doors[n].whole = complaints->n_errors == n_errors && !section->damaged;
	return r;
}

static int draft_read_options(struct ini_section *section, struct complaints *complaints,
			      struct draft *draft)
{
	const struct ini_entry *prefix = ini_find(section, "log_prefix");

	struct section_draft part = {
		SECTION_OPTIONS, section, section_names[SECTION_OPTIONS],
		draft->config,	 NULL,	  complaints,
	};

	draft->prefix_line = prefix ? prefix->line : section->line;
	return draft_read_section(&part);
}

/* Asks what is given, not what it is worth: bad values have had their complaint. */
static void check_log_form(const struct ini_section *section, const struct other_log *log,
			   struct complaints *complaints, const char *where)
{
	const struct ini_entry *pattern = ini_find(section, "pattern");

	if (section->damaged)
		return;
	if (log->form == LOG_FORM_KERNEL && pattern)
		complain_error(complaints, pattern->line,
			       "%s: pattern is for lines of another format than format = kernel",
			       where);
	if (log->form == LOG_FORM_PATTERN && !pattern)
		complain_error(complaints, section->line,
			       "%s: neither pattern nor format = kernel is given", where);
}

static int draft_read_log(struct ini_section *section, struct complaints *complaints,
			  struct draft *draft)
{
	size_t n = draft->config->n_logs++, n_errors = complaints->n_errors;
	struct other_log *log = &draft->config->logs[n];
	const struct ini_entry *pattern = ini_find(section, "pattern"),
			       *form = ini_find(section, "format");
	char where[WHERE_MAX];
	struct section_draft part = {SECTION_LOG, section, where, log, NULL, complaints};
	int r;

	if (n == OTHER_LOGS_MAX)
		complain_error(complaints, section->line, "there are more than %d [log] sections",
			       OTHER_LOGS_MAX);
	draft_read_name(SECTION_LOG, section, complaints, log->name, where);
	log->form = N_LOG_FORMS;
	log->line = pattern ? pattern->line : form ? form->line : section->line;
	r = draft_read_section(&part);
	if (r == 0)
		check_log_form(section, log, complaints, where);
	if (r == 0 && complaints->n_errors == n_errors && !section->damaged)
		other_log_seal(log);
	return r;
}

/* Whether it is [KIND] or [KIND NAME]. */
static bool section_is(const struct ini_section *section, const char *kind)
{
	size_t length = strlen(kind);

	return strncmp(section->name, kind, length) == 0 &&
	       (section->name[length] == ' ' || section->name[length] == '\0');
}

static void complain_section(const struct ini_section *section, struct complaints *complaints)
{
	char quoted[TEXT_QUOTED_MAX];

	text_quote(section->name, quoted);
	if (section_is(section, old_log))
		complain_error(complaints, section->line,
			       "unknown section %s: it is called [log NAME]", quoted);
	else
		complain_error(
			complaints, section->line,
			"unknown section %s: there are [options], [door NAME] and [log NAME]",
			quoted);
}

static int draft_read_sections(struct ini *ini, struct complaints *complaints, struct draft *draft)
{
	bool has_options = false, has_unknown = ini->damaged;

	for (size_t i = 0; i < ini->n_sections; i++) {
		struct ini_section *section = &ini->sections[i];
		int r = 0;

		if (section_is(section, section_names[SECTION_DOOR])) {
			r = draft_read_door(section, complaints, draft);
		} else if (section_is(section, section_names[SECTION_LOG])) {
			r = draft_read_log(section, complaints, draft);
		} else if (strcmp(section->name, section_names[SECTION_OPTIONS]) == 0) {
			has_options = true;
			r = draft_read_options(section, complaints, draft);
		} else {
			has_unknown = true;
			complain_section(section, complaints);
		}
		if (r < 0)
			return r;
	}
	if (!has_options && !has_unknown)
		complain_error(complaints, 0, "the section [options] is missing");
	if (draft->config->n_doors == 0 && !has_unknown)
		complain_error(complaints, 0,
			       "there is no door: add a [door NAME] section for each");
	return 0;
}

int draft_build(struct ini *ini, struct complaints *complaints, struct draft *ret)
{
	struct draft draft CLEANUP(draft_done) = {0};
	int r;

	draft.config = calloc(1, sizeof(*draft.config));
	draft.doors = calloc(ini->n_sections + 1, sizeof(*draft.doors));
	if (!draft.config || !draft.doors)
		return -ENOMEM;
	draft.config->doors = calloc(ini->n_sections + 1, sizeof(*draft.config->doors));
	draft.config->logs = calloc(ini->n_sections + 1, sizeof(*draft.config->logs));
	if (!draft.config->doors || !draft.config->logs)
		return -ENOMEM;
	r = draft_read_sections(ini, complaints, &draft);
	if (r < 0)
		return r;
	*ret = draft;
	draft = (struct draft){0};
	return 0;
}

void draft_done(struct draft *draft)
{
	draft->config = config_free(draft->config);
	free(draft->doors);
	draft->doors = NULL;
}
