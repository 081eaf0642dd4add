#include "cli/import/result.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/common/memory.h"
#include "config/config.h"
#include "config/load.h"
#include "config/text.h"
#include "util/cleanup.h"
#include "util/text/stream.h"

void import_result_done(struct import_result *result)
{
	free(result->names);
	result->names = NULL;
}

/* `path` is NULL for the file that is imported. */
static void put_note(const struct import_result *result, FILE *notes, const char *path,
		     unsigned line, const char *text)
{
	fputs(path ? path : result->path, result->told);
	if (line > 0)
		fprintf(result->told, ":%u", line);
	fprintf(result->told, ": note: %s\n", text);
	fprintf(notes, "%c ", result->comment ? result->comment : ';');
	if (path)
		fprintf(notes, "%s ", path);
	if (line > 0)
		fprintf(notes, "line %u: ", line);
	fprintf(notes, "%s\n", text);
}

void import_note(const struct import_result *result, FILE *notes, const char *path, unsigned line,
		 const char *format, ...)
{
	char *text CLEANUP(cleanup_free) = NULL;
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		memory_out();
	va_end(arguments);
	put_note(result, notes, path, line, text);
}

void import_put_head(const struct import_result *result, const char *kind)
{
	char comment = result->comment ? result->comment : ';';

	fprintf(result->out,
		"%c Made by `knocktail import` from %s. Each \"line\" below is one of that file.\n"
		"%c\n",
		comment, kind, comment);
}

int import_door_init(struct import_door *door, struct import_result *result, unsigned line)
{
	*door = (struct import_door){.result = result, .line = line};
	door->notes = text_stream_open(&door->notes_text, NULL);
	door->body = text_stream_open(&door->body_text, NULL);
	return door->notes && door->body ? 0 : -ENOMEM;
}

void import_door_done(struct import_door *door)
{
	if (door->notes)
		fclose(door->notes);
	if (door->body)
		fclose(door->body);
	free(door->notes_text);
	free(door->body_text);
	*door = (struct import_door){0};
}

static bool result_has_name(const struct import_result *result, const char *name)
{
	for (size_t i = 0; i < result->n_names; i++)
		if (strcmp(result->names[i], name) == 0)
			return true;
	return false;
}

int import_door_name(struct import_door *door, const char *from)
{
	struct import_result *result = door->result;
	char(*names)[IMPORT_NAME_ROOM] =
		reallocarray(result->names, result->n_names + 1, sizeof names[0]);
	char base[IMPORT_NAME_ROOM] = "", quoted[TEXT_QUOTED_MAX];
	const char *at = from;
	size_t length = 0;
	char *name;

	if (!names)
		return -ENOMEM;
	result->names = names;
	name = names[result->n_names];
	if (!isascii(*at) || !isalnum(*at))
		length = (size_t)snprintf(base, sizeof base, "door");
	for (; *at && length < DOOR_NAME_MAX; at++)
		base[length++] =
			isascii(*at) && (isalnum(*at) || *at == '_') ? (char)tolower(*at) : '-';
	base[length] = '\0';
	memcpy(name, base, sizeof base);
	for (unsigned n = 2; result_has_name(result, name); n++)
		snprintf(name, IMPORT_NAME_ROOM, "%.*s-%u", DOOR_NAME_MAX - 8, base, n);
	result->n_names++;
	if (strcasecmp(name, from) != 0)
		import_note(result, door->notes, NULL, door->line,
			    "the section %s is the door %s here", text_quote(from, quoted), name);
	fprintf(door->body, "[door %s]\n", name);
	return 0;
}

/* What `knocktail check` would have against the door alone, to be freed; NULL: nothing. */
static int find_fault(const char *options, const char *body, char **ret_fault)
{
	char *text CLEANUP(cleanup_free) = NULL;
	struct complaints complaints = {0};
	struct config *config = NULL;
	int r = asprintf(&text, "[options]\nlog_prefix = \"" IMPORT_LOG_PREFIX "\"\n%s%s", options,
			 body);

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

int import_door_finish(struct import_door *door, const char *options)
{
	struct import_result *result = door->result;
	char *fault CLEANUP(cleanup_free) = NULL;
	int r;

	if (fflush(door->notes) != 0 || fflush(door->body) != 0)
		return -ENOMEM;
	r = find_fault(options, door->body_text, &fault);
	if (r < 0)
		return r;
	if (!door->left_out && !fault) {
		result->n_doors++;
		fprintf(result->out, "\n%s%s", door->notes_text, door->body_text);
		return 0;
	}
	import_note(result, door->notes, NULL, door->line, "LEFT OUT: %s",
		    door->left_out ? door->left_out : fault);
	if (fflush(door->notes) != 0)
		return -ENOMEM;
	result->n_left_out++;
	fprintf(result->out, "\n%s", door->notes_text);
	put_as_comment(result->out, door->body_text);
	return 0;
}
