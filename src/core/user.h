/* The names of users, each of whom has a key. */
#pragma once

#include <stdbool.h>

enum { USER_NAME_MAX = 32 };

/* Whether it is one: 1 to USER_NAME_MAX of a-z 0-9 _ -, the first a letter or a digit. So it is no
 * path, no option and no text that needs quoting. */
bool user_is_name(const char *text);
