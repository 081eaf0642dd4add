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
#include "fleet/config.h"
#include "fleet/ledger.h"
#include "fleet/seal.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/log.h"

/* How much two reports of one deadline may differ, and how late a door may close. */
#define JITTER_US UINT64_C(100000)

/* Of an unknown grant: for how long its end is remembered. */
#define UNKNOWN_US UINT64_C(3600000000)

/* Between two looks at what there is to do; and how often the report is written, what has gone
 * unheard is asked for again and a host says that it is there: more seldom, the more there are, so
 * that no host hears more than one of these a second, or asks for more than ten messages, and all
 * together for no more than the broker of a large fleet has time for. */
#define TICK_US UINT64_C(1000000)
enum { STATUS_S = 30, REREAD_S = 60, REREAD_A_SECOND = 10, REREAD_OF_ALL = 10000 };
enum { REPORT_S = 10, BIG_REPORT = 2000 };

/* How far a clock may be off before that is worth a word, and how often that is said. */
enum { CLOCK_S = 3 };
#define QUIET_US UINT64_C(600000000)

struct agent {
	struct agent_options options;
	sd_event *event;
	sd_event_source *timer, *saving;
	struct ledger *ledger;
	struct local *local;
	struct broker *broker;
	struct fleet_state state;
	struct errands errands;
	uint64_t generation;
	uint64_t n_refused, refused_us;		  /* since the last word on it */
	uint64_t clock_us, twice_us;		  /* when that was last said */
	uint64_t status_us, reread_us, report_us; /* when it is due; CLOCK_MONOTONIC */
	bool is_changed, was_down_said;
};

DEFINE_CLEANUP(struct agent *, agent_free)

static const struct fleet_config *agent_config(const struct agent *agent)
{
	return agent->options.config;
}

static bool message_is_own(const struct agent *agent, const struct fleet_message *message)
{
	return strcmp(message->host, agent_config(agent)->host) == 0;
}

/* Our word */

static void agent_publish(struct agent *agent, const struct fleet_message *message)
{
	uint64_t now_us = clock_us(CLOCK_REALTIME), until_us = message->until_us;
	uint8_t sealed[SEALED_SIZE];
	char topic[FLEET_TOPIC_SIZE];

	/* What closes has to be there as long as anybody might believe what it closes. */
	if (message->kind == FLEET_CLOSED || message->kind == FLEET_SHUT)
		until_us += LEDGER_SKEW_US;
	if (until_us <= now_us || !broker_is_up(agent->broker))
		return;
	fleet_seal_topic(agent->options.seal, message, topic);
	fleet_seal_close(agent->options.seal, message, sealed);
	broker_publish(agent->broker, topic, sealed, sizeof sealed,
		       (uint32_t)((until_us - now_us) / US_PER_S + 1));
	agent->state.counts.sent++;
}

static void agent_save_soon(struct agent *agent)
{
	int is_enabled;

	/* Whatever comes meanwhile, it is not put off. */
	if (sd_event_source_get_enabled(agent->saving, &is_enabled) > 0)
		return;
	sd_event_source_set_time(agent->saving, clock_us(CLOCK_MONOTONIC) + TICK_US / 10);
	sd_event_source_set_enabled(agent->saving, SD_EVENT_ONESHOT);
}

/* Says it, now. */
static void agent_say(struct agent *agent, struct fleet_message message)
{
	uint64_t now_us = clock_us(CLOCK_REALTIME);
	struct ledger_entry *entry;
	enum fleet_verdict verdict = ledger_say(agent->ledger, &message, now_us, &entry);

	agent->is_changed = true;
	/* What could not be taken back is not said. */
	if (verdict != FLEET_ACCEPTED) {
		agent->state.counts.failed += verdict == FLEET_FULL;
		return;
	}
	entry->generation = agent->generation;
	if (message.kind == FLEET_CLOSED || message.kind == FLEET_SHUT)
		agent_save_soon(agent);
	agent_publish(agent, &message);
}

