/* A pattern: one regular expression over whole lines, with bounds on what a line may cost.
 *
 * MUST: a match costs bounded time whatever is in the line, and no memory that was not there from
 * the start. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct pattern;

/* A piece of a line; `start` is NULL where its group took no part in the match. */
struct text_span {
	const char *start;
	size_t length;
};

enum { PATTERN_GROUPS_MAX = 16 };

struct pattern_error {
	size_t offset; /* in the expression */
	char text[120];
};

/* Compiles a PCRE2 expression, which has to match a line from its first byte to its last.
 * Only groups with names capture, and these are numbered by their place in `names` (at most
 * PATTERN_GROUPS_MAX, and NULL). 0; -ENOMEM; -EINVAL: it is none; *ret_error says why. */
int pattern_new(const char *expression, const char *const *names, struct pattern_error *ret_error,
		struct pattern **ret);
struct pattern *pattern_free(struct pattern *pattern);

/* Whether the expression has the group at all. */
bool pattern_has(const struct pattern *pattern, size_t group);

enum pattern_verdict {
	PATTERN_MATCHES,
	PATTERN_DIFFERS,
	PATTERN_EXHAUSTED, /* it would have cost too much to find out */
};

/* One thread at a time: the pattern holds the room for a match. */
enum pattern_verdict pattern_match(struct pattern *pattern, const char *text, size_t length);

/* What the group has captured of the text that matched last; that must still be there. */
struct text_span pattern_group(const struct pattern *pattern, size_t group);
