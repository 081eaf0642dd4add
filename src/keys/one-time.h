/* A file of one-time sequences: one a line, each good for one knock. The first line that has not
 * been used is the one in force.
 *
 * MUST: a line is marked as used, on disk, before its use has any effect; so a crash in between
 * loses a knock and never lets one in again. MUST: nobody but the file's owner may write it, nobody
 * else but its group read it. MUST: no complaint shows a step. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct door;
struct one_time;
struct sequence;

/* Something to say about the file: a line of it (0: the file as a whole). */
typedef void (*one_time_complain_fn)(void *userdata, unsigned line, bool warning, const char *text);

/* Reads the file. Blank lines and those that begin with '#' are skipped. 0; -EBADMSG: something
 * is wrong with it, and `complain` (NULL: nobody) has reported all of it; -ENOMEM. */
int one_time_open(const char *path, one_time_complain_fn complain, void *userdata,
		  struct one_time **ret);

/* One more owner; the last one to free it does. */
struct one_time *one_time_ref(struct one_time *file);
struct one_time *one_time_free(struct one_time *file);

/* Whether both are one file, however its path is written. */
bool one_time_same(const struct one_time *a, const struct one_time *b);

/* The sequences that had not been used when it was opened, from 0; and the first that has not been
 * used since, which is in force: as many as there are, if none is left. */
size_t one_time_count(const struct one_time *file);
size_t one_time_current(const struct one_time *file);
const struct sequence *one_time_sequence(const struct one_time *file, size_t i);

/* The one in force has been on the wire, whether that can be marked or not: the next one is in
 * force from now on. */
void one_time_advance(struct one_time *file);

/* An older reading of the same file has used up its lines before the one in force there: they are
 * passed over here, marked or not. Nothing happens if it is another file. */
void one_time_inherit(struct one_time *file, const struct one_time *old);

/* The sequence that opens the door: its own, or the one in force of its file. False: none is left,
 * or the file cannot be read. */
bool one_time_find_sequence(const struct door *door, struct sequence *ret);

/* Marks it as used, for good, if it is the first that the file has left, beside those before it
 * that could not be marked: the line becomes a comment that begins with `remark` (no newline; at
 * most 124 bytes, the rest is cut off), and so do those. 0; -ESTALE: the file is not what it was
 * any more; another negative errno: the use must have no effect. It may wait for the disk: a thread
 * may call this, and no more, while another one calls all the rest. */
int one_time_mark(struct one_time *file, size_t line, const char *remark);
