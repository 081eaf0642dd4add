/* What an INI file says, and where: sections, keys and values. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct complaints;

/* The longest line that is not a comment, and the most keys of a section. iniparser keeps 1,024
 * bytes of a value and of a key. */
enum { INI_LINE_MAX = 1000, INI_KEYS_MAX = 64 };

struct ini_entry {
	char *key; /* lower case */
	unsigned line;
	const char *value; /* without quotes and comment; the caller's bytes */
	size_t length;
};

struct ini_section {
	char *name; /* lower case, one blank between words */
	unsigned line;
	unsigned file; /* which of those scanned */
	struct ini_entry *entries;
	size_t n_entries;
	bool damaged; /* a line of it was refused: it may miss a key for that reason alone */
};

struct ini {
	struct ini_section *sections; /* in the order of the file */
	size_t n_sections;
	bool damaged; /* the same of lines in no section that was kept */
	unsigned n_files, n_lines;
};

/* Adds the sections, keys and values of a file and complains about every line that is not INI, that
 * two readers could understand differently, or whose key stood before. Lines are counted on from
 * the file before. `ini` begins as zeros. 0, or -ENOMEM. */
int ini_scan(struct ini *ini, const char *data, size_t size, struct complaints *complaints);

/* After all files: makes one section of those with one name in several files, and complains about
 * one that stands twice in a file, and about a key that stands in two. 0, or -ENOMEM. */
int ini_join(struct ini *ini, struct complaints *complaints);

/* Takes one entry out. */
void ini_drop(struct ini_section *section, size_t entry);

/* Frees what it owns. */
void ini_done(struct ini *ini);

/* The entry of this key, or NULL. */
const struct ini_entry *ini_find(const struct ini_section *section, const char *key);
