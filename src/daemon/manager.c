#include "daemon/manager.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-event.h>

#include "config/config.h"
#include "core/record.h"
#include "core/visitor.h"
#include "daemon/bus/connection.h"
#include "daemon/full-tables.h"
#include "daemon/grant-loop.h"
#include "daemon/nf-log.h"
#include "daemon/notifier.h"
#include "daemon/refusals.h"
#include "daemon/stats.h"
#include "daemon/tail.h"
#include "firewall/firewall.h"
#include "input/input.h"
#include "keys/burnt.h"
#include "keys/one-time.h"
#include "match/checked-config.h"
#include "match/matcher.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/log.h"

struct manager {
	const char *config_path;
	sd_event *event;
	struct notifier *notifier;
	struct config *config;
	struct matcher *matcher;
	struct burnt *burnt;
	struct grant_loop *grants;
	struct tail *tail;
	struct bus *bus;
	struct stats stats;
	const struct record *record; /* the one being matched */
	bool settled;		     /* it was acted on, and the position is behind it */
	struct refusals refusals;
	struct full_tables full_tables;
	sd_event_source *tending;
	bool stopping;
};

/* How often the matcher prepares for the token and SPA knocks of the next minutes. */
#define TEND_US US_PER_S

DEFINE_CLEANUP(struct manager *, manager_free)

static void on_trouble(void *userdata, const char *door, const char *problem)
{
	(void)userdata;
	log_line(LOG_ERR, "door %s cannot be opened: %s", door, problem);
}

/* A door that cannot be opened now may be later: its set may be created after the daemon starts.
 */
static void manager_ready_doors(struct manager *manager)
{
	struct firewall *firewall = grants_firewall(grant_loop_grants(manager->grants));

	firewall_forget_ready(firewall);
	for (size_t i = 0; i < manager->config->n_doors; i++)
		firewall_make_ready(firewall, manager->config->doors[i].name,
				    &manager->config->doors[i].opening, clock_us(CLOCK_BOOTTIME),
				    on_trouble, NULL);
	grant_loop_rearm(manager->grants);
}

static void manager_report_refusal(struct manager *manager, const struct event *event)
{
	stats_count(&manager->stats, EVENT_REFUSED);
	refusals_report(&manager->refusals, event);
}

static void refuse_match(struct manager *manager, const struct match *match, const char *reason)
{
	manager_report_refusal(manager, &(struct event){
						.door = manager->config->doors[match->door].name,
						.user = match->user,
						.knock = match->knock,
						.source = match->source,
						.reason = reason,
					});
}

/* A request that names no door. */
static void on_stray(void *userdata, const struct matcher_stray *stray)
{
	manager_report_refusal(userdata, &(struct event){
						 .door = "",
						 .user = stray->user,
						 .source = stray->source,
						 .reason = stray->reason,
					 });
}

/* A door whose sequences are used up one after the other. */
static void warn_if_last(const struct manager *manager, size_t number)
{
	const struct one_time *file = matcher_one_time(manager->matcher, number);
	const struct door *door = &manager->config->doors[number];

	if (file && one_time_current(file) == one_time_count(file))
		log_line(LOG_WARNING,
			 "door %s: no unused sequence left in %s; the door stays closed",
			 door->name, door->one_time_sequences);
}

static void on_match(void *userdata, const struct match *match)
{
	struct manager *manager = userdata;
	const struct door *door = &manager->config->doors[match->door];

	if (manager->record->past)
		return;
	manager->stats.matches++;
	if (match->problem) {
		/* Whoever sends an overheard knock again and again must not cause a write each
		 * time. */
		refuse_match(manager, match, match->problem);
		return;
	}
	if (!manager->settled)
		tail_settle(manager->tail);
	manager->settled = true;
	if (tail_age_us(manager->tail, manager->record) > manager->config->max_age_us)
		refuse_match(manager, match, "the knock is older than max_age");
	else if (!door_allows(door, &match->source))
		refuse_match(manager, match, "the source is not in allow");
	else
		grants_open(
			grant_loop_grants(manager->grants), door,
			&(struct visitor){match->source, match->user, match->knock, match->seconds},
			clock_us(CLOCK_BOOTTIME));
	warn_if_last(manager, match->door);
}

