/* The values of an INI section, as iniparser reads them. */
#pragma once

struct complaints;
struct ini_section;
struct values;

/* One for all sections of a file. 0 or a negative errno. */
int values_new(struct values **ret);
struct values *values_free(struct values *values);

/* Reads one section, after which those of the section before are gone. 0; -EBADMSG: iniparser and
 * ini_scan() do not find the same keys, with a complaint; another negative errno. */
int values_load(struct values *values, const struct ini_section *section,
		struct complaints *complaints);

/* The text of a key that the section holds; good until the next values_load(). */
const char *values_get(const struct values *values, const char *key);
