/* The configuration file of knockd 0.8, as knockd reads it: taken apart, not yet understood. */
#pragma once

#include <stddef.h>

/* A longer line than this knockd itself takes for two. */
enum { KNOCKD_LINE_MAX = 4095 };

struct knockd_entry {
	char *key;   /* lower case */
	char *value; /* NULL: the line has no "=" */
	unsigned line;
};

struct knockd_section {
	char *name;
	unsigned line;
	struct knockd_entry *entries; /* in the order of the file */
	size_t n_entries;
};

struct knockd_file {
	struct knockd_section *sections; /* two of one name are two, as for knockd */
	size_t n_sections;
};

/* Where a file is not a valid knockd.conf, and why: a sentence without a final stop. */
struct knockd_fault {
	unsigned line;
	const char *text;
};

/* Takes the file's bytes apart. 0; -EBADMSG, with *ret_fault; -ENOMEM. */
int knockd_parse(const char *data, size_t size, struct knockd_file *ret,
		 struct knockd_fault *ret_fault);

/* Frees what it owns. */
void knockd_done(struct knockd_file *file);

/* The last entry of this key, which is the one that counts for knockd, or NULL. */
const struct knockd_entry *knockd_find(const struct knockd_section *section, const char *key);

/* Of two names for one directive (the other may be NULL), the entry that stands last. */
const struct knockd_entry *knockd_find_either(const struct knockd_section *section, const char *key,
					      const char *other);
