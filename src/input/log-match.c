#include "input/log-match.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/other-log.h"
#include "util/cleanup.h"

struct claim {
	char *text; /* "FIELD=value" */
	size_t length;
	uint32_t origin;
	uint32_t field; /* a bit for each field that the origin names */
};

struct log_match {
	size_t n_logs, n_claims;
	uint32_t needed[OTHER_LOGS_MAX], seen[OTHER_LOGS_MAX]; /* fields, by origin */
	struct claim log_match[];
};

DEFINE_CLEANUP(struct log_match *, log_match_free)

struct log_match *log_match_free(struct log_match *log_match)
{
	if (!log_match)
		return NULL;
	for (size_t i = 0; i < log_match->n_claims; i++)
		free(log_match->log_match[i].text);
	free(log_match);
	return NULL;
}

static size_t count(const struct other_log *logs, size_t n)
{
	size_t n_matches = 0;

	for (size_t i = 0; i < n; i++)
		for (char **match = logs[i].matches; *match; match++)
			n_matches++;
	return n_matches;
}

/* The bit of the claim's field, which is a new one if no other claim of the origin has it. */
static uint32_t field_of(const struct log_match *log_match, const struct claim *claim)
{
	size_t length = strcspn(claim->text, "=") + 1;

	for (size_t i = 0; i < log_match->n_claims; i++) {
		const struct claim *other = &log_match->log_match[i];

		if (other->origin == claim->origin &&
		    strncmp(other->text, claim->text, length) == 0)
			return other->field;
	}
	return log_match->needed[claim->origin] + 1;
}

static int add(struct log_match *log_match, uint32_t origin, const char *match)
{
	struct claim claim = {.text = strdup(match), .length = strlen(match), .origin = origin};

	if (!claim.text)
		return -ENOMEM;
	claim.field = field_of(log_match, &claim);
	log_match->needed[origin] |= claim.field;
	log_match->log_match[log_match->n_claims++] = claim;
	return 0;
}

int log_match_new(const struct other_log *logs, size_t n, struct log_match **ret)
{
	CLEANUP(cleanup_log_match_free)
	struct log_match *log_match =
		calloc(1, sizeof *log_match + count(logs, n) * sizeof(struct claim));

	if (!log_match)
		return -ENOMEM;
	log_match->n_logs = n;
	for (uint32_t i = 0; i < n; i++)
		for (char **match = logs[i].matches; *match; match++)
			if (add(log_match, i, *match) < 0)
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
	for (size_t i = 0; i < log_match->n_claims; i++) {
		const struct claim *claim = &log_match->log_match[i];

		if (claim->length == length && memcmp(claim->text, data, length) == 0)
			log_match->seen[claim->origin] |= claim->field;
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
	uint32_t origin = UINT32_MAX;
	int r = 0;

	for (size_t i = 0; r >= 0 && i < log_match->n_claims; i++) {
		const struct claim *claim = &log_match->log_match[i];

		if (claim->origin != origin)
			r = sd_journal_add_disjunction(journal);
		if (r >= 0)
			r = sd_journal_add_match(journal, claim->text, claim->length);
		origin = claim->origin;
	}
	return r < 0 ? r : 0;
}
