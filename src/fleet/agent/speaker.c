#include "fleet/agent/speaker.h"

#include <stdlib.h>
#include <string.h>

#include "fleet/agent/broker.h"
#include "fleet/agent/local.h"
#include "fleet/agent/notice.h"
#include "fleet/agent/saving.h"
#include "fleet/config.h"
#include "fleet/ledger.h"
#include "fleet/seal.h"
#include "util/clock.h"

/* How much two reports of one deadline may differ, and how late a door may close. */
#define JITTER_US UINT64_C(100000)

/* Of an unknown grant: for how long its end is remembered. */
#define UNKNOWN_US UINT64_C(3600000000)

/* How often a host says that it is there, at most. */
enum { GREETING_S = 30 };

static void speaker_publish(struct speaker *speaker, const struct fleet_message *message)
{
	uint64_t now_us = clock_us(CLOCK_REALTIME), until_us = message->until_us;
	uint8_t sealed[SEALED_SIZE];
	char topic[FLEET_TOPIC_SIZE];

	/* What closes has to be there as long as anybody might believe what it closes. */
	if (fleet_message_closes(message))
		until_us += LEDGER_SKEW_US;
	if (until_us <= now_us || !broker_is_up(speaker->broker))
		return;
	fleet_seal_topic(speaker->seal, message, topic);
	fleet_seal_close(speaker->seal, message, sealed);
	broker_publish(speaker->broker, topic, sealed, sizeof sealed,
		       (uint32_t)((until_us - now_us) / US_PER_S + 1));
	speaker->n_sent++;
}

static void speaker_say(struct speaker *speaker, struct fleet_message message)
{
	uint64_t now_us = clock_us(CLOCK_REALTIME);
	struct ledger_entry *entry;
	enum fleet_verdict verdict = ledger_say(speaker->ledger, &message, now_us, &entry);

	if (verdict != FLEET_ACCEPTED) {
		speaker->n_failed += verdict == FLEET_FULL;
		return;
	}
	entry->generation = speaker->generation;
	if (fleet_message_closes(&message))
		saving_soon(speaker->saving);
	speaker_publish(speaker, &message);
}

bool speaker_is_host(const struct speaker *speaker, const struct fleet_message *message)
{
	return strcmp(message->host, speaker->config->host) == 0;
}

/* What is held */

/* The grant of ours for the door and source of a message; NULL: we have not said anything on it. */
static struct ledger_entry *speaker_find(const struct speaker *speaker,
					 const struct fleet_message *message)
{
	struct fleet_message subject = *message;

	subject.kind = FLEET_OPEN;
	memcpy(subject.host, speaker->config->host, sizeof subject.host);
	return ledger_find(speaker->ledger, &subject);
}

static void speaker_say_open(struct speaker *speaker, const struct fleet_message *message)
{
	struct ledger_entry *entry = speaker_find(speaker, message);
	const struct fleet_message *said = entry ? &entry->message : NULL;

	if (said && said->kind == FLEET_OPEN && message->stamp_us <= said->stamp_us &&
	    strcmp(said->user, message->user) == 0 &&
	    said->until_us < message->until_us + JITTER_US &&
	    message->until_us < said->until_us + JITTER_US)
		entry->generation = speaker->generation;
	else
		speaker_say(speaker, *message);
}

/* A door that closes in time does so everywhere without a word. */
static void speaker_say_closed(struct speaker *speaker, const struct fleet_message *message,
			       bool is_by_hand)
{
	const struct ledger_entry *entry;
	uint64_t now_us = clock_us(CLOCK_REALTIME), latest_us;
	struct fleet_message word = *message;

	word.user[0] = '\0';
	word.knock = KNOCK_UNKNOWN;
	if (is_by_hand) {
		latest_us = ledger_latest_us(speaker->ledger, message->door, &message->source);
		word.kind = FLEET_SHUT;
		word.until_us = (latest_us > now_us ? latest_us : now_us) + UNKNOWN_US;
		speaker_say(speaker, word);
	}
	entry = speaker_find(speaker, message);
	if (!entry || entry->message.kind != FLEET_OPEN)
		return;
	/* An older word may have lasted longer. */
	word.kind = FLEET_CLOSED;
	word.until_us = entry->forget_us - LEDGER_SKEW_US;
	word.stamp_us = 0;
	if (word.until_us > now_us + (is_by_hand ? 0 : JITTER_US))
		speaker_say(speaker, word);
}

