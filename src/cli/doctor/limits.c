#include "cli/doctor/limits.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/common/limits.h"
#include "cli/doctor/finding.h"
#include "config/config.h"
#include "core/door.h"
#include "ruleset/walk.h"
#include "util/cleanup.h"

/* Slower for all sources together, a log is used up by the first scan: ufw has 3 a minute. */
enum { LIMIT_FOR_ALL_PER_HOUR = 3600 };

enum { MS_PER_S = 1000, S_PER_HOUR = 3600, S_PER_MINUTE = 60 };

static const char advice[] = "`knocktail rules` prints rules with limits that do";
static const char source_advice[] =
	"limit each source instead: -m hashlimit --hashlimit-mode srcip, or in nft a dynamic set; "
	"`knocktail rules` prints it";

/* Where the kernel shows what is in the tables of hashlimit. */
static const char *const table_directories[N_FAMILIES] = {
	[FAMILY_IPV4] = "/proc/net/ipt_hashlimit",
	[FAMILY_IPV6] = "/proc/net/ip6t_hashlimit",
};

/* How many sources a table of hashlimit holds now: a line each. */
static uint64_t count_sources(const char *table, enum family family)
{
	CLEANUP(cleanup_fclose) FILE *file = NULL;
	char *path CLEANUP(cleanup_free) = NULL;
	uint64_t n = 0;
	int c;

	if (asprintf(&path, "%s/%s", table_directories[family], table) < 0) {
		path = NULL;
		return 0;
	}
	file = fopen(path, "re");
	while (file && (c = getc_unlocked(file)) != EOF)
		n += c == '\n';
	return n;
}

static bool is_full_now(const struct log_limit *limit, enum family family)
{
	return limit->is_full || (limit->table && limit->n_places > 0 &&
				  count_sources(limit->table, family) >= limit->n_places);
}

/* Whether so many new sources a second as must not fill the table do. */
static bool is_small(const struct log_limit *limit)
{
	return limit->n_places > 0 &&
	       (limit->place_ms == 0 ||
		limit->n_places * MS_PER_S / limit->place_ms < (uint64_t)LIMIT_SOURCES_PER_S);
}

static void say_small(struct doctor *doctor, const struct door *door, enum family family,
		      const struct walk *walk)
{
	const struct log_limit *limit = &walk->limits.by_source;

	doctor_say(doctor, FINDING_WARNING, advice,
		   "door %s, %s: invented sources, %" PRIu64
		   " a second, fill the table of the limit, and nobody else's knock is logged "
		   "then, in %s",
		   door->name, family_name(family),
		   limit->place_ms > 0 ? limit->n_places * MS_PER_S / limit->place_ms : 0,
		   walk->logged->text);
}

/* Whether it is for what comes to the expected ports alone. In nft a set is called by the last word
 * of its name. */
static bool asks_for_expected(const struct rule_view *rule, const char *expected_ports)
{
	const char *blank = strrchr(expected_ports, ' ');
	const char *name = blank ? blank + 1 : expected_ports;

	for (size_t i = 0; i < rule->n_conditions; i++) {
		const struct condition *condition = &rule->conditions[i];

		if (condition_asks(condition, FIELD_PORT) && condition->set &&
		    !condition->negated && strcmp(condition->set, name) == 0)
			return true;
	}
	return false;
}

static void judge_by_source(struct doctor *doctor, const struct door *door, enum family family,
			    const struct walk *walk)
{
	const struct log_limit *limit = &walk->limits.by_source;

	/* What comes to expected ports needs none by source: few know them. */
	if (!limit->is_there && !asks_for_expected(walk->logged, doctor->config->expected_ports))
		doctor_say(doctor, FINDING_WARNING, source_advice,
			   "door %s, %s: for all sources together: one host can use it up, in %s",
			   door->name, family_name(family), walk->logged->text);
	else if (is_full_now(limit, family))
		doctor_say(doctor, FINDING_PROBLEM, advice,
			   "door %s, %s: the table of the limit is full (%" PRIu64
			   " sources): knocks of new sources are not logged, in %s",
			   door->name, family_name(family), limit->n_places, walk->logged->text);
	else if (is_small(limit))
		say_small(doctor, door, family, walk);
	else if (!walk->limits.for_all.is_there)
		doctor_say(doctor, FINDING_WARNING, advice,
			   "door %s, %s: none for all sources together: whoever invents sources "
			   "turns the journal over, in %s",
			   door->name, family_name(family), walk->logged->text);
}

static bool is_tight(const struct log_limit *limit, unsigned n_steps)
{
	return limit->is_there && limit->burst < n_steps;
}

void limits_judge(struct doctor *doctor, const struct door *door, enum family family,
		  const struct walk *walk, unsigned n_steps)
{
	const struct log_limits *limits = &walk->limits;
	const struct log_limit *tight =
		is_tight(&limits->by_source, n_steps) ? &limits->by_source : &limits->for_all;

	if (limits->for_all.per_hour > doctor->lines_per_hour)
		doctor->lines_per_hour = limits->for_all.per_hour;
	if (!limits->by_source.is_there && !limits->for_all.is_there)
		doctor_say(doctor, FINDING_WARNING, source_advice,
			   "door %s, %s: none: one host can fill the journal, by %s", door->name,
			   family_name(family), walk->logged->text);
	else if (is_tight(tight, n_steps))
		doctor_say(doctor, FINDING_PROBLEM, source_advice,
			   "door %s, %s: a burst of %" PRIu32
			   " does not let the %u steps of a knock through at once, in %s",
			   door->name, family_name(family), tight->burst, n_steps,
			   walk->logged->text);
	else if (limits->for_all.is_there && limits->for_all.per_hour < LIMIT_FOR_ALL_PER_HOUR)
		doctor_say(doctor, FINDING_PROBLEM, source_advice,
			   "door %s, %s: %" PRIu64
			   " lines an hour for all sources together: knocks vanish in it, in %s",
			   door->name, family_name(family), limits->for_all.per_hour,
			   walk->logged->text);
	else
		judge_by_source(doctor, door, family, walk);
}

void limits_say_cost(struct doctor *doctor)
{
	double per_s = (double)doctor->lines_per_hour / S_PER_HOUR;
	double bytes_per_s = per_s * LIMIT_LINE_BYTES;

	if (doctor->lines_per_hour == 0 || doctor->journal_max == 0)
		return;
	doctor_say(doctor, FINDING_OK, NULL,
		   "a flood may log %.0f lines a second, %.1f MB: the journal (%s, %.1f GB) keeps "
		   "the last %.0f minutes of one",
		   per_s, bytes_per_s / 1e6, doctor->journal_bound,
		   (double)doctor->journal_max / 1e9,
		   (double)doctor->journal_max / bytes_per_s / S_PER_MINUTE);
}
