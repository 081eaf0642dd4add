/* The files of a directory of journals, which sd-journal passes over in silence if it cannot open
 * them. */
#pragma once

#include <stdbool.h>

/* Tries all journal files in the directory and in those one level below. False: some cannot
 * be read, or there are none; which has been reported on standard error, in the verb's name. */
bool journal_files_check(const char *verb, const char *directory);
