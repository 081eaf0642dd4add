/* Lines of text that hold what a probe's record begins with, behind something that nobody
 * understands.
 */
#pragma once

#include <stdint.h>

struct matcher;
struct text_messages;

enum { UNREAD_TEXT_MAX = 80 };

struct unread {
	const struct matcher *matcher;
	const char *log_prefix;
	uint32_t log;	    /* whose records the lines are: 0, the kernel's; else counted from 1 */
	uint64_t n_foreign; /* lines that are none of the log's, whatever they hold */
	uint64_t n, first_line;
	char first[UNREAD_TEXT_MAX + 1]; /* as far as it can be printed */
};

/* What an input asks where messages begin, and reports such lines to. */
struct text_messages unread_messages(struct unread *unread);

/* Complains, if there were any. */
void unread_report(const struct unread *unread);
