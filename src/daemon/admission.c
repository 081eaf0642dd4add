#include "daemon/admission.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "config/config.h"
#include "core/record.h"
#include "core/visitor.h"
#include "daemon/burner.h"
#include "daemon/grant-loop.h"
#include "daemon/growth.h"
#include "daemon/kernel/nf-log.h"
#include "daemon/keyed/expected-set.h"
#include "daemon/refusals.h"
#include "daemon/running-config.h"
#include "daemon/stats.h"
#include "daemon/tail.h"
#include "grant/grants.h"
#include "keys/burn.h"
#include "keys/one-time.h"
#include "match/matcher.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/log.h"

struct admission {
	struct running_config *running;
	struct grant_loop *grants;
	struct expected_set *expected;
	struct stats *stats;
	struct burner *burner;
	struct tail *tail;
	const struct record *record; /* the one being matched */
	bool settled;		     /* it was acted on, and the position is behind it */
	struct refusals refusals;
	struct growth full_tables;
	struct nf_log nf_log;
	void (*on_burnt)(void *userdata, const struct burn *burn);
	void *userdata;
};

DEFINE_CLEANUP(struct admission *, admission_free)

static const struct door *admission_door(const struct admission *admission, size_t number)
{
	return &running_config_data(admission->running)->doors[number];
}

static void admission_refuse(struct admission *admission, const struct event *event)
{
	stats_count(admission->stats, event);
	refusals_report(&admission->refusals, event);
}

static void admission_refuse_by_name(struct admission *admission, const struct match *match,
				     const char *door, const char *reason, enum refusal refusal)
{
	admission_refuse(admission, &(struct event){
					    .kind = EVENT_REFUSED,
					    .door = door,
					    .user = match->user,
					    .knock = match->knock,
					    .source = match->source,
					    .reason = reason,
					    .refusal = refusal,
				    });
}

static void admission_refuse_match(struct admission *admission, const struct match *match,
				   const char *reason, enum refusal refusal)
{
	admission_refuse_by_name(admission, match, admission_door(admission, match->door)->name,
				 reason, refusal);
}

/* A request that names no door. */
static void on_stray(void *userdata, const struct matcher_stray *stray)
{
	admission_refuse(userdata, &(struct event){
					   .kind = EVENT_REFUSED,
					   .door = "",
					   .user = stray->user,
					   .source = stray->source,
					   .reason = stray->reason,
					   .refusal = stray->refusal,
				   });
}

/* A door whose sequences are used up one after the other. */
static void admission_warn_if_last(const struct admission *admission, size_t number)
{
	const struct one_time *file =
		matcher_one_time(running_config_matcher(admission->running), number);
	const struct door *door = admission_door(admission, number);

	if (file && one_time_current(file) == one_time_count(file))
		log_line(LOG_WARNING,
			 "door %s: no unused sequence left in %s; the door stays closed",
			 door->name, door->one_time_sequences);
}

/* The position is moved behind the record before anything is done about it. */
static void admission_settle(struct admission *admission)
{
	if (!admission->settled)
		tail_settle(admission->tail);
	admission->settled = true;
}

static void admission_admit(struct admission *admission, const struct match *match, uint64_t age_us)
{
	const struct door *door = admission_door(admission, match->door);

	admission_settle(admission);
	if (age_us > running_config_data(admission->running)->max_age_us)
		admission_refuse_match(admission, match, "the knock is older than max_age",
				       REFUSAL_CLOCK);
	else if (!door_allows(door, &match->source))
		admission_refuse_match(admission, match, "the source is not in allow",
				       REFUSAL_SOURCE);
	else
		grants_open(grant_loop_grants(admission->grants), door,
			    &(struct visitor){.source = match->source,
					      .user = match->user,
					      .key = match->key,
					      .knock = match->knock,
					      .seconds = match->seconds,
					      .stamp_us = clock_us(CLOCK_REALTIME)},
			    clock_us(CLOCK_BOOTTIME));
	admission_warn_if_last(admission, match->door);
}

/* It was burnt, or could not be. What has changed meanwhile must be as it was. */
static void on_burnt(void *userdata, const struct burner_result *result)
{
	struct admission *admission = userdata;
	const struct match *match = &result->match;
	const char *problem = match->problem;
	enum refusal refusal = problem ? match->refusal : REFUSAL_OTHER;

	if (result->is_burnt && match->burn->kind != BURN_LINE)
		admission->on_burnt(admission->userdata, match->burn);
	if (!problem && result->outdated)
		problem = "the configuration was read again before it was recorded as used; knock "
			  "again";
	if (!problem && !admission->tail)
		problem = "the daemon was stopped before it was recorded as used";
	if (problem) {
		admission_refuse_by_name(admission, match, result->door, problem, refusal);
		if (!result->outdated && match->burn->kind == BURN_LINE)
			admission_warn_if_last(admission, match->door);
		return;
	}
	admission->settled = false;
	admission_admit(admission, match, result->age_us);
	grant_loop_rearm(admission->grants);
}