/* The grant of ours for the door and source of a message; NULL: we have not said anything on it. */
static struct ledger_entry *agent_find_own(const struct agent *agent,
					   const struct fleet_message *message)
{
	struct fleet_message subject = *message;

	subject.kind = FLEET_OPEN;
	memcpy(subject.host, agent_config(agent)->host, sizeof subject.host);
	return ledger_find(agent->ledger, &subject);
}

static void agent_say_open(struct agent *agent, const struct fleet_message *message)
{
	struct ledger_entry *entry = agent_find_own(agent, message);
	const struct fleet_message *said = entry ? &entry->message : NULL;

	if (said && said->kind == FLEET_OPEN && message->stamp_us <= said->stamp_us &&
	    strcmp(said->user, message->user) == 0 &&
	    said->until_us < message->until_us + JITTER_US &&
	    message->until_us < said->until_us + JITTER_US && !entry->is_void)
		entry->generation = agent->generation;
	else
		agent_say(agent, *message);
}

/* A door that closes in time does so everywhere without a word. */
static void agent_say_closed(struct agent *agent, const struct fleet_message *message,
			     bool is_by_hand)
{
	const struct ledger_entry *entry;
	uint64_t now_us = clock_us(CLOCK_REALTIME), latest_us;
	struct fleet_message word = *message;

	word.user[0] = '\0';
	word.knock = KNOCK_UNKNOWN;
	if (is_by_hand) {
		latest_us = ledger_latest_us(agent->ledger, message->door, &message->source);
		word.kind = FLEET_SHUT;
		word.until_us = (latest_us > now_us ? latest_us : now_us) + UNKNOWN_US;
		agent_say(agent, word);
	}
	entry = agent_find_own(agent, message);
	if (!entry || entry->message.kind != FLEET_OPEN)
		return;
	/* An older word may have lasted longer. */
	word.kind = FLEET_CLOSED;
	word.until_us = entry->forget_us - LEDGER_SKEW_US;
	word.stamp_us = 0;
	if (word.until_us > now_us + (is_by_hand ? 0 : JITTER_US))
		agent_say(agent, word);
}

/* False: it is not shared, or cannot be read. */
static bool agent_read_hold(const struct agent *agent, const struct local_hold *hold,
			    struct fleet_message *ret)
{
	const char *name = fleet_config_name(agent_config(agent), hold->door);

	*ret = (struct fleet_message){
		.kind = FLEET_OPEN, .until_us = hold->deadline_us, .stamp_us = hold->stamp_us};
	if (!name || address_parse(hold->source, &ret->source) < 0 ||
	    strlen(hold->user) > USER_NAME_MAX || visitor_host(hold->user))
		return false;
	memcpy(ret->door, name, strlen(name) + 1);
	memcpy(ret->user, hold->user, strlen(hold->user) + 1);
	for (enum knock_kind kind = KNOCK_SEQUENCE; kind < N_KNOCK_KINDS; kind++)
		if (strcmp(knock_kind_name(kind), hold->knock) == 0)
			ret->knock = kind;
	return true;
}

static void on_held(void *userdata, const struct local_hold *hold)
{
	struct agent *agent = userdata;
	struct fleet_message message;

	if (!agent_read_hold(agent, hold, &message))
		return;
	if (hold->deadline_us > 0)
		agent_say_open(agent, &message);
	else
		agent_say_closed(agent, &message, hold->is_by_hand);
}

static void on_burnt(void *userdata, const struct fleet_message *message)
{
	agent_say(userdata, *message);
}

/* The daemon's word on what it holds, as a whole */

static void on_begin(void *userdata)
{
	struct agent *agent = userdata;

	agent->generation++;
	agent->state.daemon_is_there = true;
}

static void on_gone(void *userdata)
{
	struct agent *agent = userdata;

	agent->state.daemon_is_there = false;
	agent->is_changed = true;
}

struct unheld {
	struct agent *agent;
	struct fleet_message *list;
	size_t n;
};

