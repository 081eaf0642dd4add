/* MUST hold: what a value means does not depend on iniparser's version. Its readers differ: in
 * quotes, 4.1 takes a backslash for a character, 4.2.5 and later for an escape. So it is given no
 * file and no line, but each value as ini_scan() has found it, by a call that keeps what it is
 * given in 4.1, 4.2.6 and 4.3.2 alike; and what it hands out is compared with that, for the
 * versions to come. */
#include "config/ini/values.h"

#include <errno.h>
#include <iniparser.h>
#include <stdlib.h>
#include <string.h>

#include "config/complaint.h"
#include "config/ini/ini.h"
#include "util/cleanup.h"

/* A dictionary for one section, because each look-up of iniparser's walks through all keys. */
struct values {
	dictionary *dictionary;
};

DEFINE_CLEANUP(struct values *, values_free)

struct values *values_free(struct values *values)
{
	if (!values)
		return NULL;
	if (values->dictionary)
		iniparser_freedict(values->dictionary);
	free(values);
	return NULL;
}

static int values_add(struct values *values, const struct ini_entry *entry,
		      struct complaints *complaints)
{
	char value[INI_LINE_MAX + 1];
	const char *kept;

	memcpy(value, entry->value, entry->length);
	value[entry->length] = '\0';
	if (iniparser_set(values->dictionary, entry->key, value) != 0)
		return -ENOMEM;
	kept = values_get(values, entry->key);
	if (!kept)
		return -ENOMEM; /* iniparser leaves out what it had no memory for */
	if (strcmp(kept, value) == 0)
		return 0;
	complain_error(complaints, entry->line,
		       "this version of iniparser does not keep the value as it stands: knocktail "
		       "cannot be used with it");
	return -EBADMSG;
}

int values_new(const struct ini_section *section, struct complaints *complaints,
	       struct values **ret)
{
	struct values *values CLEANUP(cleanup_values_free) = calloc(1, sizeof(*values));

	if (!values)
		return -ENOMEM;
	values->dictionary = dictionary_new(section->n_entries);
	if (!values->dictionary)
		return -ENOMEM;
	for (size_t i = 0; i < section->n_entries; i++) {
		int r = values_add(values, &section->entries[i], complaints);

		if (r < 0)
			return r;
	}
	*ret = TAKE_PTR(values);
	return 0;
}

const char *values_get(const struct values *values, const char *key)
{
	return iniparser_getstring(values->dictionary, key, NULL);
}