/* Doors that all look into other logs do not mind it. */
void admission_look_at_kernel(struct admission *admission)
{
	const struct config *config = running_config_data(admission->running);

	for (size_t i = 0; i < config->n_doors; i++)
		if (!config->doors[i].log) {
			nf_log_is_for_all(&admission->nf_log, config->trust_all_netns);
			return;
		}
}

/* What takes a key cannot be forged; what is not the kernel's has its own rules. */
static bool admission_may_be_forged(struct admission *admission, const struct match *match)
{
	bool is_trusted = running_config_data(admission->running)->trust_all_netns;

	return match->knock == KNOCK_SEQUENCE && !admission_door(admission, match->door)->log &&
	       nf_log_is_for_all(&admission->nf_log, is_trusted) && !is_trusted;
}

static void on_match(void *userdata, const struct match *found)
{
	struct admission *admission = userdata;
	struct match match = *found;
	uint64_t age_us = tail_age_us(admission->tail, admission->record);

	if (admission->record->past)
		return;
	admission->stats->matches++;
	if (!match.problem && admission_may_be_forged(admission, &match)) {
		match.problem = "net.netfilter.nf_log_all_netns is on: anybody may have forged it";
		match.refusal = REFUSAL_OTHER;
	}
	if (match.burn &&
	    burner_add(admission->burner, &match, admission_door(admission, match.door)->name,
		       age_us, &match.problem, &match.refusal))
		return;
	/* Whoever sends an overheard knock again and again must not cause a write each time. */
	if (match.problem)
		admission_refuse_match(admission, &match, match.problem, match.refusal);
	else
		admission_admit(admission, &match, age_us);
}

/* Of the firewall's limits by source: whoever finds no place in one is not logged. */
static void admission_report_full_tables(struct admission *admission, uint64_t n)
{
	uint64_t more = growth_take(&admission->full_tables, n);

	if (more > 0)
		log_line(LOG_WARNING,
			 "a table of the firewall's limits by source is full, the kernel says "
			 "(%" PRIu64 " times more): knocks of new sources are not logged; see "
			 "knocktail doctor",
			 more);
}

void admission_on_record(void *userdata, const struct record *record)
{
	struct admission *admission = userdata;
	struct matcher *matcher = running_config_matcher(admission->running);
	uint64_t n_probes = matcher_counts(matcher)->probes;

	admission->record = record;
	admission->settled = false;
	matcher_feed(matcher, record, on_match, admission);
	expected_set_update(admission->expected);
	if (matcher_counts(matcher)->probes > n_probes) {
		admission->stats->last_probe_us = record->realtime_us;
		if (!record->past)
			tail_hurry(admission->tail);
	}
	admission_report_full_tables(admission, matcher_counts(matcher)->full_tables);
	if (admission->settled)
		grant_loop_rearm(admission->grants);
}

int admission_new(const struct admission_options *options, struct admission **ret)
{
	CLEANUP(cleanup_admission_free) struct admission *admission = calloc(1, sizeof *admission);
	CLEANUP(cleanup_free) char *directory = NULL;
	int r;

	if (!admission)
		return -ENOMEM;
	admission->running = options->running;
	admission->grants = options->grants;
	admission->expected = options->expected;
	admission->stats = options->stats;
	admission->on_burnt = options->on_burnt;
	admission->userdata = options->userdata;
	refusals_init(&admission->refusals);
	if (asprintf(&directory, "%s/burnt", options->state_directory) < 0) {
		directory = NULL;
		return -ENOMEM;
	}
	r = burner_new(options->event, directory, on_burnt, admission, &admission->burner);
	if (r < 0)
		return r;
	running_config_set_stray(options->running, on_stray, admission);
	*ret = TAKE_PTR(admission);
	return 0;
}

struct admission *admission_free(struct admission *admission)
{
	if (admission) {
		admission->tail = NULL;
		burner_free(admission->burner);
		free(admission);
	}
	return NULL;
}

void admission_set_tail(struct admission *admission, struct tail *tail)
{
	admission->tail = tail;
}

void admission_reloaded(struct admission *admission)
{
	burner_outdate(admission->burner);
}

int admission_burn(struct admission *admission, const struct burn *burn)
{
	int r;

	if (!matcher_has_key(running_config_matcher(admission->running), &burn->key))
		return -ENOENT;
	r = burner_add_foreign(admission->burner, burn);
	return r == -EALREADY ? 0 : r;
}

void admission_closed(struct admission *admission, const char *door, const struct address *source)
{
	burner_close(admission->burner, door, source);
}