static void on_record(void *userdata, const struct record *record)
{
	struct manager *manager = userdata;
	uint64_t n_probes = matcher_counts(manager->matcher)->probes;

	manager->record = record;
	manager->settled = false;
	matcher_feed(manager->matcher, record, on_match, manager);
	if (matcher_counts(manager->matcher)->probes > n_probes) {
		manager->stats.last_probe_us = record->realtime_us;
		if (!record->past)
			tail_hurry(manager->tail);
	}
	full_tables_report(&manager->full_tables, matcher_counts(manager->matcher)->full_tables,
			   clock_us(CLOCK_MONOTONIC));
	if (manager->settled)
		grant_loop_rearm(manager->grants);
}

static void on_event(void *userdata, const struct event *event)
{
	struct manager *manager = userdata;

	stats_count(&manager->stats, event->kind);
	if (manager->bus)
		bus_on_event(manager->bus, event);
}

/* The door, if this user (or nobody) may still open it. */
static const struct door *manager_find_door(void *userdata, const char *name, const char *user)
{
	const struct manager *manager = userdata;

	if (user[0] && !matcher_knows(manager->matcher, NULL, user))
		return NULL;
	return config_find_door(manager->config, name);
}

/* A matcher takes over from the one before. */
struct handover {
	const struct matcher *old, *new;
};

/* A user with another key than before is another user. */
static bool handover_has_same_key(void *userdata, const char *user)
{
	const struct handover *handover = userdata;

	return matcher_knows(handover->new, handover->old, user);
}

/* Puts a matcher and its configuration in the place of the old ones. Grants of users whose keys
 * have gone are closed while both matchers are there to compare. */
static void manager_replace(struct manager *manager, struct matcher *matcher, struct config *config)
{
	struct handover handover = {.old = manager->matcher, .new = matcher};
	struct grants *grants = grant_loop_grants(manager->grants);

	matcher_set_burnt(matcher, manager->burnt);
	matcher_set_stray(matcher, on_stray, manager);
	burnt_set_skew(manager->burnt, (uint32_t)(config->clock_skew_us / US_PER_S));
	if (manager->matcher)
		grants_expel(grants, handover_has_same_key, &handover, clock_us(CLOCK_BOOTTIME));
	matcher_free(manager->matcher);
	manager->matcher = matcher;
	config_free(manager->config);
	manager->config = config;
	grants_limit(grants, config->max_open);
}

/* Puts a configuration in force, which belongs to the manager then. After an error, which is
 * logged, nothing has changed. */
static int manager_apply(struct manager *manager, struct config *config)
{
	struct matcher *matcher = NULL;
	int r = matcher_new(config, MATCH_LIVE, manager->matcher, &matcher);

	if (r == 0 && manager->tail)
		r = tail_listen(manager->tail, config->logs, config->n_logs);
	if (r < 0) {
		log_line(LOG_ERR, "cannot set up the doors: %s", strerror(-r));
		matcher_free(matcher);
		return r;
	}
	/* Records that one configuration has judged must not be judged again by another. */
	if (manager->tail)
		tail_settle(manager->tail);
	manager_replace(manager, matcher, config);
	return 0;
}

/* Closes the grants that the configuration has no door for any more. */
static void manager_review(struct manager *manager)
{
	grants_review(grant_loop_grants(manager->grants), manager_find_door, manager,
		      clock_us(CLOCK_BOOTTIME));
	grant_loop_rearm(manager->grants);
}

static int load_config(const char *path, struct config **ret)
{
	struct complaints complaints;
	char text[COMPLAINT_LINE_MAX];
	int r = checked_config_load(path, ret, &complaints);

	for (size_t i = 0; i < complaints.n_items; i++)
		log_line(complaints.items[i].warning ? LOG_WARNING : LOG_ERR, "%s",
			 complaint_format(&complaints.items[i], path, text));
	complaints_done(&complaints);
	return r;
}

