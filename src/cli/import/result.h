/* What is written: a knocktail.conf(5) with remarks, a door at a time. */
#pragma once

#include "core/door.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define IMPORT_LOG_PREFIX "[knock] "

enum { IMPORT_NAME_ROOM = DOOR_NAME_MAX + 1 };

struct import_result {
	const char *path; /* of the file that is imported, as remarks name it */
	char comment;	  /* what begins one in what is written; 0: ';' */
	FILE *out, *told; /* the configuration; what is also said to whoever watches */
	char (*names)[IMPORT_NAME_ROOM]; /* of the doors so far */
	size_t n_names;
	size_t n_doors;	   /* carried over */
	size_t n_left_out; /* are there as comments */
};

void import_result_done(struct import_result *result);

/* Says something about a line (0: about the whole file), to whoever watches and, as a comment, in
 * `notes`; `path` is another file than the one that is imported, or NULL. */
__attribute__((format(printf, 5, 6))) void import_note(const struct import_result *result,
						       FILE *notes, const char *path, unsigned line,
						       const char *format, ...);

/* Begins the configuration: what kind of file it comes from. */
void import_put_head(const struct import_result *result, const char *kind);

/* One door on its way. */
struct import_door {
	struct import_result *result;
	unsigned line; /* where it begins */
	FILE *notes, *body;
	char *notes_text, *body_text;
	const char *left_out; /* why it cannot be carried over; NULL: it can */
};

/* 0 or -ENOMEM; needs import_door_finish() or import_door_done() in any case. */
int import_door_init(struct import_door *door, struct import_result *result, unsigned line);
void import_door_done(struct import_door *door);

/* Makes a name of this one that knocktail takes and that no other door has, says so if it is
 * another one, and writes the section's head. 0 or -ENOMEM. */
int import_door_name(struct import_door *door, const char *name);

/* Writes the door, or, if `knocktail check` has something against it, comments. `options` are lines
 * of the section [options] that it needs. 0 or -ENOMEM. */
int import_door_finish(struct import_door *door, const char *options);
