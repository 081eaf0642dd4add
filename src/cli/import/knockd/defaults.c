#include "cli/import/knockd/defaults.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const char blanks[] = " \t\r\n\"'";

/* The argument of `-i` or `--interface` in one line; its length, 0: there is none. */
static size_t find_interface(const char *line, size_t length, const char **ret)
{
	static const char *const names[] = {"--interface", "-i"};
	const char *end = line + length;

	for (const char *at = line; at < end; at += strcspn(at, blanks)) {
		at += strspn(at, blanks);
		for (size_t i = 0; i < 2; i++) {
			size_t n = strlen(names[i]);

			if (strncmp(at, names[i], n) != 0)
				continue;
			*ret = at + n + strspn(at + n, " \t=");
			return *ret < end ? strcspn(*ret, " \t\r\n\"'") : 0;
		}
		if (*at == '\0')
			break;
	}
	return 0;
}

static bool is_options(const char *line)
{
	line += strncmp(line, "export ", 7) == 0 ? 7 : 0;
	return strncmp(line, "KNOCKD_OPTS=", 12) == 0 || strncmp(line, "OPTIONS=", 8) == 0;
}

void knockd_defaults_parse(const char *path, const char *text, struct knockd_defaults *ret)
{
	*ret = (struct knockd_defaults){.path = path};
	for (unsigned n = 1; *text; n++) {
		size_t length = strcspn(text, "\n"), n_blanks = strspn(text, " \t");
		const char *line = text + n_blanks, *name;
		size_t n_name = 0;

		if (is_options(line) && n_blanks <= length) {
			line = strchr(line, '=') + 1;
			n_name = find_interface(line, (size_t)(text + length - line), &name);
		}
		if (n_name > 0 && n_name < sizeof ret->interface) {
			snprintf(ret->interface, sizeof ret->interface, "%.*s", (int)n_name, name);
			ret->line = n;
		}
		text += length + (text[length] == '\n');
	}
}
