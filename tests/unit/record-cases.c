#include "record-cases.h"

#include <errno.h>
#include <glob.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

struct loader {
	struct record_cases cases;
	const char *file;
	unsigned number;
	char *prefix;
	char *text; /* of the last line:, until its want: */
	size_t length;
};

void record_cases_done(struct record_cases *cases)
{
	for (size_t i = 0; i < cases->n; i++) {
		free(cases->cases[i].file);
		free(cases->cases[i].prefix);
		free(cases->cases[i].text);
	}
	free(cases->cases);
	*cases = (struct record_cases){0};
}

/* What stands between the first and the last quotation mark, its \xNN replaced. */
static int unquote(const char *quoted, char **ret, size_t *ret_length)
{
	CLEANUP(cleanup_free) char *text = NULL;
	const char *first = strchr(quoted, '"');
	const char *last = strrchr(quoted, '"');
	size_t length = 0;

	if (!first || last == first)
		return -EINVAL;
	text = malloc((size_t)(last - first));
	if (!text)
		return -ENOMEM;
	for (const char *p = first + 1; p < last; p++) {
		unsigned byte = (unsigned char)*p;

		if (*p == '\\') {
			if (sscanf(p, "\\x%2x", &byte) != 1)
				return -EINVAL;
			p += 3;
		}
		text[length++] = (char)byte;
	}
	text[length] = '\0';
	*ret = TAKE_PTR(text);
	*ret_length = length;
	return 0;
}

static int parse_flags(char *words, uint8_t *ret)
{
	static const char *const names[] = {"FIN", "SYN", "RST", "PSH",
					    "ACK", "URG", "ECE", "CWR"}; /* from bit 0 */
	uint8_t flags = 0;
	char *save = NULL;

	for (char *w = strtok_r(words, ",", &save); w; w = strtok_r(NULL, ",", &save)) {
		size_t i = 0;

		if (strcmp(w, "none") == 0)
			continue;
		while (i < 8 && strcmp(w, names[i]) != 0)
			i++;
		if (i == 8)
			return -EINVAL;
		flags |= (uint8_t)(1U << i);
	}
	*ret = flags;
	return 0;
}

/* "192.0.2.1:40000" or "[2001:db8::1]:40000" */
static int parse_end(char *text, struct address *ret_address, uint16_t *ret_port)
{
	char *colon = strrchr(text, ':');

	if (!colon || sscanf(colon + 1, "%hu", ret_port) != 1)
		return -EINVAL;
	*colon = '\0';
	if (*text == '[') {
		text++;
		text[strcspn(text, "]")] = '\0';
	}
	return address_parse(text, ret_address);
}

static int parse_word(char *word, struct probe *probe)
{
	if (strncmp(word, "flags=", 6) == 0)
		return parse_flags(word + 6, &probe->tcp_flags);
	if (strncmp(word, "in=", 3) == 0 && strlen(word + 3) < sizeof(probe->interface)) {
		strcpy(probe->interface, word + 3);
		return 0;
	}
	if (strncmp(word, "options=", 8) == 0 && strlen(word + 8) <= 2 * sizeof(probe->options)) {
		for (const char *hex = word + 8; *hex; hex += 2)
			if (sscanf(hex, "%2hhx", &probe->options[probe->n_options++]) != 1)
				return -EINVAL;
		return 0;
	}
	return -EINVAL;
}

/* "tcp FROM -> TO flags=... in=... options=..." */
static int parse_probe(char *text, struct probe *ret)
{
	struct probe probe = {0};
	char *save = NULL;
	char *protocol = strtok_r(text, " ", &save);
	char *from = strtok_r(NULL, " ", &save);
	char *arrow = strtok_r(NULL, " ", &save);
	char *to = strtok_r(NULL, " ", &save);

	if (!to || strcmp(arrow, "->") != 0 ||
	    parse_end(from, &probe.source, &probe.source_port) < 0 ||
	    parse_end(to, &probe.target, &probe.port) < 0)
		return -EINVAL;
	probe.protocol = strcmp(protocol, "tcp") == 0 ? IPPROTO_TCP : IPPROTO_UDP;
	for (char *w = strtok_r(NULL, " ", &save); w; w = strtok_r(NULL, " ", &save))
		if (parse_word(w, &probe) < 0)
			return -EINVAL;
	*ret = probe;
	return 0;
}

