/* Putting the file of a new key into its directory. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/* Under another name first: it is there as a whole or not at all, for its owner and, if that is not
 * -1, the group to read. 0; -EEXIST: there is one, which is not to be replaced; another negative
 * errno. */
int new_file_put(int directory, const char *name, const char *text, gid_t group, bool replaces);
