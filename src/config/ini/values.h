/* The values of an INI section, in a dictionary of iniparser's. */
#pragma once

struct complaints;
struct ini_section;
struct values;

/* 0; -EBADMSG: iniparser does not hand out what ini_scan() has found, with a complaint; -ENOMEM. */
int values_new(const struct ini_section *section, struct complaints *complaints,
	       struct values **ret);
struct values *values_free(struct values *values);

/* The text of a key; NULL: the section does not hold it. */
const char *values_get(const struct values *values, const char *key);