static int parse_want(char *want, struct record_case *c)
{
	if (strcmp(want, "foreign") == 0)
		c->verdict = FORMAT_FOREIGN;
	else if (strcmp(want, "irrelevant") == 0)
		c->verdict = FORMAT_IRRELEVANT;
	else if (strcmp(want, "damaged") == 0)
		c->verdict = FORMAT_DAMAGED;
	else if (strncmp(want, "tcp ", 4) == 0 || strncmp(want, "udp ", 4) == 0) {
		c->verdict = FORMAT_PROBE;
		return parse_probe(want, &c->probe);
	} else
		return -EINVAL;
	return 0;
}

static int add_case(struct loader *loader, char *want)
{
	struct record_cases *cases = &loader->cases;
	struct record_case *grown;
	struct record_case c = {.number = loader->number, .length = loader->length};
	int r = parse_want(want, &c);

	if (r < 0 || !loader->text || !loader->prefix)
		return -EINVAL;
	grown = reallocarray(cases->cases, cases->n + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	cases->cases = grown;
	c.captured = strncmp(loader->file, "kernel-", 7) == 0 && loader->file[7] >= '0' &&
		     loader->file[7] <= '9';
	c.relayed = strncmp(loader->file, "ulogd-", 6) == 0;
	c.file = strdup(loader->file);
	c.prefix = strdup(loader->prefix);
	c.text = TAKE_PTR(loader->text);
	cases->cases[cases->n++] = c;
	return c.file && c.prefix ? 0 : -ENOMEM;
}

static int load_line(struct loader *loader, char *line)
{
	size_t length;

	if (line[0] == '\0' || line[0] == '#')
		return 0;
	if (strncmp(line, "prefix: ", 8) == 0) {
		free(TAKE_PTR(loader->prefix));
		return unquote(line + 8, &loader->prefix, &length);
	}
	if (strncmp(line, "line: ", 6) == 0 && !loader->text)
		return unquote(line + 6, &loader->text, &loader->length);
	if (strncmp(line, "want: ", 6) == 0)
		return add_case(loader, line + 6);
	return -EINVAL;
}

static int load_file(struct loader *loader, const char *path)
{
	CLEANUP(cleanup_fclose) FILE *file = fopen(path, "re");
	CLEANUP(cleanup_free) char *line = NULL;
	size_t size = 0;
	ssize_t length;

	if (!file)
		return -errno;
	loader->file = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	loader->number = 0;
	while ((length = getline(&line, &size, file)) >= 0) {
		loader->number++;
		if (length > 0 && line[length - 1] == '\n')
			line[length - 1] = '\0';
		if (load_line(loader, line) < 0) {
			fprintf(stderr, "%s:%u: not a line of this format\n", path, loader->number);
			return -EINVAL;
		}
	}
	return loader->text ? -EINVAL : 0;
}

int record_cases_load(const char *directory, struct record_cases *ret)
{
	struct loader loader = {0};
	CLEANUP(cleanup_free) char *pattern = NULL;
	glob_t found = {0};
	int r = 0;

	if (asprintf(&pattern, "%s/*.records", directory) < 0)
		return -ENOMEM;
	if (glob(pattern, 0, NULL, &found) != 0)
		return -ENOENT;
	for (size_t i = 0; i < found.gl_pathc && r == 0; i++)
		r = load_file(&loader, found.gl_pathv[i]);
	globfree(&found);
	free(loader.prefix);
	free(loader.text);
	if (r < 0)
		record_cases_done(&loader.cases);
	else
		*ret = loader.cases;
	return r;
}
