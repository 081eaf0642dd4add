/* MUST: count only what a knock has opened: a door that was opened by hand shows nothing. */
#include "cli/rules/openings.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "audit/audit.h"
#include "util/cleanup.h"

DEFINE_CLEANUP(sd_journal *, sd_journal_close)

static int add_event(sd_journal *journal, enum event_kind kind)
{
	char match[64];

	snprintf(match, sizeof match, "MESSAGE_ID=%s", audit_message_id(kind));
	return sd_journal_add_match(journal, match, 0);
}

int openings_follow(sd_journal **ret)
{
	CLEANUP(cleanup_sd_journal_close) sd_journal *journal = NULL;
	int r = sd_journal_open(&journal, SD_JOURNAL_LOCAL_ONLY | SD_JOURNAL_SYSTEM);

	if (r < 0)
		return r;
	r = sd_journal_get_fd(journal);
	if (r >= 0)
		r = sd_journal_add_match(journal, "_COMM=knocktaild", 0);
	if (r >= 0)
		r = add_event(journal, EVENT_OPENED);
	if (r >= 0)
		r = add_event(journal, EVENT_RENEWED);
	if (r >= 0)
		r = sd_journal_seek_tail(journal);
	if (r >= 0)
		r = sd_journal_previous(journal);
	if (r == 0)
		r = sd_journal_seek_head(journal);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(journal);
	return 0;
}

static bool is_by_hand(sd_journal *journal)
{
	const void *data;
	size_t length;

	return sd_journal_get_data(journal, "KNOCKTAIL_UID", &data, &length) != -ENOENT;
}

int openings_next(sd_journal *journal, char **ret_message)
{
	static const char field[] = "MESSAGE=";
	char *message = NULL;
	int r = sd_journal_process(journal);

	while (r >= 0 && !message && (r = sd_journal_next(journal)) > 0) {
		const char *text;
		size_t length, skip = sizeof field - 1;

		if (is_by_hand(journal) ||
		    sd_journal_get_data(journal, "MESSAGE", (const void **)&text, &length) < 0 ||
		    length < skip)
			continue;
		message = strndup(text + skip, length - skip);
		if (!message)
			return -ENOMEM;
	}
	if (r < 0) {
		free(message);
		return r;
	}
	*ret_message = message;
	return 0;
}
