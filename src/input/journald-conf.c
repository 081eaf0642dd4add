#include "input/journald-conf.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static unsigned parse_level(const char *text)
{
	static const char *const names[JOURNALD_LEVEL_MAX] = {
		"emerg", "alert", "crit", "err", "warning", "notice", "info",
	};

	for (unsigned i = 0; i < JOURNALD_LEVEL_MAX; i++)
		if (strcmp(text, names[i]) == 0 || (text[0] == (char)('0' + i) && !text[1]))
			return i;
	return JOURNALD_LEVEL_MAX;
}

static bool parse_bool(const char *text)
{
	static const char *const noes[] = {"0", "no", "n", "false", "f", "off"};

	for (size_t i = 0; i < sizeof noes / sizeof noes[0]; i++)
		if (strcasecmp(text, noes[i]) == 0)
			return false;
	return true;
}

/* "4G" or "1.5G"; 0: it is not a size. */
static uint64_t parse_size(const char *text)
{
	static const char units[] = "KMGTPE";
	const char *end = text + strspn(text, "0123456789.");
	const char *unit = *end ? strchr(units, *end) : NULL;
	double size = strtod(text, NULL);

	if (*end && !unit)
		return 0;
	for (const char *u = units; unit && u <= unit; u++)
		size *= 1024;
	return size < 0x1p63 ? (uint64_t)size : UINT64_MAX;
}

/* The text without the blanks around it, in place. */
static char *setting_trim(char *text)
{
	size_t length;

	text += strspn(text, " \t");
	length = strlen(text);
	while (length > 0 && strchr(" \t\r", text[length - 1]))
		text[--length] = '\0';
	return text;
}

/* Later settings replace earlier ones. What a comment has before its = is no name of any. */
void journald_conf_read(char *text, struct journald_conf *ret)
{
	char *rest = NULL;

	*ret = (struct journald_conf){
		.stores = true, .reads_kernel = true, .max_level = JOURNALD_LEVEL_MAX};
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		char *value = strchr(line, '=');

		if (!value)
			continue;
		*value++ = '\0';
		line = setting_trim(line);
		value = setting_trim(value);
		if (strcmp(line, "Storage") == 0) {
			ret->stores = strcmp(value, "none") != 0;
			ret->is_volatile = strcmp(value, "volatile") == 0;
		} else if (strcmp(line, "SystemMaxUse") == 0) {
			ret->system_max = parse_size(value);
		} else if (strcmp(line, "RuntimeMaxUse") == 0) {
			ret->runtime_max = parse_size(value);
		} else if (strcmp(line, "ReadKMsg") == 0 && *value) {
			ret->reads_kernel = parse_bool(value);
		} else if (strcmp(line, "MaxLevelStore") == 0 && *value) {
			ret->max_level = parse_level(value);
		}
	}
}
