#include "daemon/manager.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-event.h>

#include "audit/audit.h"
#include "audit/ratelimit.h"
#include "config/config.h"
#include "core/record.h"
#include "core/visitor.h"
#include "daemon/bus/connection.h"
#include "daemon/grant-loop.h"
#include "daemon/nf-log.h"
#include "daemon/notifier.h"
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
	struct grant_loop *doors;
	struct tail *tail;
	struct bus *bus;
	struct stats stats;
	const struct record *record; /* the one being judged */
	bool settled;		     /* it is acted on, and the position is behind it */
	struct ratelimit refusals;
	sd_event_source *tending;
	bool stopping;
};

enum { REASON_MAX = 300 };

/* How often what tokens and SPA knocks need for the next minutes is prepared. */
#define TEND_US US_PER_S

DEFINE_CLEANUP(struct manager *, manager_free)

static void on_trouble(void *userdata, const char *door, const char *problem)
{
	(void)userdata;
	log_line(LOG_ERR, "door %s cannot be opened as things are: %s", door, problem);
}

/* A door that cannot be opened now may be later: its set may be made after the daemon has started.
 */
static void check_doors(struct manager *manager)
{
	struct firewall *firewall = grants_firewall(grant_loop_grants(manager->doors));

	firewall_forget_ready(firewall);
	for (size_t i = 0; i < manager->config->n_doors; i++)
		firewall_make_ready(firewall, manager->config->doors[i].name,
				    &manager->config->doors[i].opening, clock_us(CLOCK_BOOTTIME),
				    on_trouble, NULL);
	grant_loop_rearm(manager->doors);
}

/* Knocks that are refused can be sent as often as somebody likes. */
static void refuse(struct manager *manager, const struct event *event)
{
	struct event limited = *event;
	char reason[REASON_MAX];
	uint64_t n_dropped;

	stats_count(&manager->stats, EVENT_REFUSED);
	if (!ratelimit_take(&manager->refusals, event->door, event->user ? event->user : "",
			    clock_us(CLOCK_MONOTONIC), &n_dropped))
		return;
	limited.kind = EVENT_REFUSED;
	if (n_dropped > 0) {
		snprintf(reason, sizeof reason, "%s (%" PRIu64 " more were not logged)",
			 event->reason, n_dropped);
		limited.reason = reason;
	}
	audit_send(&limited);
}

