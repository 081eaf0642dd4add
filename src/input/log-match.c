#include "input/log-match.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/other-log.h"
#include "util/cleanup.h"

struct journal_match {
	char *text; /* "FIELD=value" */
	size_t length;
	uint32_t log;
	uint32_t field; /* a bit for each field that the log names */
};

struct log_match {
	size_t n_logs, n_matches;
	uint32_t needed[OTHER_LOGS_MAX], seen[OTHER_LOGS_MAX]; /* fields, by log */
	struct journal_match matches[];
};

DEFINE_CLEANUP(struct log_match *, log_match_free)

struct log_match *log_match_free(struct log_match *log_match)
{
	if (!log_match)
		return NULL;
	for (size_t i = 0; i < log_match->n_matches; i++)
		free(log_match->matches[i].text);
	free(log_match);
	return NULL;
}

static size_t logs_count_matches(const struct other_log *logs, size_t n)
{
	size_t n_matches = 0;

	for (size_t i = 0; i < n; i++)
		for (char **match = logs[i].matches; *match; match++)
			n_matches++;
	return n_matches;
}

/* The bit of the match's field, a new one if no other match of its log has it. */
static uint32_t field_of(const struct log_match *log_match, const struct journal_match *match)
{
	size_t length = strcspn(match->text, "=") + 1;

	for (size_t i = 0; i < log_match->n_matches; i++) {
		const struct journal_match *other = &log_match->matches[i];

		if (other->log == match->log && strncmp(other->text, match->text, length) == 0)
			return other->field;
	}
	return log_match->needed[match->log] + 1;
}

static int log_match_add(struct log_match *log_match, uint32_t log, const char *text)
{
	struct journal_match match = {.text = strdup(text), .length = strlen(text), .log = log};

	if (!match.text)
		return -ENOMEM;
	match.field = field_of(log_match, &match);
	log_match->needed[log] |= match.field;
	log_match->matches[log_match->n_matches++] = match;
	return 0;
}

int log_match_new(const struct other_log *logs, size_t n, struct log_match **ret)
{
	CLEANUP(cleanup_log_match_free)
	struct log_match *log_match = calloc(
		1, sizeof *log_match + logs_count_matches(logs, n) * sizeof(struct journal_match));

	if (!log_match)
		return -ENOMEM;
	log_match->n_logs = n;
	for (uint32_t i = 0; i < n; i++)
		for (char **match = logs[i].matches; *match; match++)
			if (log_match_add(log_match, i, *match) < 0)
				return -ENOMEM;
	*ret = TAKE_PTR(log_match);
	return 0;
}

void log_match_start(struct log_match *log_match)
{
	memset(log_match->seen, 0, sizeof log_match->seen);
}

void log_match_show(struct log_match *log_match, const char *data, size_t length)
{
	for (size_t i = 0; i < log_match->n_matches; i++) {
		const struct journal_match *match = &log_match->matches[i];

		if (match->length == length && memcmp(match->text, data, length) == 0)
			log_match->seen[match->log] |= match->field;
	}
}

uint32_t log_match_result(const struct log_match *log_match)
{
	uint32_t result = 0;

	for (size_t i = 0; i < log_match->n_logs; i++)
		if (log_match->seen[i] == log_match->needed[i])
			result |= UINT32_C(1) << i;
	return result;
}

int log_match_match(const struct log_match *log_match, sd_journal *journal)
{
	uint32_t log = UINT32_MAX;
	int r = 0;

	for (size_t i = 0; r >= 0 && i < log_match->n_matches; i++) {
		const struct journal_match *match = &log_match->matches[i];

		if (match->log != log)
			r = sd_journal_add_disjunction(journal);
		if (r >= 0)
			r = sd_journal_add_match(journal, match->text, match->length);
		log = match->log;
	}
	return r;
}
