#include "fleet/ledger.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "util/cleanup.h"
#include "util/clock.h"

enum { BUCKETS = 16384 };

/* How long a door may be open, at most, and some time for clocks. */
#define SPAN_MAX_US ((uint64_t)DOOR_TIMEOUT_MAX_S * US_PER_S + 2 * LEDGER_SKEW_US)

struct ledger {
	struct ledger_entry *buckets[BUCKETS];
	size_t n;
	uint64_t last_stamp_us;
};

DEFINE_CLEANUP(struct ledger *, ledger_free)

const char *fleet_verdict_name(enum fleet_verdict verdict)
{
	static const char *const names[N_FLEET_VERDICTS] = {
		[FLEET_ACCEPTED] = "accepted",	 [FLEET_REPEATED] = "repeated",
		[FLEET_FORGED] = "forged",	 [FLEET_VERSION] = "version",
		[FLEET_MALFORMED] = "malformed", [FLEET_STALE] = "stale",
		[FLEET_FUTURE] = "future",	 [FLEET_OLD] = "old",
		[FLEET_VOID] = "closed",	 [FLEET_UNSHARED] = "unshared",
		[FLEET_FULL] = "full",
	};

	return names[verdict];
}

int ledger_new(struct ledger **ret)
{
	*ret = calloc(1, sizeof **ret);
	return *ret ? 0 : -ENOMEM;
}

struct ledger *ledger_free(struct ledger *ledger)
{
	for (size_t i = 0; ledger && i < BUCKETS; i++)
		while (ledger->buckets[i]) {
			struct ledger_entry *entry = ledger->buckets[i];

			ledger->buckets[i] = entry->next;
			free(entry);
		}
	free(ledger);
	return NULL;
}

/* All words on a door and a source are in one bucket. */
static size_t subject_bucket(const struct fleet_message *message)
{
	uint64_t hash = hash_bytes(HASH_START, message->source.bytes, sizeof message->source.bytes);

	hash = hash_bytes(hash, message->door, strlen(message->door));
	hash = hash_bytes(hash, message->nonce, sizeof message->nonce);
	hash = hash_bytes(hash, message->kind == FLEET_BURNT ? &message->step : &(uint64_t){0},
			  sizeof message->step);
	return hash % BUCKETS;
}

/* To open and not any more are words on one thing. */
static enum fleet_kind subject_kind(const struct fleet_message *message)
{
	return message->kind == FLEET_CLOSED ? FLEET_OPEN : message->kind;
}

static bool subject_equal(const struct fleet_message *a, const struct fleet_message *b)
{
	return subject_kind(a) == subject_kind(b) && strcmp(a->host, b->host) == 0 &&
	       strcmp(a->door, b->door) == 0 && address_equal(&a->source, &b->source) &&
	       (a->kind != FLEET_BURNT ||
		(key_id_equal(&a->key, &b->key) && a->step == b->step && a->time_s == b->time_s &&
		 memcmp(a->nonce, b->nonce, sizeof a->nonce) == 0));
}

struct ledger_entry *ledger_find(const struct ledger *ledger, const struct fleet_message *subject)
{
	struct ledger_entry *entry = ledger->buckets[subject_bucket(subject)];

	while (entry && !subject_equal(&entry->message, subject))
		entry = entry->next;
	return entry;
}

bool ledger_is_void(const struct ledger *ledger, const struct fleet_message *message)
{
	const struct ledger_entry *entry = ledger->buckets[subject_bucket(message)];

	for (; entry; entry = entry->next)
		if (entry->message.kind == FLEET_SHUT &&
		    strcmp(entry->message.door, message->door) == 0 &&
		    address_equal(&entry->message.source, &message->source) &&
		    message->stamp_us <= entry->message.stamp_us)
			return true;
	return false;
}

