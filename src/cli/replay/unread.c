#include "cli/replay/unread.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "input/input.h"
#include "match/matcher.h"

static bool on_begins(void *userdata, const char *text, size_t length)
{
	const struct unread *unread = userdata;

	return matcher_begins(unread->matcher, unread->log, text, length);
}

/* The prefix of the LOG rules, and what the kernel writes behind it. */
static bool holds_probe(const struct unread *unread, const char *text, size_t length)
{
	static const char start[] = "IN=";
	size_t n = strlen(unread->log_prefix);
	const char *end = text + length, *at = text;

	while ((at = memmem(at, (size_t)(end - at), unread->log_prefix, n))) {
		at += n;
		if ((size_t)(end - at) >= sizeof start - 1 &&
		    memcmp(at, start, sizeof start - 1) == 0)
			return true;
	}
	return false;
}

static void on_unread(void *userdata, uint64_t line, const char *text, size_t length)
{
	struct unread *unread = userdata;

	unread->n_foreign++;
	if (!holds_probe(unread, text, length) || unread->n++ > 0)
		return;
	unread->first_line = line;
	for (size_t i = 0; i < length && i < UNREAD_TEXT_MAX; i++)
		unread->first[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
}

struct text_messages unread_messages(struct unread *unread)
{
	return (struct text_messages){
		.begins = on_begins,
		.unread = on_unread,
		.anybody = unread->log > 0,
		.userdata = unread,
	};
}

void unread_report(const struct unread *unread)
{
	if (unread->n == 0)
		return;
	fprintf(stderr,
		"knocktail replay: %" PRIu64 " line%s the prefix behind something that is not "
		"understood, the first is line %" PRIu64 ": %s\n",
		unread->n, unread->n == 1 ? " holds" : "s hold", unread->first_line, unread->first);
}
