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
#include "daemon/admission.h"
#include "daemon/bus/object.h"
#include "daemon/bus/service.h"
#include "daemon/grant-loop.h"
#include "daemon/keyed/expected-set.h"
#include "daemon/notifier.h"
#include "daemon/notify-command.h"
#include "daemon/running-config.h"
#include "daemon/stats.h"
#include "daemon/tail.h"
#include "firewall/firewall.h"
#include "grant/grants.h"
#include "input/input.h"
#include "match/matcher.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/log.h"

struct manager {
	const char *config_path;
	sd_event *event;
	struct notifier *notifier;
	struct running_config *running;
	struct grant_loop *grants;
	struct expected_set *expected;
	struct admission *admission;
	struct tail *tail;
	struct bus *bus;
	struct notify_command *notify;
	struct stats stats;
	sd_event_source *tending;
	bool stopping;
	uint64_t tended_us; /* wall clock */
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
	const struct config *config = running_config_data(manager->running);
	struct firewall *firewall = grants_firewall(grant_loop_grants(manager->grants));

	firewall_forget_ready(firewall);
	for (size_t i = 0; i < config->n_doors; i++)
		firewall_make_ready(firewall, config->doors[i].name, &config->doors[i].opening,
				    clock_us(CLOCK_BOOTTIME), on_trouble, NULL);
	grant_loop_rearm(manager->grants);
}

static void on_event(void *userdata, const struct event *event)
{
	struct manager *manager = userdata;
	char *const *command = running_config_data(manager->running)->notify_command;

	stats_count(&manager->stats, event);
	if (command && event->kind == EVENT_OPENED)
		notify_command_run(manager->notify, command, event);
	if (manager->bus)
		bus_on_event(manager->bus, event);
}

/* Puts a configuration in force, which it takes over. After an error, which is
 * logged, nothing has changed. */
static int manager_apply(struct manager *manager, struct config *config)
{
	struct matcher *matcher = NULL;
	int r = matcher_new(config, MATCH_LIVE, running_config_matcher(manager->running), &matcher);

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
	admission_reloaded(manager->admission);
	running_config_replace(manager->running, config, matcher,
			       grant_loop_grants(manager->grants));
	expected_set_aim(manager->expected, config->expected_ports, matcher_expected(matcher));
	return 0;
}

/* Closes the grants that the configuration has no door for any more. */
static void manager_review(struct manager *manager)
{
	grants_review(grant_loop_grants(manager->grants), running_config_find_door,
		      manager->running, clock_us(CLOCK_BOOTTIME));
	grant_loop_rearm(manager->grants);
}

