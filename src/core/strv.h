/* Vectors of strings that end in NULL: argument vectors, names of users, matches of a log. */
#pragma once

#include <stdbool.h>

/* Frees the vector and its strings, and returns NULL. */
char **strv_free(char **strv);

/* Whether both hold the same strings, or both are NULL. */
bool strv_equal(char *const *a, char *const *b);
