#include "fleet/agent/agent.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fleet/agent/broker.h"
#include "fleet/agent/closed-file.h"
#include "fleet/agent/errands.h"
#include "fleet/agent/local.h"
#include "fleet/agent/notice.h"
#include "fleet/agent/report.h"
#include "fleet/agent/saving.h"
#include "fleet/agent/speaker.h"
#include "fleet/config.h"
#include "fleet/ledger.h"
#include "fleet/seal.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/log.h"

/* Between two looks at what there is to do; and how often the report is written, and what has
 * gone unheard is asked for again: more seldom, the more there is, so that no host asks for more
 * than ten messages a second, and all together for no more than the broker of a large fleet has
 * time for. */
#define TICK_US UINT64_C(1000000)
enum { REREAD_S = 60, REREAD_A_SECOND = 10, REREAD_OF_ALL = 10000 };
enum { REPORT_S = 10, BIG_REPORT = 2000 };

/* How far a clock may be off before that is worth a word. */
enum { CLOCK_S = 3 };

struct agent {
	struct agent_options options;
	sd_event *event;
	sd_event_source *timer;
	struct ledger *ledger;
	struct local *local;
	struct broker *broker;
	struct saving *saving;
	struct speaker speaker;
	struct fleet_state state;
	struct errands errands;
	uint64_t n_refused, refused_us;		 /* since the last word on it */
	uint64_t clock_us;			 /* when a clock was last reported */
	uint64_t greet_us, reread_us, report_us; /* when it is due; CLOCK_MONOTONIC */
	bool is_changed, was_down_said;
};

DEFINE_CLEANUP(struct agent *, agent_free)

static const struct fleet_config *agent_config(const struct agent *agent)
{
	return agent->options.config;
}

/* What the daemon holds */

static void on_held(void *userdata, const struct local_hold *hold)
{
	struct agent *agent = userdata;

	speaker_hold(&agent->speaker, hold);
	agent->is_changed = true;
}

static void on_burnt(void *userdata, const struct fleet_message *message)
{
	struct agent *agent = userdata;

	speaker_burn(&agent->speaker, message);
	agent->is_changed = true;
}

static void on_begin(void *userdata)
{
	struct agent *agent = userdata;

	speaker_begin(&agent->speaker);
	agent->state.daemon_is_there = true;
}

static void on_gone(void *userdata)
{
	struct agent *agent = userdata;

	agent->state.daemon_is_there = false;
	agent->is_changed = true;
}

/* Others' word */

static void on_answer(void *userdata, void *asked, enum local_answer answer, const char *why)
{
	struct agent *agent = userdata;
	struct ledger_entry *entry = asked;

	errands_answer(&agent->errands, entry, answer, why);
	if (fleet_message_closes(&entry->message))
		saving_soon(agent->saving);
}

/* A daemon that has come (back) is given all that is open. What was shut was so once: somebody may
 * have knocked since. */
static void agent_requeue(void *userdata, struct ledger_entry *entry)
{
	struct agent *agent = userdata;

	if (!speaker_is_host(&agent->speaker, &entry->message) &&
	    (entry->is_due || entry->message.kind != FLEET_SHUT) &&
	    entry->message.kind != FLEET_STATUS &&
	    entry->message.until_us > clock_us(CLOCK_REALTIME))
		errands_add(&agent->errands, entry);
}

static void on_end(void *userdata)
{
	struct agent *agent = userdata;

	speaker_end(&agent->speaker);
	ledger_each(agent->ledger, agent_requeue, agent);
	errands_retry(&agent->errands);
	agent->is_changed = true;
}

/* A door that is not shared any more is open for none of the others. */
static void on_foreign(void *userdata, const char *door, const char *source, const char *host)
{
	const struct agent *agent = userdata;

	if (!fleet_config_name(agent_config(agent), door))
		local_close(agent->local, door, source, host, UINT64_MAX, NULL);
}

/* Messages */

static void agent_refuse(struct agent *agent, enum fleet_verdict verdict)
{
	agent->state.counts.verdicts[verdict]++;
	agent->is_changed = true;
	if (verdict == FLEET_OLD || verdict == FLEET_VOID)
		saving_soon(agent->saving);
	if (verdict == FLEET_FORGED || verdict == FLEET_VERSION || verdict == FLEET_MALFORMED ||
	    verdict == FLEET_FUTURE || verdict == FLEET_OLD || verdict == FLEET_VOID ||
	    verdict == FLEET_FULL)
		agent->n_refused++;
}