uint64_t ledger_latest_us(const struct ledger *ledger, const char *door,
			  const struct address *source)
{
	struct fleet_message subject = {.kind = FLEET_OPEN, .source = *source};
	const struct ledger_entry *entry;
	uint64_t latest_us = 0;

	memcpy(subject.door, door, strlen(door) + 1);
	for (entry = ledger->buckets[subject_bucket(&subject)]; entry; entry = entry->next)
		if (entry->message.kind == FLEET_OPEN && strcmp(entry->message.door, door) == 0 &&
		    address_equal(&entry->message.source, source) &&
		    entry->message.until_us > latest_us)
			latest_us = entry->message.until_us;
	return latest_us;
}

static struct ledger_entry *ledger_add(struct ledger *ledger, const struct fleet_message *message)
{
	struct ledger_entry **bucket = &ledger->buckets[subject_bucket(message)], *entry;

	if (ledger->n >= LEDGER_MAX)
		return NULL;
	entry = calloc(1, sizeof *entry);
	if (entry) {
		entry->next = *bucket;
		*bucket = entry;
		ledger->n++;
	}
	return entry;
}

static enum fleet_verdict ledger_judge(const struct ledger *ledger,
				       const struct ledger_entry *entry,
				       const struct fleet_message *message, uint64_t now_us)
{
	if (message->stamp_us > now_us + LEDGER_SKEW_US)
		return FLEET_FUTURE;
	if (message->until_us > message->stamp_us + SPAN_MAX_US)
		return FLEET_MALFORMED;
	if (message->until_us <= now_us)
		return FLEET_STALE;
	if (entry && message->stamp_us == entry->message.stamp_us)
		return FLEET_REPEATED;
	if (entry && message->stamp_us < entry->message.stamp_us)
		return FLEET_OLD;
	if (message->kind == FLEET_OPEN && ledger_is_void(ledger, message))
		return FLEET_VOID;
	return FLEET_ACCEPTED;
}

enum fleet_verdict ledger_take(struct ledger *ledger, const struct fleet_message *message,
			       uint64_t now_us, struct ledger_entry **ret_entry,
			       uint64_t *ret_old_until_us)
{
	struct ledger_entry *entry = ledger_find(ledger, message);
	enum fleet_verdict verdict = ledger_judge(ledger, entry, message, now_us);
	uint64_t old_until_us =
		entry && entry->message.kind == FLEET_OPEN ? entry->message.until_us : 0;

	if (verdict == FLEET_ACCEPTED && !entry)
		entry = ledger_add(ledger, message);
	if (verdict == FLEET_ACCEPTED && !entry)
		return FLEET_FULL;
	if (verdict != FLEET_ACCEPTED && verdict != FLEET_REPEATED)
		return verdict;
	entry->heard_us = now_us;
	if (verdict == FLEET_ACCEPTED) {
		entry->message = *message;
		if (entry->forget_us < message->until_us + LEDGER_SKEW_US)
			entry->forget_us = message->until_us + LEDGER_SKEW_US;
		if (message->stamp_us > ledger->last_stamp_us)
			ledger->last_stamp_us = message->stamp_us;
		*ret_old_until_us = old_until_us;
	}
	*ret_entry = entry;
	return verdict;
}

uint64_t ledger_stamp(struct ledger *ledger, uint64_t now_us)
{
	ledger->last_stamp_us = now_us > ledger->last_stamp_us ? now_us : ledger->last_stamp_us + 1;
	return ledger->last_stamp_us;
}

void ledger_each(const struct ledger *ledger, ledger_entry_fn fn, void *userdata)
{
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct ledger_entry *entry = ledger->buckets[i]; entry; entry = entry->next)
			fn(userdata, entry);
}

size_t ledger_count(const struct ledger *ledger)
{
	return ledger->n;
}

void ledger_sweep(struct ledger *ledger, uint64_t now_us)
{
	for (size_t i = 0; i < BUCKETS; i++) {
		struct ledger_entry **link = &ledger->buckets[i];

		while (*link) {
			struct ledger_entry *entry = *link;

			if (entry->forget_us > now_us || entry->is_queued || entry->is_asked) {
				link = &entry->next;
				continue;
			}
			*link = entry->next;
			free(entry);
			ledger->n--;
		}
	}
}
