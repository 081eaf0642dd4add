/* Placeholders: %IP% and the like in the arguments of a command and in the entry of a set. */
#pragma once

#include <stddef.h>

struct visitor;
struct door;

/* The placeholders, as messages name them. */
#define PLACEHOLDERS_TEXT "%IP%, %DOOR%, %TIMEOUT% and %USER%"

/* How long the placeholder is that the text starts with: %IP%, %DOOR%, %TIMEOUT%, %USER%, or %%,
 * which stands for a percent sign. 0: it starts with none. */
size_t placeholder_length(const char *text);

/* The text with its placeholders replaced: the canonical address, the door's name, how long it
 * stays open in seconds, the user's name or nothing. To be freed; NULL: no memory. */
char *placeholder_expand(const char *text, const struct door *door, const struct visitor *visitor);

/* The same for each argument. */
char **placeholder_expand_all(char *const *argv, const struct door *door,
			      const struct visitor *visitor);