static void refuse_match(struct manager *manager, const struct match *match, const char *reason)
{
	refuse(manager, &(struct event){
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
	refuse(userdata, &(struct event){
				 .door = "",
				 .user = stray->user,
				 .source = stray->source,
				 .reason = stray->reason,
			 });
}

static uint64_t since_us(uint64_t then_us, uint64_t now_us)
{
	return then_us > 0 && now_us > then_us ? now_us - then_us : 0;
}

/* How long ago the record was stored. Neither a wall clock that was set back nor a suspended
 * machine makes an old record young. */
static uint64_t age_us(const struct record *record)
{
	uint64_t wall_us = since_us(record->realtime_us, clock_us(CLOCK_REALTIME));
	uint64_t up_us = since_us(record->monotonic_us, clock_us(CLOCK_MONOTONIC));

	return wall_us > up_us ? wall_us : up_us;
}

/* A door whose sequences are used up one after the other. */
static void warn_if_last(const struct manager *manager, size_t number)
{
	const struct one_time *file = matcher_one_time(manager->matcher, number);
	const struct door *door = &manager->config->doors[number];

	if (file && one_time_current(file) == one_time_count(file))
		log_line(LOG_WARNING,
			 "door %s: no sequence is left in %s: it stays shut from now on",
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
		/* Nothing is put on file for whoever sends what he has overheard, over and over. */
		refuse_match(manager, match, match->problem);
		return;
	}
	if (!manager->settled)
		tail_settle(manager->tail);
	manager->settled = true;
	if (age_us(manager->record) > manager->config->max_age_us)
		refuse_match(manager, match, "the knock is older than max_age");
	else if (!door_allows(door, &match->source))
		refuse_match(manager, match, "the source is not in allow");
	else
		grants_open(
			grant_loop_grants(manager->doors), door,
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
	if (manager->settled)
		grant_loop_rearm(manager->doors);
}

static void on_event(void *userdata, const struct event *event)
{
	struct manager *manager = userdata;

	stats_count(&manager->stats, event->kind);
	if (manager->bus)
		bus_on_event(manager->bus, event);
}

/* The door, if that user (or nobody) may open it still. */
static const struct door *find_door(void *userdata, const char *name, const char *user)
{
	const struct manager *manager = userdata;

	if (user[0] && !matcher_knows(manager->matcher, NULL, user))
		return NULL;
	return config_find_door(manager->config, name);
}

/* A judge and the one before it. */
struct handover {
	const struct matcher *matcher, *predecessor;
};

/* A user with another key than before is another user. */
static bool has_same_key(void *userdata, const char *user)
{
	const struct handover *handover = userdata;

	return matcher_knows(handover->matcher, handover->predecessor, user);
}

/* Puts a configuration in force. */
static int adopt(struct manager *manager, struct config *config)
{
	struct grants *grants = grant_loop_grants(manager->doors);
	struct matcher *matcher = NULL;
	int r = matcher_new(config, MATCH_LIVE, manager->matcher, &matcher);

	if (r == 0 && manager->tail)
		r = tail_listen(manager->tail, config->logs, config->n_logs);
	if (r < 0) {
		log_line(LOG_ERR, "cannot compile the doors: %s", strerror(-r));
		matcher_free(matcher);
		config_free(config);
		return r;
	}
	/* What one configuration has judged is not for another to judge. */
	if (manager->tail)
		tail_settle(manager->tail);
	matcher_set_burnt(matcher, manager->burnt);
	matcher_set_stray(matcher, on_stray, manager);
	burnt_set_skew(manager->burnt, (uint32_t)(config->clock_skew_us / US_PER_S));
	if (manager->matcher)
		grants_expel(grants, has_same_key, &(struct handover){matcher, manager->matcher},
			     clock_us(CLOCK_BOOTTIME));
	matcher_free(manager->matcher);
	manager->matcher = matcher;
	config_free(manager->config);
	manager->config = config;
	grants_limit(grants, config->max_open);
	grants_review(grants, find_door, manager, clock_us(CLOCK_BOOTTIME));
	grant_loop_rearm(manager->doors);
	return 0;
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

static int reload(struct manager *manager)
{
	struct config *config;
	int r;

	notifier_say(manager->notifier,
		     "RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\nSTATUS=Reading %s",
		     clock_us(CLOCK_MONOTONIC), manager->config_path);
	r = load_config(manager->config_path, &config);
	if (r == 0)
		r = adopt(manager, config);
	if (r == 0)
		check_doors(manager);
	manager->stats.last_reload_us = clock_us(CLOCK_REALTIME);
	manager->stats.reloads++;
	manager->stats.failed_reloads += r < 0;
	if (r == 0)
		log_line(LOG_NOTICE, "reloaded %s: doors: %zu", manager->config_path,
			 manager->config->n_doors);
	else
		log_line(LOG_ERR, "the running configuration stays in force");
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
	reload(userdata);
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

static int watch_signals(struct manager *manager)
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

/* What has been used is kept from the next daemon, too. */
static int keep_burnt(struct manager *manager, const struct manager_options *options)
{
	CLEANUP(cleanup_free) char *directory = NULL;

	if (asprintf(&directory, "%s/burnt", options->state_directory) < 0) {
		directory = NULL;
		return -ENOMEM;
	}
	return burnt_new(directory, 0, &manager->burnt);
}

/* How much later a record may be stored than the kernel wrote it. */
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

static const struct config *get_config(void *userdata)
{
	return ((struct manager *)userdata)->config;
}

static void get_stats(void *userdata, struct stats *ret)
{
	const struct manager *manager = userdata;
	const struct matcher_counts *counts = matcher_counts(manager->matcher);
	const struct input_counts *input_counts = tail_counts(manager->tail);

	*ret = manager->stats;
	ret->records = counts->records;
	ret->probes = counts->probes;
	ret->damaged = counts->damaged;
	ret->sources = matcher_sources(manager->matcher);
	ret->max_sources = manager->config->max_sources;
	ret->grants = grants_count(grant_loop_grants(manager->doors));
	ret->doors = manager->config->n_doors;
	ret->missed = input_counts->missed;
	ret->gaps = input_counts->gaps;
}

static int on_bus_reload(void *userdata)
{
	return reload(userdata);
}

/* Seen and steered, or not: the doors do not depend on it. */
static void join_bus(struct manager *manager)
{
	static const struct bus_ops ops = {
		.config = get_config,
		.stats = get_stats,
		.reload = on_bus_reload,
	};
	int r = bus_new(manager->event, manager->doors, &ops, manager, &manager->bus);

	if (r < 0)
		log_line(LOG_ERR, "cannot join the system bus: %s", strerror(-r));
}

static int start(struct manager *manager, const struct manager_options *options)
{
	struct config *config = NULL;
	int r;

	r = load_config(options->config_path, &config);
	if (r < 0)
		return r;
	r = keep_burnt(manager, options);
	if (r == 0)
		r = grant_loop_new(manager->event, options->runtime_directory, &manager->doors);
	if (r < 0) {
		config_free(config);
		return r;
	}
	r = adopt(manager, config);
	if (r == 0)
		r = sd_event_add_time(manager->event, &manager->tending, CLOCK_MONOTONIC,
				      clock_us(CLOCK_MONOTONIC), 0, on_tend, manager);
	if (r < 0)
		return r;
	grant_loop_listen(manager->doors, on_event, manager);
	r = grants_inherit(grant_loop_grants(manager->doors), find_door, manager,
			   clock_us(CLOCK_BOOTTIME));
	if (r < 0)
		log_line(LOG_ERR, "cannot read the records of grants, and will try again: %s",
			 strerror(-r));
	grants_review(grant_loop_grants(manager->doors), find_door, manager,
		      clock_us(CLOCK_BOOTTIME));
	grant_loop_rearm(manager->doors);
	check_doors(manager);
	nf_log_check();
	join_bus(manager);
	r = tail_new(manager->event,
		     &(struct tail_options){
			     .state_directory = options->state_directory,
			     .reach_us = reach_us(manager->config),
			     .fn = on_record,
			     .userdata = manager,
		     },
		     &manager->tail);
	return r < 0 ? r
		     : tail_listen(manager->tail, manager->config->logs, manager->config->n_logs);
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
		r = watch_signals(manager);
	if (r == 0)
		r = notifier_new(manager->event, &manager->notifier);
	if (r < 0) {
		log_line(LOG_ERR, "cannot set up the event loop: %s", strerror(-r));
		return r;
	}
	r = start(manager, options);
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
		grant_loop_free(manager->doors);
		matcher_free(manager->matcher);
		burnt_free(manager->burnt);
		config_free(manager->config);
		notifier_free(manager->notifier);
		sd_event_unref(manager->event);
		free(manager);
	}
	return NULL;
}

static int stop(struct manager *manager)
{
	int r;

	notifier_say(manager->notifier, "STOPPING=1");
	tail_settle(manager->tail);
	manager->tail = tail_free(manager->tail);
	/* Nobody opens a door any more. */
	manager->bus = bus_free(manager->bus);
	if (manager->config->on_stop == ON_STOP_KEEP)
		return 0;
	r = grant_loop_suspend(manager->doors);
	if (r < 0)
		log_line(LOG_ERR, "doors that could not be closed: %zu",
			 grants_count(grant_loop_grants(manager->doors)));
	return r;
}

int manager_run(struct manager *manager)
{
	log_line(LOG_INFO, "following the journal: doors: %zu", manager->config->n_doors);
	notifier_say(manager->notifier, "READY=1\nSTATUS=Doors: %zu", manager->config->n_doors);
	while (!manager->stopping) {
		int r = sd_event_run(manager->event, UINT64_MAX);

		if (r < 0) {
			log_line(LOG_ERR, "the event loop failed: %s", strerror(-r));
			return r;
		}
	}
	return stop(manager);
}

static int sweep(struct grant_loop *doors)
{
	int r = grants_sweep(grant_loop_grants(doors), clock_us(CLOCK_BOOTTIME));
	int left;

	if (r < 0)
		log_line(LOG_ERR, "cannot read the records of grants: %s", strerror(-r));
	grant_loop_rearm(doors);
	left = grant_loop_wait_empty(doors);
	return r < 0 ? r : left;
}

int manager_sweep(const struct manager_options *options)
{
	struct grant_loop *doors = NULL;
	sd_event *event = NULL;
	int r;

	r = sd_event_new(&event);
	if (r < 0)
		return r;
	r = grant_loop_new(event, options->runtime_directory, &doors);
	if (r == 0) {
		r = sweep(doors);
		if (r < 0)
			log_line(LOG_ERR, "doors that could not be closed: %zu",
				 grants_count(grant_loop_grants(doors)));
	}
	grant_loop_free(doors);
	sd_event_unref(event);
	return r;
}
