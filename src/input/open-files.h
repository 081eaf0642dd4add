/* The files of journals that this process has open, and whether they are whole: sd-journal says
 * nothing of damage that it meets on its way through a file. Up to systemd 252 it closes the file
 * for most kinds of it; 257 keeps the file open and takes the damage for its end. Both pass over
 * single entries that are damaged. So what every version leaves to see is looked at here: how many
 * files are open, and what they say of their own entries. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How many it has open; 0 where /proc does not say. */
size_t open_files_count(void);

struct open_files_check {
	uint64_t since_us, until_us; /* files without entries in [since, until) do not count */
	uint64_t n_read; /* entries: if the files say that they have as many, all is well */
	bool entries;	 /* look at each entry, too: that is as dear as to read all of them */
};

/* Whether all that it has open lead from entry to entry up to the number that their heads state, as
 * sd-journal follows them. What is inside an entry is not looked at. */
bool open_files_are_whole(struct open_files_check check);
