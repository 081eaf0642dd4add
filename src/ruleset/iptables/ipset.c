#include "ruleset/iptables/ipset.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "ruleset/iptables/reader.h"
#include "util/cleanup.h"

enum { LINE_WORDS = 3 };

/* The words of a line, "create NAME TYPE" or "add NAME ENTRY"; where the next one begins. */
static const char *line_read(const char *line, char words[static LINE_WORDS][256])
{
	for (size_t i = 0; i < LINE_WORDS; i++) {
		size_t length = strcspn(line, " \n"), kept = length < 255 ? length : 255;

		memcpy(words[i], line, kept);
		words[i][kept] = '\0';
		line += length + (line[length] == ' ');
	}
	line += strcspn(line, "\n");
	return *line ? line + 1 : line;
}

/* What its directions make of a part of the set's type. */
static enum field field_of_part(const char *part, size_t length, bool is_source)
{
	static const struct {
		const char *name;
		enum field source, target;
	} parts[] = {
		{"ip", FIELD_SOURCE, FIELD_TARGET},
		{"net", FIELD_SOURCE, FIELD_TARGET},
		{"port", FIELD_SOURCE_PORT, FIELD_PORT},
		{"iface", FIELD_INTERFACE, FIELD_OUTGOING},
	};

	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
		if (strlen(parts[i].name) == length && strncmp(parts[i].name, part, length) == 0)
			return is_source ? parts[i].source : parts[i].target;
	return FIELD_UNKNOWN;
}

/* "hash:ip,port" and "src,dst". A port has its protocol beside it, but in a bitmap. */
static void read_type(struct condition *condition, const char *type, const char *directions)
{
	const char *part = strchr(type, ':');
	bool is_bitmap = strncmp(type, "bitmap", 6) == 0;

	condition->n_fields = 0;
	while (part && *part && condition->n_fields + 2 < FIELDS_MAX) {
		size_t length = strcspn(++part, ",");
		enum field field = field_of_part(part, length, strncmp(directions, "src", 3) == 0);

		if (!is_bitmap && (field == FIELD_PORT || field == FIELD_SOURCE_PORT))
			condition->fields[condition->n_fields++] = FIELD_PROTOCOL;
		condition->fields[condition->n_fields++] = field;
		part += length;
		directions += strcspn(directions, ",");
		directions += *directions == ',';
	}
}

static void read_port(struct accepted *entry, bool has_protocol, const char *text)
{
	const char *colon = strchr(text, ':');

	if (has_protocol)
		entry->first = entry->last = colon && strncmp(text, "udp", 3) == 0    ? IPPROTO_UDP
					     : !colon || strncmp(text, "tcp", 3) == 0 ? IPPROTO_TCP
										      : IPPROTO_RAW;
	if (reader_read_range(colon ? colon + 1 : text, &entry[has_protocol].first,
			      &entry[has_protocol].last) < 0)
		entry[has_protocol].first = 1, entry[has_protocol].last = 0;
}

/* "10.0.0.0/8,tcp:22" */
static int read_entry(struct condition *condition, const char *text)
{
	struct accepted *entry = condition_add(condition);

	if (!entry)
		return -ENOMEM;
	for (size_t i = 0; i < condition->n_fields; i++) {
		char *part CLEANUP(cleanup_free) = strndup(text, strcspn(text, ","));
		bool has_protocol = condition->fields[i] == FIELD_PROTOCOL;
		bool is_all = strcmp(part ? part : "", "0.0.0.0/0") == 0 ||
			      strcmp(part ? part : "", "::/0") == 0;

		if (!part)
			return -ENOMEM;
		switch (condition->fields[i]) {
		case FIELD_SOURCE:
		case FIELD_TARGET:
			if (is_all)
				accepted_set_all_addresses(&entry[i]);
			else if (accepted_set_addresses(&entry[i], part) < 0)
				condition->is_partial = true;
			break;
		case FIELD_INTERFACE:
		case FIELD_OUTGOING:
			if (accepted_set_text(&entry[i], part) < 0)
				return -ENOMEM;
			break;
		case FIELD_PROTOCOL:
		case FIELD_PORT:
		case FIELD_SOURCE_PORT:
			read_port(&entry[i], has_protocol, part);
			i += has_protocol;
			break;
		default:
			break;
		}
		text += strcspn(text, ",");
		text += *text == ',';
	}
	return 0;
}

/* Of a set that nobody has printed. */
static void guess_type(struct condition *condition, const char *directions)
{
	condition->fields[0] = strncmp(directions, "src", 3) == 0 ? FIELD_SOURCE : FIELD_PORT;
	condition->is_partial = condition->fields[0] == FIELD_PORT;
}

static int read_members(struct rule_reader *reader, struct condition *condition, const char *name,
			const char *directions)
{
	const char *line = reader->ipsets ? reader->ipsets : "";
	char words[LINE_WORDS][256];
	bool is_known = false;
	int r = 0;

	while (*line && r == 0) {
		const char *begin = line;

		line = line_read(line, words);
		if (strcmp(words[1], name) != 0)
			continue;
		if (strcmp(words[0], "create") == 0) {
			is_known = strncmp(words[2], "list:", 5) != 0;
			if (is_known)
				read_type(condition, words[2], directions);
		} else if (is_known && strcmp(words[0], "add") == 0) {
			const char *no = strstr(begin, " nomatch");

			if (no && no < line)
				continue;
			r = read_entry(condition, words[2]);
		}
	}
	if (!is_known || condition->n_fields == 0) {
		condition->n_fields = 1;
		guess_type(condition, directions);
	}
	/* Somebody is going to fill it. */
	if (condition->n_entries == 0 && !condition_asks(condition, FIELD_SOURCE))
		condition->is_partial = true;
	return r;
}

/* Whether rules put sources of packets into it. */
static bool is_fed(const struct rule_reader *reader, const char *name)
{
	char *option CLEANUP(cleanup_free) = NULL;

	if (asprintf(&option, "--add-set %s src", name) < 0) {
		option = NULL;
		return false;
	}
	return reader->save && strstr(reader->save, option);
}

int ipset_read_match(struct rule_reader *reader)
{
	const char *name = reader_take(reader), *directions = reader_take(reader);
	struct condition *condition = rule_view_add(reader->rule, FIELD_UNKNOWN, reader->negated);

	if (!condition || ruleset_set_text(&condition->set, name) < 0)
		return -ENOMEM;
	condition->is_earned = is_fed(reader, name);
	return read_members(reader, condition, name, directions);
}
