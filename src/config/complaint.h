/* Complaints: what is wrong with a configuration, or doubtful. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct complaint {
	char *file;    /* NULL: the configuration's first */
	unsigned line; /* from 1; 0: about the file as a whole */
	unsigned rank; /* what complaints are ordered by */
	bool warning;  /* allowed, but worth a word; otherwise an error */
	char *text;    /* one sentence without a final stop: what is wrong and what was expected */
};

struct complaints {
	struct complaint *items;
	size_t n_items;
	size_t n_errors, n_warnings; /* also of those that were too many to be kept */
	int error;		     /* 0, or -ENOMEM: memory ran out for some */

	/* The configuration's files. Its lines are counted on from one to the next. */
	struct complaints_file {
		char *path;
		unsigned n_before; /* lines in those before */
	} * files;
	size_t n_files;
};

/* At most this many warnings and errors are kept, and an error after them all if it is the first,
 * so that a file of garbage costs no more. All are counted. */
enum { COMPLAINTS_MAX = 1000 };

/* The lines after the first `n_before` are in this file. 0, or -ENOMEM. */
int complaints_enter(struct complaints *complaints, const char *path, unsigned n_before);

/* How a complaint refers to another line: "line 3", or "line 3 of FILE". Returns `text`. */
enum { COMPLAINT_PLACE_MAX = 300 };
const char *complaints_place(const struct complaints *complaints, unsigned line,
			     char text[static COMPLAINT_PLACE_MAX]);

/* Each appends one complaint about a line, as counted through all files. If memory runs out,
 * complaints->error says so and stays. */
void complain_error(struct complaints *complaints, unsigned line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void complain_warning(struct complaints *complaints, unsigned line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The same about a line of one file, which may be one that the configuration names. */
void complain_about(struct complaints *complaints, const char *file, unsigned line, bool warning,
		    const char *text);

/* Orders them by line, keeping the order within a line. */
void complaints_sort(struct complaints *complaints);

/* Frees what they own. */
void complaints_done(struct complaints *complaints);

/* "FILE:LINE: error: TEXT", or without a line, or with "warning", clipped to fit; `path` is the
 * configuration's file. Returns `text`. */
enum { COMPLAINT_LINE_MAX = 1024 };
const char *complaint_format(const struct complaint *complaint, const char *path,
			     char text[static COMPLAINT_LINE_MAX]);