static void agent_look_at_clock(struct agent *agent, const struct fleet_message *message)
{
	uint64_t now_us = clock_us(CLOCK_REALTIME);
	int64_t off_s = (int64_t)message->time_s - (int64_t)(now_us / US_PER_S);

	if ((off_s <= CLOCK_S && off_s >= -CLOCK_S) || now_us < agent->clock_us + NOTICE_QUIET_US)
		return;
	agent->clock_us = now_us;
	notice_send(NOTICE_CLOCK,
		    "the clock of %s is %" PRId64
		    " s %s ours, or its word was late: doors close early or "
		    "late by that",
		    message->host, off_s < 0 ? -off_s : off_s, off_s < 0 ? "behind" : "ahead of");
}

static void agent_take(struct agent *agent, const struct fleet_message *message, bool is_kept)
{
	struct ledger_entry *entry;
	enum fleet_verdict verdict;
	uint64_t old_us = 0;

	if (message->kind != FLEET_BURNT && message->kind != FLEET_STATUS &&
	    !fleet_config_door(agent_config(agent), message->door)) {
		agent->state.counts.verdicts[FLEET_UNSHARED]++;
		agent->is_changed = true;
		return;
	}
	verdict = ledger_take(agent->ledger, message, clock_us(CLOCK_REALTIME), &entry, &old_us);
	if (verdict != FLEET_ACCEPTED && verdict != FLEET_REPEATED) {
		agent_refuse(agent, verdict);
		return;
	}
	agent->state.counts.verdicts[verdict]++;
	if (verdict == FLEET_REPEATED)
		return;
	agent->is_changed = true;
	entry->was_kept = is_kept;
	if (message->kind == FLEET_STATUS) {
		if (!is_kept)
			agent_look_at_clock(agent, message);
		return;
	}
	entry->is_shorter = old_us > message->until_us && message->kind == FLEET_OPEN;
	errands_add(&agent->errands, entry);
	/* On file it is still to be carried out. */
	if (fleet_message_closes(message) || entry->is_shorter)
		saving_soon(agent->saving);
	errands_run(&agent->errands);
}

static void on_message(void *userdata, const char *topic, const void *data, size_t size,
		       bool is_kept)
{
	struct agent *agent = userdata;
	struct fleet_message message;
	int r = fleet_seal_open(agent->options.seal, topic, data, size, &message);

	if (r < 0)
		agent_refuse(agent, r == -EBADMSG	    ? FLEET_FORGED
				    : r == -EPROTONOSUPPORT ? FLEET_VERSION
							    : FLEET_MALFORMED);
	else if (!speaker_is_host(&agent->speaker, &message))
		agent_take(agent, &message, is_kept);
	else if (speaker_hear(&agent->speaker, &message, is_kept, local_is_there(agent->local)))
		agent->is_changed = true;
}

/* The broker */

static void agent_greet(struct agent *agent)
{
	agent->greet_us = clock_us(CLOCK_MONOTONIC) + speaker_greet(&agent->speaker) * US_PER_S;
	agent->is_changed = true;
}

/* The broker may have forgotten all, or missed some of it. */
static void on_up(void *userdata)
{
	struct agent *agent = userdata;

	agent->state.broker_is_up = true;
	agent->state.broker_since_us = clock_us(CLOCK_REALTIME);
	agent->state.broker_problem[0] = '\0';
	agent->state.counts.connections++;
	agent->was_down_said = false;
	agent->is_changed = true;
	notice_send(NOTICE_UP, "connected to the broker of the fleet %s as %s",
		    agent_config(agent)->name, agent_config(agent)->host);
	speaker_repeat(&agent->speaker);
	agent_greet(agent);
}

static void on_down(void *userdata, const char *why)
{
	struct agent *agent = userdata;

	if (!agent->was_down_said)
		notice_send(NOTICE_DOWN,
			    "cannot reach the broker of the fleet %s: %s; will try again: what is "
			    "open closes in time, and nothing is shared until then",
			    agent_config(agent)->name, why);
	agent->was_down_said = true;
	agent->state.broker_is_up = false;
	snprintf(agent->state.broker_problem, sizeof agent->state.broker_problem, "%s", why);
	agent->is_changed = true;
}

/* Time */

static void agent_say_refused(struct agent *agent, uint64_t now_us)
{
	if (agent->n_refused == 0 || now_us < agent->refused_us)
		return;
	notice_send(NOTICE_REFUSED,
		    "messages of the fleet %s that count for nothing: %" PRIu64
		    " (forged, replayed, of a clock that is off, or too many; knocktail fleet has "
		    "them by reason)",
		    agent_config(agent)->name, agent->n_refused);
	agent->n_refused = 0;
	agent->refused_us = now_us + NOTICE_QUIET_US / 10;
}