static void find_unheld(void *userdata, struct ledger_entry *entry)
{
	struct unheld *unheld = userdata;

	if (entry->message.kind == FLEET_OPEN && message_is_own(unheld->agent, &entry->message) &&
	    entry->generation != unheld->agent->generation)
		unheld->list[unheld->n++] = entry->message;
}

/* What we had said is open, and is not any more. */
static void agent_close_unheld(struct agent *agent)
{
	struct unheld unheld = {
		.agent = agent,
		.list = calloc(ledger_count(agent->ledger) + 1, sizeof *unheld.list),
	};

	if (!unheld.list)
		return;
	ledger_each(agent->ledger, find_unheld, &unheld);
	for (size_t i = 0; i < unheld.n; i++)
		agent_say_closed(agent, &unheld.list[i], false);
	free(unheld.list);
}

/* Others' word */

static void on_answer(void *userdata, void *asked, enum local_answer answer, const char *why)
{
	struct agent *agent = userdata;
	struct ledger_entry *entry = asked;

	errands_answer(&agent->errands, entry, answer, why);
	if (entry->message.kind == FLEET_CLOSED || entry->message.kind == FLEET_SHUT)
		agent_save_soon(agent);
}

/* A daemon that has come (back) is given all that is open. What was shut was so once: somebody may
 * have knocked since. */
static void requeue(void *userdata, struct ledger_entry *entry)
{
	struct agent *agent = userdata;

	if (!message_is_own(agent, &entry->message) &&
	    (entry->is_due || entry->message.kind != FLEET_SHUT) &&
	    entry->message.kind != FLEET_STATUS &&
	    entry->message.until_us > clock_us(CLOCK_REALTIME))
		errands_add(&agent->errands, entry);
}

static void on_end(void *userdata)
{
	struct agent *agent = userdata;

	agent_close_unheld(agent);
	ledger_each(agent->ledger, requeue, agent);
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
		agent_save_soon(agent);
	if (verdict == FLEET_FORGED || verdict == FLEET_VERSION || verdict == FLEET_MALFORMED ||
	    verdict == FLEET_FUTURE || verdict == FLEET_OLD || verdict == FLEET_VOID ||
	    verdict == FLEET_FULL)
		agent->n_refused++;
}

/* What the broker has kept of ours from before, and is not so any more. `was_open_us`: until when
 * we hold it, if we do. */
static void agent_correct(struct agent *agent, const struct fleet_message *message,
			  const struct fleet_message *ours)
{
	if (ours)
		agent_say(agent, *ours);
	else if (message->kind == FLEET_OPEN && local_is_there(agent->local))
		agent_say_closed(agent, message, false);
}

static void agent_take_own(struct agent *agent, const struct fleet_message *message, bool is_kept)
{
	const struct ledger_entry *known = ledger_find(agent->ledger, message);
	struct fleet_message ours;
	struct ledger_entry *entry;
	uint64_t now_us = clock_us(CLOCK_REALTIME), old_us;
	bool is_ours =
		known && known->message.kind == FLEET_OPEN && known->message.until_us > now_us;

	is_ours = is_ours && !known->is_void;
	if (is_ours)
		ours = known->message;
	if (ledger_take(agent->ledger, message, now_us, &entry, &old_us) != FLEET_ACCEPTED)
		return;
	entry->generation = 0;
	agent->is_changed = true;
	if (is_kept) {
		agent_correct(agent, message, is_ours ? &ours : NULL);
	} else if (now_us > agent->twice_us + QUIET_US) {
		agent->twice_us = now_us;
		notice_send(
			NOTICE_TWICE,
			"another host of the fleet %s calls itself %s: each needs a name of its "
			"own in fleet.conf",
			agent_config(agent)->name, message->host);
	}
}

