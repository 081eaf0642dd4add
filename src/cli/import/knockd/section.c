#include "cli/import/knockd/section.h"

#include <ctype.h>
#include <inttypes.h>

#include "cli/import/knockd/file.h"

/* As atoi() has it, which is what knockd asks. */
uint64_t section_seconds(const struct section_import *section, const struct knockd_entry *entry,
			 uint64_t fallback, uint64_t max)
{
	uint64_t seconds = 0;
	const char *text;

	if (!entry || !entry->value)
		return fallback;
	for (text = entry->value; isascii(*text) && isdigit(*text) && seconds <= UINT32_MAX; text++)
		seconds = seconds * 10 + (uint64_t)(*text - '0');
	if (*text != '\0' || seconds < 1 || seconds > max) {
		seconds = seconds < 1 ? 1 : seconds > max ? max : seconds;
		NOTE(section, entry->line, "%s: taken for %" PRIu64 " seconds", entry->key,
		     seconds);
	}
	return seconds;
}