static void agent_report(struct agent *agent, uint64_t now_us)
{
	int r;

	agent->state.counts.sent = agent->speaker.n_sent;
	agent->state.counts.failed = agent->speaker.n_failed + agent->errands.n_failed;
	agent->state.refusal = agent->errands.refusal;
	r = fleet_report_write(agent->options.runtime_directory, &agent->state,
			       clock_us(CLOCK_REALTIME));

	if (r < 0)
		log_line(LOG_ERR, "cannot write %s/report.json: %s",
			 agent->options.runtime_directory, strerror(-r));
	agent->is_changed = false;
	agent->report_us = now_us + REPORT_S * US_PER_S;
}

static uint64_t agent_reread_period_s(const struct agent *agent)
{
	uint64_t n = ledger_count(agent->ledger), hosts = ledger_count_hosts(agent->ledger);
	uint64_t period_s = n / REREAD_A_SECOND;

	if (period_s < n * hosts / REREAD_OF_ALL)
		period_s = n * hosts / REREAD_OF_ALL;
	return period_s > REREAD_S ? period_s : REREAD_S;
}

static int on_time(sd_event_source *source, uint64_t time_us, void *userdata)
{
	struct agent *agent = userdata;
	uint64_t now_us = clock_us(CLOCK_MONOTONIC);
	size_t n = ledger_count(agent->ledger);

	(void)time_us;
	errands_retry(&agent->errands);
	if (broker_is_up(agent->broker) && now_us >= agent->greet_us)
		agent_greet(agent);
	if (now_us >= agent->reread_us) {
		ledger_sweep(agent->ledger, clock_us(CLOCK_REALTIME));
		broker_subscribe(agent->broker);
		agent->reread_us = now_us + agent_reread_period_s(agent) * US_PER_S;
	}
	agent_say_refused(agent, now_us);
	if ((agent->is_changed && n < BIG_REPORT) || now_us >= agent->report_us)
		agent_report(agent, now_us);
	sd_event_source_set_time(source, now_us + TICK_US);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int agent_connect(struct agent *agent)
{
	static const struct local_ops local_ops = {
		.begin = on_begin,
		.hold = on_held,
		.end = on_end,
		.foreign = on_foreign,
		.gone = on_gone,
		.held = on_held,
		.burnt = on_burnt,
		.answer = on_answer,
	};
	static const struct broker_ops broker_ops = {
		.up = on_up, .down = on_down, .message = on_message};
	int r = broker_new(agent->event, agent_config(agent), &broker_ops, agent, &agent->broker);

	if (r >= 0)
		r = local_new(agent->event, &local_ops, agent, &agent->local);
	agent->speaker = (struct speaker){
		.config = agent_config(agent),
		.seal = agent->options.seal,
		.ledger = agent->ledger,
		.broker = agent->broker,
		.saving = agent->saving,
		.since_us = agent->state.since_us,
		.generation = 1,
	};
	agent->errands = (struct errands){.config = agent_config(agent), .local = agent->local};
	return r;
}

static int agent_set_up(struct agent *agent)
{
	uint64_t now_us = clock_us(CLOCK_MONOTONIC);
	int r = ledger_new(agent_config(agent)->host, &agent->ledger);

	if (r < 0)
		return r;
	r = closed_file_load(agent->options.state_directory, agent->ledger);
	if (r < 0)
		log_line(LOG_ERR, "cannot read what was closed in %s: %s",
			 agent->options.state_directory, strerror(-r));
	agent->state.config = agent_config(agent);
	agent->state.ledger = agent->ledger;
	agent->state.since_us = clock_us(CLOCK_REALTIME);
	agent->reread_us = now_us + REREAD_S * US_PER_S;
	r = sd_event_add_time(agent->event, &agent->timer, CLOCK_MONOTONIC, now_us, 0, on_time,
			      agent);
	if (r >= 0)
		r = saving_new(agent->event, agent->options.state_directory, agent->ledger,
			       &agent->saving);
	return r < 0 ? r : agent_connect(agent);
}

int agent_new(sd_event *event, const struct agent_options *options, struct agent **ret)
{
	CLEANUP(cleanup_agent_free) struct agent *agent = calloc(1, sizeof *agent);
	int r;

	if (!agent)
		return -ENOMEM;
	agent->options = *options;
	agent->event = sd_event_ref(event);
	r = agent_set_up(agent);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(agent);
	return 0;
}

struct agent *agent_free(struct agent *agent)
{
	if (agent) {
		local_free(agent->local);
		broker_free(agent->broker);
		saving_free(agent->saving);
		sd_event_source_unref(agent->timer);
		ledger_free(agent->ledger);
		sd_event_unref(agent->event);
		free(agent);
	}
	return NULL;
}
