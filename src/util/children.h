/* Children: other programs, run without a shell and without ever waiting for one.
 *
 * A pool of a fixed size with one descriptor to poll. Every child has a process group and a time
 * limit of its own, no standard input, and its output is kept as far as it fits a log line, unless
 * they are given as files. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct children;

enum { CHILD_OUTPUT_MAX = 256 };

struct child_exit {
	void *owner;		       /* as given to children_spawn() */
	int code;		       /* CLD_EXITED, CLD_KILLED or CLD_DUMPED (waitid(2)) */
	int status;		       /* the exit status, or the signal */
	bool timed_out;		       /* it was killed because its time was up */
	char output[CHILD_OUTPUT_MAX]; /* the first of what it wrote, one line, printable */
};

/* A pool for at most `max` children at a time; sets SIGCHLD to its default. 0 or a negative errno.
 */
int children_new(size_t max, struct children **ret);

/* Kills and reaps whatever still runs. */
struct children *children_free(struct children *children);

/* Runs argv[0], an absolute path; it is killed, with its process group, at `kill_at_us` (on the
 * calling code's clock). 0; -EAGAIN: all slots are taken; another negative errno: it could not be
 * started. */
int children_spawn(struct children *children, char *const argv[], uint64_t kill_at_us, void *owner);

/* What a child reads and writes instead; -1: as above. They stay the calling code's. Standard error
 * is kept in any case. */
struct child_files {
	int input, output;
};
int children_spawn_files(struct children *children, char *const argv[],
			 const struct child_files *files, uint64_t kill_at_us, void *owner);

/* A file in memory for a child: with this text to read (NULL: none), or to write to. The descriptor
 * or a negative errno. */
int children_file(const char *text);

/* Moves the limit of the owner's child, if it has one that runs. */
void children_limit(struct children *children, const void *owner, uint64_t kill_at_us);

size_t children_count(const struct children *children);

/* Readable when children_next() has something to do. */
int children_fd(const struct children *children);

/* When children_next() has to be called at the latest; UINT64_MAX: never. */
uint64_t children_next_us(const struct children *children);

/* Collects output, kills what is over its time, and hands out one child that has ended. False: none
 * (more). Never blocks. */
bool children_next(struct children *children, uint64_t now_us, struct child_exit *ret);