static int manager_reload(struct manager *manager)
{
	struct config *config;
	int r;

	notifier_say(manager->notifier,
		     "RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\nSTATUS=Reading %s",
		     clock_us(CLOCK_MONOTONIC), manager->config_path);
	r = load_config(manager->config_path, &config);
	if (r == 0) {
		r = manager_apply(manager, config);
		if (r < 0)
			config_free(config);
	}
	if (r == 0) {
		manager_review(manager);
		manager_ready_doors(manager);
	}
	manager->stats.last_reload_us = clock_us(CLOCK_REALTIME);
	manager->stats.reloads++;
	manager->stats.failed_reloads += r < 0;
	if (r == 0)
		log_line(LOG_NOTICE, "reloaded %s (%zu doors)", manager->config_path,
			 manager->config->n_doors);
	else
		log_line(LOG_ERR, "keeping the current configuration");
	notifier_say(manager->notifier, "READY=1\nSTATUS=Doors: %zu%s", manager->config->n_doors,
		     r == 0 ? "" : "; the last reload failed");
	if (r == 0 && manager->bus)
		bus_reloaded(manager->bus);
	return r;
}

static int on_reload(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	(void)source;
	(void)info;
	manager_reload(userdata);
	return 0;
}

static int on_stop(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	struct manager *manager = userdata;

	(void)source;
	(void)info;
	manager->stopping = true;
	return 0;
}

static int manager_watch_signals(struct manager *manager)
{
	sigset_t signals;
	int r;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
		return -errno;
	r = sd_event_add_signal(manager->event, NULL, SIGTERM, on_stop, manager);
	if (r >= 0)
		r = sd_event_add_signal(manager->event, NULL, SIGINT, on_stop, manager);
	if (r >= 0)
		r = sd_event_add_signal(manager->event, NULL, SIGHUP, on_reload, manager);
	return r < 0 ? r : 0;
}

