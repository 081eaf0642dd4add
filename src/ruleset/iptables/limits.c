#include "ruleset/iptables/limits.h"

#include <stdlib.h>
#include <string.h>

#include "ruleset/iptables/reader.h"

/* For how long hashlimit keeps an idle source, unless it is told otherwise. */
enum { HASHED_EXPIRE_MS = 10000 };

/* "30/min" */
static uint64_t per_hour(const char *text)
{
	static const struct {
		const char *unit;
		uint64_t times;
	} units[] = {{"/s", 3600}, {"/m", 60}, {"/h", 1}, {"/d", 0}};
	uint64_t number = strtoull(text, NULL, 10);

	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
		if (strstr(text, units[i].unit))
			return units[i].times ? number * units[i].times : number / 24;
	return number;
}

/* What is not said is 5. */
static struct log_limit *limit_begin(struct log_limit *limit)
{
	if (!limit->is_there)
		*limit = (struct log_limit){.is_there = true, .burst = 5};
	return limit;
}

int read_limit_rate(struct rule_reader *reader)
{
	limit_begin(&reader->rule->limits.for_all)->per_hour = per_hour(reader_take(reader));
	return 0;
}

int read_limit_burst(struct rule_reader *reader)
{
	limit_begin(&reader->rule->limits.for_all)->burst =
		(uint32_t)strtoul(reader_take(reader), NULL, 10);
	return 0;
}

/* What iptables-save does not print is the default. */
static struct log_limit *hashed_begin(struct rule_reader *reader)
{
	if (!reader->hashed.is_there)
		limit_begin(&reader->hashed)->place_ms = HASHED_EXPIRE_MS;
	return &reader->hashed;
}

int read_hashed_rate(struct rule_reader *reader)
{
	hashed_begin(reader)->per_hour = per_hour(reader_take(reader));
	return 0;
}

int read_hashed_over(struct rule_reader *reader)
{
	hashed_begin(reader)->is_over = true;
	return read_hashed_rate(reader);
}

int read_hashed_burst(struct rule_reader *reader)
{
	hashed_begin(reader)->burst = (uint32_t)strtoul(reader_take(reader), NULL, 10);
	return 0;
}

int read_hashed_mode(struct rule_reader *reader)
{
	reader->is_by_source = strstr(reader_take(reader), "srcip") != NULL;
	return 0;
}

int read_hashed_name(struct rule_reader *reader)
{
	return ruleset_set_text(&hashed_begin(reader)->table, reader_take(reader));
}

int read_hashed_max(struct rule_reader *reader)
{
	hashed_begin(reader)->n_places = strtoull(reader_take(reader), NULL, 10);
	return 0;
}

int read_hashed_expire(struct rule_reader *reader)
{
	hashed_begin(reader)->place_ms = strtoull(reader_take(reader), NULL, 10);
	return 0;
}

/* The rule owns what has been read. */
static void place_hashed(struct rule_reader *reader)
{
	struct log_limits *limits = &reader->rule->limits;

	if (!reader->hashed.is_there)
		return;
	if (reader->is_by_source && !limits->by_source.is_there) {
		limits->by_source = reader->hashed;
	} else {
		free(reader->hashed.table);
		reader->hashed.table = NULL;
		if (!limits->for_all.is_there)
			limits->for_all = reader->hashed;
	}
	reader->hashed = (struct log_limit){0};
	reader->is_by_source = false;
}

static uint32_t take_number(struct rule_reader *reader)
{
	return (uint32_t)strtoul(reader_take(reader), NULL, 10);
}

/* The first connection is not above any but none. */
int read_connections_above(struct rule_reader *reader)
{
	return reader_add_number(reader, FIELD_RATE, take_number(reader) == 0);
}

int read_connections_up_to(struct rule_reader *reader)
{
	return reader_add_number(reader, FIELD_RATE, take_number(reader) > 0);
}

int read_recent_set(struct rule_reader *reader)
{
	reader->recent =
		(struct recent_match){.is_there = true, .negated = reader->negated, .is_set = true};
	return 0;
}

int read_recent_check(struct rule_reader *reader)
{
	reader->recent = (struct recent_match){.is_there = true, .negated = reader->negated};
	return 0;
}

int read_recent_hits(struct rule_reader *reader)
{
	reader->recent.hits = take_number(reader);
	return 0;
}

/* Who comes for the first time has not come often. */
static int place_recent(struct rule_reader *reader)
{
	const struct recent_match recent = reader->recent;
	struct rule_view *rule = reader->rule;

	reader->recent.is_there = false;
	if (!recent.is_there)
		return 0;
	if (recent.is_set)
		return rule_view_add_number(rule, FIELD_CONSTANT, recent.negated, ANSWER_YES);
	return rule_view_add_number(rule, recent.hits > 1 ? FIELD_RATE : FIELD_EARNED,
				    recent.negated, 0);
}

int limits_place(struct rule_reader *reader)
{
	place_hashed(reader);
	return place_recent(reader);
}
