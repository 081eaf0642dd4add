/* Files of fwknop: access.conf, fwknopd.conf and .fwknoprc, taken apart, not yet understood. */
#pragma once

#include "config/text.h"

#include <stdbool.h>
#include <stddef.h>

struct fwknop_line {
	char *name;	 /* of a variable, in capitals; "[": a section, whose name is the value */
	char *value;	 /* "" if there is none */
	unsigned number; /* of the line */
	size_t stanza;	 /* from 1; 0: ahead of the first one */
};

struct fwknop_file {
	struct fwknop_line *lines;
	size_t n_lines, n_stanzas;
};

enum fwknop_kind {
	FWKNOP_NONE,	/* not a file of fwknop's */
	FWKNOP_ACCESS,	/* access.conf: SOURCE begins a stanza */
	FWKNOP_CLIENT,	/* .fwknoprc: a section is one */
	FWKNOP_OPTIONS, /* fwknopd.conf, which has none; never recognised */
};

/* What kind of file the text is, by what it begins with. */
enum fwknop_kind fwknop_recognise(const char *text);

/* 0 or -ENOMEM. */
int fwknop_parse(const char *text, enum fwknop_kind kind, struct fwknop_file *ret);
void fwknop_done(struct fwknop_file *file);

/* The last value of a variable in a stanza; NULL: it is not there, or empty. */
const char *fwknop_find(const struct fwknop_file *file, size_t stanza, const char *name);

/* A name that nobody knows as messages show it: it may be a value that slipped into its place. */
const char *fwknop_quote(const char *name, char quoted[static TEXT_QUOTED_MAX]);

/* Whether that is a yes. */
bool fwknop_is_yes(const struct fwknop_file *file, size_t stanza, const char *name);
