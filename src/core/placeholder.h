/* Placeholders: %IP% and the like in the arguments of a command and in the entry of a set. */
#pragma once

#include "core/address.h"

#include <stddef.h>
#include <stdint.h>

struct visitor;
struct door;

/* The placeholders, as messages name them. */
#define PLACEHOLDERS_TEXT "%IP%, %DOOR%, %TIMEOUT% and %USER%"

/* What they stand for. */
struct placeholder_values {
	const char *door; /* its name */
	struct address source;
	const char *user;	       /* NULL or "": nobody's */
	uint64_t timeout_us;	       /* how long the door stays open */
	const struct network *network; /* stands for the source; NULL: the source itself does */
};

/* Those of a door that is opened for the visitor. Valid as long as both. */
struct placeholder_values placeholder_values(const struct door *door,
					     const struct visitor *visitor);

/* How long the placeholder is that the text starts with: %IP%, %DOOR%, %TIMEOUT%, %USER%, or %%,
 * which stands for a percent sign. 0: it does not start with one. */
size_t placeholder_length(const char *text);

/* The text with its placeholders replaced: the canonical address or network, the door's name, how
 * long it stays open in seconds, the user's name or nothing. To be freed; NULL: no memory. */
char *placeholder_expand(const char *text, const struct placeholder_values *values);

/* The same for each argument. */
char **placeholder_expand_all(char *const *argv, const struct placeholder_values *values);