static int manager_reload(struct manager *manager)
{
	struct config *config;
	size_t n_doors;
	int r;

	notifier_say(manager->notifier,
		     "RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\nSTATUS=Reading %s",
		     clock_us(CLOCK_MONOTONIC), manager->config_path);
	r = running_config_read(manager->config_path, &config);
	if (r == 0) {
		r = manager_apply(manager, config);
		if (r < 0)
			config_free(config);
	}
	if (r == 0) {
		manager_review(manager);
		manager_ready_doors(manager);
	}
	n_doors = running_config_data(manager->running)->n_doors;
	manager->stats.last_reload_us = clock_us(CLOCK_REALTIME);
	manager->stats.reloads++;
	manager->stats.failed_reloads += r < 0;
	if (r == 0)
		log_line(LOG_NOTICE, "reloaded %s (%zu doors)", manager->config_path, n_doors);
	else
		log_line(LOG_ERR, "keeping the current configuration");
	notifier_say(manager->notifier, "READY=1\nSTATUS=Doors: %zu%s", n_doors,
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

static void on_expiry(void *userdata, const char *user, const char *text)
{
	(void)userdata;
	log_line(LOG_WARNING, "the key of %s: %s", user, text);
}

static int on_tend(sd_event_source *source, uint64_t time_us, void *userdata)
{
	struct manager *manager = userdata;
	struct matcher *matcher = running_config_matcher(manager->running);
	uint64_t now_us = clock_us(CLOCK_REALTIME);

	matcher_tend(matcher, now_us);
	/* What was so before was said when the configuration was read. */
	if (manager->tended_us > 0)
		matcher_expiries(matcher, manager->tended_us, now_us, on_expiry, NULL);
	manager->tended_us = now_us;
	expected_set_tend(manager->expected, now_us / US_PER_S);
	sd_event_source_set_time(source, time_us + TEND_US);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static const struct config *manager_config(void *userdata)
{
	return running_config_data(((struct manager *)userdata)->running);
}

static void manager_stats(void *userdata, struct stats *ret)
{
	const struct manager *manager = userdata;
	const struct config *config = running_config_data(manager->running);
	const struct matcher *matcher = running_config_matcher(manager->running);
	const struct matcher_counts *counts = matcher_counts(matcher);
	const struct input_counts *input_counts = tail_counts(manager->tail);

	*ret = manager->stats;
	ret->records = counts->records;
	ret->probes = counts->probes;
	ret->damaged = counts->damaged;
	ret->full_tables = counts->full_tables;
	ret->sources = matcher_sources(matcher);
	ret->max_sources = config->max_sources;
	ret->grants = grants_count(grant_loop_grants(manager->grants));
	ret->doors = config->n_doors;
	ret->missed = input_counts->missed;
	ret->gaps = input_counts->gaps;
}

static int on_bus_reload(void *userdata)
{
	return manager_reload(userdata);
}

static void on_bus_close(void *userdata, const char *door, const struct address *source)
{
	admission_closed(((struct manager *)userdata)->admission, door, source);
}

static int on_bus_burn(void *userdata, const struct burn *burn)
{
	return admission_burn(((struct manager *)userdata)->admission, burn);
}

static void on_burnt(void *userdata, const struct burn *burn)
{
	const struct manager *manager = userdata;

	if (manager->bus)
		bus_on_burnt(manager->bus, burn);
}

/* The doors do not depend on who asks. */
static void manager_serve(struct manager *manager, const char *directory)
{
	static const struct bus_ops ops = {
		.config = manager_config,
		.stats = manager_stats,
		.reload = on_bus_reload,
		.close = on_bus_close,
		.burn = on_bus_burn,
	};
	int r = bus_new(manager->event, directory, manager->grants, &ops, manager, &manager->bus);

	if (r < 0)
		log_line(LOG_ERR, "cannot be asked by anybody: %s", strerror(-r));
}

/* What a predecessor has left on file. Nobody else has it from here on. */
static int manager_open_files(struct manager *manager, const struct manager_options *options)
{
	int r;

	manager->running = running_config_new();
	if (!manager->running)
		return -ENOMEM;
	r = grant_loop_new(manager->event, options->runtime_directory, &manager->grants);
	if (r < 0)
		return r;
	manager->expected = expected_set_new(grants_firewall(grant_loop_grants(manager->grants)));
	if (!manager->expected)
		return -ENOMEM;
	return admission_new(
		&(struct admission_options){
			.event = manager->event,
			.state_directory = options->state_directory,
			.running = manager->running,
			.grants = manager->grants,
			.expected = manager->expected,
			.stats = &manager->stats,
			.on_burnt = on_burnt,
			.userdata = manager,
		},
		&manager->admission);
}

/* Takes over the grants on file. Those that cannot be read now are tried again later. */
static void manager_inherit(struct manager *manager)
{
	int r = grants_inherit(grant_loop_grants(manager->grants), running_config_find_door,
			       manager->running, clock_us(CLOCK_BOOTTIME));

	if (r < 0)
		log_line(LOG_ERR, "cannot read saved grants, will retry: %s", strerror(-r));
}

/* What a saved firewall has brought back, say. */
static void manager_close_strays(struct manager *manager)
{
	const struct config *config = running_config_data(manager->running);
	int r = grants_close_strays(grant_loop_grants(manager->grants), config->doors,
				    config->n_doors, clock_us(CLOCK_BOOTTIME));

	if (r < 0)
		log_line(LOG_WARNING,
			 "what stands open on nobody's record in the doors' sets stays open: %s",
			 r == -EAGAIN ? "not all saved grants could be read" : strerror(-r));
	grant_loop_rearm(manager->grants);
}

static int manager_tend(struct manager *manager)
{
	int r = sd_event_add_time(manager->event, &manager->tending, CLOCK_MONOTONIC,
				  clock_us(CLOCK_MONOTONIC), 0, on_tend, manager);

	return r < 0 ? r : 0;
}

static int manager_follow(struct manager *manager, const struct manager_options *options)
{
	const struct config *config = running_config_data(manager->running);
	int r = tail_new(manager->event,
			 &(struct tail_options){
				 .directory = options->runtime_directory,
				 .reach_us = running_config_reach_us(manager->running),
				 .fn = admission_on_record,
				 .userdata = manager->admission,
			 },
			 &manager->tail);

	if (r < 0)
		return r;
	admission_set_tail(manager->admission, manager->tail);
	return tail_listen(manager->tail, config->logs, config->n_logs);
}

/* The order matters:
 *  - the configuration first: if it is wrong, nothing that a predecessor left is touched;
 *  - the files before the matcher, which looks up what was used;
 *  - the matcher before the grants, whose users it knows;
 *  - whoever reports events before the grants are taken over, which causes some;
 *  - the review after that: it closes what was taken over and has no door;
 *  - the sets and chains of the doors after the grants, so that none is opened twice;
 *  - whatever else stands in the sets after that: all that is on record is known now;
 *  - the journal last: a knock must find all of that. */
static int manager_start(struct manager *manager, const struct manager_options *options)
{
	struct config *config = NULL;
	int r = running_config_read(options->config_path, &config);

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
	manager_close_strays(manager);
	admission_look_at_kernel(manager->admission);
	manager_serve(manager, options->runtime_directory);
	return manager_follow(manager, options);
}

int manager_new(const struct manager_options *options, struct manager **ret)
{
	CLEANUP(cleanup_manager_free) struct manager *manager = calloc(1, sizeof *manager);
	int r = manager ? sd_event_new(&manager->event) : -ENOMEM;

	if (r >= 0)
		r = manager_watch_signals(manager);
	if (r == 0)
		r = notifier_new(manager->event, &manager->notifier);
	if (r == 0)
		r = notify_command_new(manager->event, &manager->notify);
	if (r < 0) {
		log_line(LOG_ERR, "cannot set up the event loop: %s", strerror(-r));
		return r;
	}
	manager->config_path = options->config_path;
	manager->stats.since_us = clock_us(CLOCK_REALTIME);
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
		admission_free(manager->admission);
		expected_set_free(manager->expected);
		grant_loop_free(manager->grants);
		notify_command_free(manager->notify);
		running_config_free(manager->running);
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
	admission_set_tail(manager->admission, NULL);
	manager->tail = tail_free(manager->tail);
	/* Nobody can open a door now. */
	manager->bus = bus_free(manager->bus);
	if (running_config_data(manager->running)->on_stop == ON_STOP_KEEP)
		return 0;
	r = grant_loop_suspend(manager->grants);
	if (r < 0)
		log_line(LOG_ERR, "failed to close %zu doors",
			 grants_count(grant_loop_grants(manager->grants)));
	return r;
}

int manager_run(struct manager *manager)
{
	size_t n_doors = running_config_data(manager->running)->n_doors;

	log_line(LOG_INFO, "following the journal (%zu doors)", n_doors);
	notifier_say(manager->notifier, "READY=1\nSTATUS=Doors: %zu", n_doors);
	while (!manager->stopping) {
		int r = sd_event_run(manager->event, UINT64_MAX);

		if (r < 0) {
			log_line(LOG_ERR, "the event loop failed: %s", strerror(-r));
			return r;
		}
	}
	return manager_stop(manager);
}
