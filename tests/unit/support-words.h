/* What a test has heard, as text, to be compared; what is logged is heard here, too. */
#pragma once

#include <stddef.h>

struct words {
	char text[8192];
	size_t n; /* how many were added */
};

/* All that the tested code has given to log_line(), as "<PRIORITY>TEXT" in lines. */
extern struct words logged;

__attribute__((format(printf, 2, 3))) void words_add(struct words *words, const char *format, ...);

/* It is this, and is forgotten. */
void words_expect(struct words *words, const char *expected);

void words_forget(struct words *words);
