/* Commands: argument vectors that end in NULL, and the tokens in them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct caller;
struct door;

/* Frees the vector and its strings, and returns NULL. */
char **command_free(char **argv);

/* Whether both hold the same arguments, or both are NULL. */
bool command_equal(char *const *a, char *const *b);

/* The tokens, as people are told of them. */
#define TOKENS_TEXT "%IP%, %DOOR%, %TIMEOUT% and %USER%"

/* How long the token is that the text starts with: %IP%, %DOOR%, %TIMEOUT%, %USER%, or %%, which
 * stands for a percent sign. 0: it starts with none. */
size_t token_length(const char *text);

/* The text with its tokens replaced: the canonical address, the door's name, how long it stays
 * open in seconds, the user's name or nothing. To be freed; NULL: no memory. */
char *token_expand(const char *text, const struct door *door, const struct caller *caller);

/* The same for each argument. */
char **command_expand(char *const *argv, const struct door *door, const struct caller *caller);