/* False: it is not shared, or cannot be read. */
static bool hold_read(const struct local_hold *hold, const struct fleet_config *config,
		      struct fleet_message *ret)
{
	const char *name = fleet_config_name(config, hold->door);

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

void speaker_hold(struct speaker *speaker, const struct local_hold *hold)
{
	struct fleet_message message;

	if (!hold_read(hold, speaker->config, &message))
		return;
	if (hold->deadline_us > 0)
		speaker_say_open(speaker, &message);
	else
		speaker_say_closed(speaker, &message, hold->is_by_hand);
}

void speaker_begin(struct speaker *speaker)
{
	speaker->generation++;
}

struct unheld {
	const struct speaker *speaker;
	struct fleet_message *list;
	size_t n;
};

static void unheld_add(void *userdata, struct ledger_entry *entry)
{
	struct unheld *unheld = userdata;

	if (entry->message.kind == FLEET_OPEN &&
	    speaker_is_host(unheld->speaker, &entry->message) &&
	    entry->generation != unheld->speaker->generation)
		unheld->list[unheld->n++] = entry->message;
}

/* What we had said is open, and is not any more, is closed. */
void speaker_end(struct speaker *speaker)
{
	struct unheld unheld = {
		.speaker = speaker,
		.list = calloc(ledger_count(speaker->ledger) + 1, sizeof *unheld.list),
	};

	if (!unheld.list)
		return;
	ledger_each(speaker->ledger, unheld_add, &unheld);
	for (size_t i = 0; i < unheld.n; i++)
		speaker_say_closed(speaker, &unheld.list[i], false);
	free(unheld.list);
}

void speaker_burn(struct speaker *speaker, const struct fleet_message *message)
{
	struct fleet_message word = *message;

	memcpy(word.host, speaker->config->host, sizeof word.host);
	if (!ledger_find(speaker->ledger, &word))
		speaker_say(speaker, word);
}

/* That we are there */

struct census {
	const struct speaker *speaker;
	uint64_t now_us, n_greetings;
	uint64_t *n_open; /* of each share */
};

static void census_count(void *userdata, struct ledger_entry *entry)
{
	struct census *census = userdata;
	const struct fleet_config *config = census->speaker->config;
	const struct fleet_message *message = &entry->message;

	census->n_greetings += message->kind == FLEET_STATUS;
	if (message->kind != FLEET_OPEN || message->until_us <= census->now_us ||
	    !speaker_is_host(census->speaker, message))
		return;
	for (size_t i = 0; i < config->n_shares; i++)
		census->n_open[i] += strcmp(message->door, config->shares[i].name) == 0;
}

uint64_t speaker_greet(struct speaker *speaker)
{
	const struct fleet_config *config = speaker->config;
	uint64_t now_us = clock_us(CLOCK_REALTIME), period_s;
	struct census census = {
		.speaker = speaker,
		.now_us = now_us,
		.n_open = calloc(config->n_shares + 1, sizeof *census.n_open),
	};

	if (!census.n_open)
		return GREETING_S;
	ledger_each(speaker->ledger, census_count, &census);
	period_s = census.n_greetings > GREETING_S ? census.n_greetings : GREETING_S;
	for (size_t i = 0; i < config->n_shares; i++) {
		struct fleet_message message = {
			.kind = FLEET_STATUS,
			.step = census.n_open[i],
			.time_s = (uint32_t)(now_us / US_PER_S),
			.until_us = now_us + 3 * period_s * US_PER_S,
		};

		memcpy(message.door, config->shares[i].name, sizeof config->shares[i].name);
		speaker_say(speaker, message);
	}
	free(census.n_open);
	return period_s;
}

/* What the broker has of ours */

static void speaker_publish_own(void *userdata, struct ledger_entry *entry)
{
	struct speaker *speaker = userdata;

	if (speaker_is_host(speaker, &entry->message) && entry->message.kind != FLEET_STATUS &&
	    !entry->is_void)
		speaker_publish(speaker, &entry->message);
}

void speaker_repeat(struct speaker *speaker)
{
	ledger_each(speaker->ledger, speaker_publish_own, speaker);
}

/* Nobody but who has the fleet's key can have said this since we are there. */
static void speaker_report_twice(struct speaker *speaker, const struct fleet_message *message,
				 uint64_t now_us)
{
	if (message->stamp_us <= speaker->since_us || now_us < speaker->twice_us + NOTICE_QUIET_US)
		return;
	speaker->twice_us = now_us;
	notice_send(NOTICE_TWICE,
		    "another host of the fleet %s calls itself %s: each needs a name of its own in "
		    "fleet.conf",
		    speaker->config->name, message->host);
}

bool speaker_hear(struct speaker *speaker, const struct fleet_message *message, bool is_kept,
		  bool is_daemon_there)
{
	const struct ledger_entry *known = ledger_find(speaker->ledger, message);
	struct fleet_message ours;
	struct ledger_entry *entry;
	uint64_t now_us = clock_us(CLOCK_REALTIME), old_us;
	bool is_ours = known && known->message.kind == FLEET_OPEN &&
		       known->message.until_us > now_us && !known->is_void;

	if (is_ours)
		ours = known->message;
	if (ledger_take(speaker->ledger, message, now_us, &entry, &old_us) != FLEET_ACCEPTED)
		return false;
	if (!is_kept)
		speaker_report_twice(speaker, message, now_us);
	else if (is_ours)
		speaker_say(speaker, ours);
	else if (message->kind == FLEET_OPEN && is_daemon_there)
		speaker_say_closed(speaker, message, false);
	return true;
}
