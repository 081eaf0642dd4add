/* The keys of the configuration: one table, one row each. */
#pragma once

#include "config/config.h"

struct key_reading;

enum section_kind { SECTION_OPTIONS, SECTION_DOOR, SECTION_LOG, N_SECTION_KINDS };

struct config_key {
	const char *name;
	enum section_kind section;
	bool required;
	unsigned backends;    /* 1 << enum backend_kind for those that it belongs to; 0: all */
	const char *fallback; /* the value of a key that is not given; NULL: none is set */
	size_t offset;	      /* where the value goes: in struct config, door or other_log */
	uint64_t min, max;    /* in the unit of the field */
	const char *const *choices;
	/* Turns text into the field. 0; -EBADMSG: it is wrong, with a complaint; -ENOMEM. */
	int (*parse)(const struct key_reading *reading, const char *text, void *field);
};

/* One value being read: all that a complaint about it needs. */
struct key_reading {
	const struct config_key *key;
	const char *where; /* "options", "door NAME" or "log NAME" */
	unsigned line;
	struct complaints *complaints;
};

/* Ends where the name is NULL. A key that means something else to another backend has a row for
 * each. */
extern const struct config_key keys[];

/* As the file spells them; NULL ends each. */
extern const char *const section_names[];
extern const char *const backend_names[];

/* The first row of this key, or NULL. */
const struct config_key *key_find(enum section_kind section, const char *name);

/* The backends of all rows of the same name; 0: all that there are. */
unsigned key_backends(const struct config_key *key);

/* The key that is spelled much like this name, or NULL. */
const struct config_key *key_guess(enum section_kind section, const char *name);
