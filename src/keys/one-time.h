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
struct one_time *one_time_free(struct one_time *file);

/* Whether both are one file. */
bool one_time_same(const struct one_time *a, const struct one_time *b);

/* The sequences that had not been used when it was opened, from 0; and the first that has not been
 * used since, which is in force: as many as there are, if none is left. */
size_t one_time_count(const struct one_time *file);
size_t one_time_current(const struct one_time *file);
const struct sequence *one_time_sequence(const struct one_time *file, size_t i);

/* The one in force has been used; the next one is, from now on. */
void one_time_advance(struct one_time *file);

/* The sequence that opens the door: its own, or the one in force of its file. False: none is left,
 * or the file cannot be read. */
bool one_time_find_sequence(const struct door *door, struct sequence *ret);

/* Marks the one in force as used, for good: the line becomes a comment that begins with `remark`
 * (no newline; at most 124 bytes, the rest is cut off). Then it advances. 0; -ESTALE: the file is
 * not what it was any more; another negative errno. After an error it may have advanced or not; the
 * use must have no effect. */
int one_time_use(struct one_time *file, const char *remark);