static int on_tend(sd_event_source *source, uint64_t time_us, void *userdata)
{
	struct manager *manager = userdata;

	matcher_tend(manager->matcher, clock_us(CLOCK_REALTIME));
	sd_event_source_set_time(source, time_us + TEND_US);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* Nonces and tokens that were used are on file: the next daemon refuses them as well. */
static int manager_open_burnt(struct manager *manager, const struct manager_options *options)
{
	CLEANUP(cleanup_free) char *directory = NULL;

	if (asprintf(&directory, "%s/burnt", options->state_directory) < 0) {
		directory = NULL;
		return -ENOMEM;
	}
	return burnt_new(directory, 0, &manager->burnt);
}

/* How much later than the kernel wrote it a record may be stored. */
#define LAG_US US_PER_S

/* How long ago a knock may have begun that can still open a door. */
static uint64_t reach_us(const struct config *config)
{
	uint64_t longest_us = 0;

	for (size_t i = 0; i < config->n_doors; i++)
		if (config->doors[i].knock.seq_timeout_us > longest_us)
			longest_us = config->doors[i].knock.seq_timeout_us;
	return config->max_age_us + longest_us + LAG_US;
}

static const struct config *manager_config(void *userdata)
{
	return ((struct manager *)userdata)->config;
}

static void manager_stats(void *userdata, struct stats *ret)
{
	const struct manager *manager = userdata;
	const struct matcher_counts *counts = matcher_counts(manager->matcher);
	const struct input_counts *input_counts = tail_counts(manager->tail);

	*ret = manager->stats;
	ret->records = counts->records;
	ret->probes = counts->probes;
	ret->damaged = counts->damaged;
	ret->full_tables = counts->full_tables;
	ret->sources = matcher_sources(manager->matcher);
	ret->max_sources = manager->config->max_sources;
	ret->grants = grants_count(grant_loop_grants(manager->grants));
	ret->doors = manager->config->n_doors;
	ret->missed = input_counts->missed;
	ret->gaps = input_counts->gaps;
}

static int on_bus_reload(void *userdata)
{
	return manager_reload(userdata);
}

/* The doors do not depend on the bus. */
static void manager_join_bus(struct manager *manager)
{
	static const struct bus_ops ops = {
		.config = manager_config,
		.stats = manager_stats,
		.reload = on_bus_reload,
	};
	int r = bus_new(manager->event, manager->grants, &ops, manager, &manager->bus);

	if (r < 0)
		log_line(LOG_ERR, "cannot join the system bus: %s", strerror(-r));
}

/* What a predecessor has left on file. Nobody else has it from here on. */
static int manager_open_files(struct manager *manager, const struct manager_options *options)
{
	int r = manager_open_burnt(manager, options);

	return r < 0 ? r
		     : grant_loop_new(manager->event, options->runtime_directory, &manager->grants);
}

/* Takes over the grants on file. Those that cannot be read now are tried again later. */
static void manager_inherit(struct manager *manager)
{
	int r = grants_inherit(grant_loop_grants(manager->grants), manager_find_door, manager,
			       clock_us(CLOCK_BOOTTIME));

	if (r < 0)
		log_line(LOG_ERR, "cannot read saved grants, will retry: %s", strerror(-r));
}

static int manager_tend(struct manager *manager)
{
	int r = sd_event_add_time(manager->event, &manager->tending, CLOCK_MONOTONIC,
				  clock_us(CLOCK_MONOTONIC), 0, on_tend, manager);

	return r < 0 ? r : 0;
}

static int manager_follow(struct manager *manager, const struct manager_options *options)
{
	int r = tail_new(manager->event,
			 &(struct tail_options){
				 .directory = options->runtime_directory,
				 .reach_us = reach_us(manager->config),
				 .fn = on_record,
				 .userdata = manager,
			 },
			 &manager->tail);

	return r < 0 ? r
		     : tail_listen(manager->tail, manager->config->logs, manager->config->n_logs);
}

/* The order matters:
 *  - the configuration first: if it is wrong, nothing that a predecessor left is touched;
 *  - the files before the matcher, which looks up what was used;
 *  - the matcher before the grants, whose users it knows;
 *  - whoever reports events before the grants are taken over, which causes some;
 *  - the review after that: it closes what was taken over and has no door;
 *  - the sets and chains of the doors after the grants, so that none is opened twice;
 *  - the journal last: a knock must find all of that. */
static int manager_start(struct manager *manager, const struct manager_options *options)
{
	struct config *config = NULL;
	int r = load_config(options->config_path, &config);

	if (r < 0)
		return r;
	r = manager_open_files(manager, options);
	if (r == 0)
		r = manager_apply(manager, config);
	if (r < 0) {
		config_free(config);
		return r;
	}
	r = manager_tend(manager);
	if (r < 0)
		return r;
	grant_loop_listen(manager->grants, on_event, manager);
	manager_inherit(manager);
	manager_review(manager);
	manager_ready_doors(manager);
	nf_log_check();
	manager_join_bus(manager);
	return manager_follow(manager, options);
}

int manager_new(const struct manager_options *options, struct manager **ret)
{
	CLEANUP(cleanup_manager_free) struct manager *manager = calloc(1, sizeof *manager);
	int r;

	if (!manager)
		return -ENOMEM;
	manager->config_path = options->config_path;
	manager->stats.since_us = clock_us(CLOCK_REALTIME);
	r = sd_event_new(&manager->event);
	if (r >= 0)
		r = manager_watch_signals(manager);
	if (r == 0)
		r = notifier_new(manager->event, &manager->notifier);
	if (r < 0) {
		log_line(LOG_ERR, "cannot set up the event loop: %s", strerror(-r));
		return r;
	}
	r = manager_start(manager, options);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(manager);
	return 0;
}

struct manager *manager_free(struct manager *manager)
{
	if (manager) {
		tail_free(manager->tail);
		sd_event_source_unref(manager->tending);
		bus_free(manager->bus);
		grant_loop_free(manager->grants);
		matcher_free(manager->matcher);
		burnt_free(manager->burnt);
		config_free(manager->config);
		notifier_free(manager->notifier);
		sd_event_unref(manager->event);
		free(manager);
	}
	return NULL;
}

static int manager_stop(struct manager *manager)
{
	int r;

	notifier_say(manager->notifier, "STOPPING=1");
	tail_settle(manager->tail);
	manager->tail = tail_free(manager->tail);
	/* Nobody can open a door now. */
	manager->bus = bus_free(manager->bus);
	if (manager->config->on_stop == ON_STOP_KEEP)
		return 0;
	r = grant_loop_suspend(manager->grants);
	if (r < 0)
		log_line(LOG_ERR, "failed to close %zu doors",
			 grants_count(grant_loop_grants(manager->grants)));
	return r;
}

int manager_run(struct manager *manager)
{
	log_line(LOG_INFO, "following the journal (%zu doors)", manager->config->n_doors);
	notifier_say(manager->notifier, "READY=1\nSTATUS=Doors: %zu", manager->config->n_doors);
	while (!manager->stopping) {
		int r = sd_event_run(manager->event, UINT64_MAX);

		if (r < 0) {
			log_line(LOG_ERR, "the event loop failed: %s", strerror(-r));
			return r;
		}
	}
	return manager_stop(manager);
}
