#include "cli/audit/coverage.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-messages.h>

#include "util/cleanup.h"

/* Only journald writes these. */
static int match_missed(sd_journal *journal)
{
	int r;

	sd_journal_flush_matches(journal);
	r = sd_journal_add_match(journal, "MESSAGE_ID=" SD_MESSAGE_JOURNAL_MISSED_STR, 0);
	return r < 0 ? r : sd_journal_add_match(journal, "_TRANSPORT=driver", 0);
}

/* "Missed 12 kernel messages" */
static uint64_t count_missed(sd_journal *journal)
{
	const void *data;
	size_t length;
	char text[64];
	uint64_t n;

	if (sd_journal_get_data(journal, "MESSAGE", &data, &length) < 0 || length >= sizeof text)
		return 1;
	memcpy(text, data, length);
	text[length] = '\0';
	return sscanf(text, "MESSAGE=Missed %" SCNu64, &n) == 1 ? n : 1;
}

/* Whether journald had read nothing of the kernel's in that boot yet: then what it missed was there
 * before it, as for a container in the log of a machine that has long been running. Forgets the
 * matches and the place. 0, 1 or a negative errno. */
static int coverage_is_past(sd_journal *journal)
{
	uint64_t time_us, monotonic_us;
	sd_id128_t boot, last_boot;
	int r;

	r = sd_journal_get_realtime_usec(journal, &time_us);
	if (r >= 0)
		r = sd_journal_get_monotonic_usec(journal, &monotonic_us, &boot);
	if (r < 0)
		return r;
	sd_journal_flush_matches(journal);
	r = sd_journal_add_match(journal, "_TRANSPORT=kernel", 0);
	if (r >= 0)
		r = sd_journal_seek_realtime_usec(journal, time_us);
	if (r >= 0)
		r = sd_journal_previous(journal);
	if (r > 0)
		r = sd_journal_get_monotonic_usec(journal, &monotonic_us, &last_boot) < 0 ||
		    sd_id128_equal(boot, last_boot);
	return r < 0 ? r : r == 0;
}

/* Counts what the entry says, and stays at it. */
static int coverage_add(struct coverage *coverage, sd_journal *journal)
{
	char *cursor CLEANUP(cleanup_free) = NULL;
	uint64_t n = count_missed(journal);
	int r = sd_journal_get_cursor(journal, &cursor);

	if (r >= 0)
		r = coverage_is_past(journal);
	if (r < 0)
		return r;
	coverage->missed += r ? 0 : n;
	r = match_missed(journal);
	if (r >= 0)
		r = sd_journal_seek_cursor(journal, cursor);
	return r < 0 ? r : sd_journal_next(journal);
}

int coverage_read(sd_journal *journal, uint64_t since_us, uint64_t until_us, struct coverage *ret)
{
	uint64_t time_us;
	int r;

	*ret = (struct coverage){0};
	r = sd_journal_get_cutoff_realtime_usec(journal, &ret->begins_us, NULL);
	if (r == 0)
		ret->begins_us = 0;
	if (r >= 0)
		r = match_missed(journal);
	if (r >= 0)
		r = since_us > 0 ? sd_journal_seek_realtime_usec(journal, since_us)
				 : sd_journal_seek_head(journal);
	while (r >= 0 && (r = sd_journal_next(journal)) > 0)
		if (sd_journal_get_realtime_usec(journal, &time_us) >= 0 && time_us >= since_us &&
		    time_us < until_us)
			r = coverage_add(ret, journal);
	return r < 0 ? r : 0;
}