static void agent_look_at_clock(struct agent *agent, const struct fleet_message *message)
{
	uint64_t now_us = clock_us(CLOCK_REALTIME);
	int64_t off_s = (int64_t)message->time_s - (int64_t)(now_us / US_PER_S);

	if ((off_s <= CLOCK_S && off_s >= -CLOCK_S) || now_us < agent->clock_us + QUIET_US)
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
	if (message->kind == FLEET_STATUS) {
		if (!is_kept)
			agent_look_at_clock(agent, message);
		return;
	}
	entry->is_shorter = old_us > message->until_us && message->kind == FLEET_OPEN;
	if (message->kind == FLEET_CLOSED || message->kind == FLEET_SHUT || entry->is_shorter)
		agent_save_soon(agent);
	errands_add(&agent->errands, entry);
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
	else if (message_is_own(agent, &message))
		agent_take_own(agent, &message, is_kept);
	else
		agent_take(agent, &message, is_kept);
}

/* The broker */

struct share_count {
	const struct agent *agent;
	const char *name;
	uint64_t now_us, n_open, n_status;
};

static void count_share(void *userdata, struct ledger_entry *entry)
{
	struct share_count *count = userdata;

	count->n_status += entry->message.kind == FLEET_STATUS;
	count->n_open += entry->message.kind == FLEET_OPEN &&
			 entry->message.until_us > count->now_us &&
			 message_is_own(count->agent, &entry->message) &&
			 strcmp(entry->message.door, count->name) == 0;
}

static void agent_say_status(struct agent *agent)
{
	const struct fleet_config *config = agent_config(agent);
	uint64_t now_us = clock_us(CLOCK_REALTIME), period_s = STATUS_S;

	for (size_t i = 0; i < config->n_shares; i++) {
		struct share_count count = {
			.agent = agent, .name = config->shares[i].name, .now_us = now_us};
		struct fleet_message message = {.kind = FLEET_STATUS};

		ledger_each(agent->ledger, count_share, &count);
		if (count.n_status > period_s)
			period_s = count.n_status;
		memcpy(message.door, count.name, strlen(count.name) + 1);
		message.step = count.n_open;
		message.time_s = (uint32_t)(now_us / US_PER_S);
		message.until_us = now_us + 3 * period_s * US_PER_S;
		agent_say(agent, message);
	}
	agent->status_us = clock_us(CLOCK_MONOTONIC) + period_s * US_PER_S;
}

static void publish_own(void *userdata, struct ledger_entry *entry)
{
	struct agent *agent = userdata;

	if (message_is_own(agent, &entry->message) && entry->message.kind != FLEET_STATUS &&
	    !entry->is_void)
		agent_publish(agent, &entry->message);
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
	ledger_each(agent->ledger, publish_own, agent);
	agent_say_status(agent);
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

static void agent_save(struct agent *agent)
{
	int r = closed_file_save(agent->options.state_directory, agent->ledger);

	if (r < 0)
		log_line(LOG_ERR, "cannot save what was closed in %s: %s",
			 agent->options.state_directory, strerror(-r));
}

static int on_saving(sd_event_source *source, uint64_t time_us, void *userdata)
{
	(void)source;
	(void)time_us;
	agent_save(userdata);
	return 0;
}

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
	agent->refused_us = now_us + QUIET_US / 10;
}

static void agent_report(struct agent *agent, uint64_t now_us)
{
	int r;

	agent->state.counts.failed += agent->errands.n_failed;
	agent->errands.n_failed = 0;
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
	if (broker_is_up(agent->broker) && now_us >= agent->status_us)
		agent_say_status(agent);
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
		r = sd_event_add_time(agent->event, &agent->saving, CLOCK_MONOTONIC, UINT64_MAX, 0,
				      on_saving, agent);
	if (r >= 0)
		r = sd_event_source_set_enabled(agent->saving, SD_EVENT_OFF);
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
	agent->generation = 1;
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
		if (agent->ledger)
			agent_save(agent);
		sd_event_source_unref(agent->saving);
		sd_event_source_unref(agent->timer);
		ledger_free(agent->ledger);
		sd_event_unref(agent->event);
		free(agent);
	}
	return NULL;
}
