#include "fleet/ledger.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "core/keyed/keyed.h"
#include "core/token.h"
#include "util/cleanup.h"
#include "util/clock.h"

enum { BUCKETS = 65536, HOST_BUCKETS = 1024 };

/* How long a door may be open, at most, and some time for clocks. */
#define SPAN_MAX_US ((uint64_t)DOOR_TIMEOUT_MAX_S * US_PER_S + 2 * LEDGER_SKEW_US)

/* By how much our clock may have been set back without our words having to be taken for those of a
 * clock that was wrong: they go on after the last one, or begin again. */
#define SET_BACK_US UINT64_C(3600000000)

/* How often there is a look for room. */
#define SWEEP_US US_PER_S

enum room { ROOM_OWN, ROOM_OPEN, ROOM_SHUT, ROOM_BURNT, ROOM_STATUS, N_ROOMS };
static const size_t room_sizes[N_ROOMS] = {
	[ROOM_OWN] = LEDGER_OWN_MAX,	   [ROOM_OPEN] = LEDGER_OPEN_MAX,
	[ROOM_SHUT] = LEDGER_SHUT_MAX,	   [ROOM_BURNT] = LEDGER_BURNT_MAX,
	[ROOM_STATUS] = LEDGER_STATUS_MAX,
};

struct ledger_host {
	struct ledger_host *next;
	char name[FLEET_HOST_MAX + 1];
	size_t used[N_ROOMS], n;
};

struct ledger {
	char host[FLEET_HOST_MAX + 1];
	struct ledger_entry *buckets[BUCKETS];
	struct ledger_host *hosts[HOST_BUCKETS];
	size_t n, n_hosts, used[N_ROOMS];
	uint64_t swept_us;
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

int ledger_new(const char *host, struct ledger **ret)
{
	struct ledger *ledger = calloc(1, sizeof *ledger);

	if (!ledger)
		return -ENOMEM;
	memcpy(ledger->host, host, strlen(host) + 1);
	*ret = ledger;
	return 0;
}

static struct ledger_host **ledger_find_host(struct ledger *ledger, const char *name)
{
	uint64_t hash = hash_bytes(HASH_START, name, strlen(name));
	struct ledger_host **link = &ledger->hosts[hash % HOST_BUCKETS];

	while (*link && strcmp((*link)->name, name) != 0)
		link = &(*link)->next;
	return link;
}

/* NULL: no memory. It goes with its last entry. */
static struct ledger_host *ledger_join_host(struct ledger *ledger, const char *name)
{
	struct ledger_host **link = ledger_find_host(ledger, name);

	if (*link)
		return *link;
	*link = calloc(1, sizeof **link);
	if (!*link)
		return NULL;
	memcpy((*link)->name, name, strlen(name) + 1);
	ledger->n_hosts++;
	return *link;
}

static void ledger_leave_host(struct ledger *ledger, struct ledger_host *host)
{
	if (host->n > 0)
		return;
	*ledger_find_host(ledger, host->name) = host->next;
	ledger->n_hosts--;
	free(host);
}

static void ledger_remove(struct ledger *ledger, struct ledger_entry **link)
{
	struct ledger_entry *entry = *link;

	*link = entry->next;
	ledger->n--;
	ledger->used[entry->room]--;
	entry->host->n--;
	entry->host->used[entry->room]--;
	ledger_leave_host(ledger, entry->host);
	free(entry);
}

struct ledger *ledger_free(struct ledger *ledger)
{
	for (size_t i = 0; ledger && i < BUCKETS; i++)
		while (ledger->buckets[i])
			ledger_remove(ledger, &ledger->buckets[i]);
	free(ledger);
	return NULL;
}

/* All words on a door and a source are in one bucket; that a host is there is of no source. */
static size_t subject_bucket(const struct fleet_message *message)
{
	uint64_t hash = hash_bytes(HASH_START, message->source.bytes, sizeof message->source.bytes);

	hash = hash_bytes(hash, message->door, strlen(message->door));
	hash = hash_bytes(hash, message->nonce, sizeof message->nonce);
	hash = hash_bytes(hash, message->kind == FLEET_BURNT ? &message->step : &(uint64_t){0},
			  sizeof message->step);
	if (message->kind == FLEET_STATUS)
		hash = hash_bytes(hash, message->host, strlen(message->host));
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

/* What opens the door for the source, or shuts it. */
static bool is_about(const struct fleet_message *message, const char *door,
		     const struct address *source)
{
	return message->kind <= FLEET_SHUT && strcmp(message->door, door) == 0 &&
	       address_equal(&message->source, source);
}

#define FOR_EACH_ABOUT(ledger, entry, subject)                                                     \
	for (struct ledger_entry *entry = (ledger)->buckets[subject_bucket(subject)]; entry;       \
	     entry = entry->next)                                                                  \
		if (is_about(&entry->message, (subject)->door, &(subject)->source))

/* What has shut the door for good, so that this opens nothing; NULL: nothing has. */
static struct ledger_entry *ledger_find_shut(const struct ledger *ledger,
					     const struct fleet_message *message)
{
	FOR_EACH_ABOUT(ledger, entry, message)
	if (entry->message.kind == FLEET_SHUT && message->stamp_us <= entry->message.stamp_us)
		return entry;
	return NULL;
}

/* From now on nothing that was said before opens it; and it is remembered for as long as that. */
static void ledger_shut(const struct ledger *ledger, struct ledger_entry *shut)
{
	FOR_EACH_ABOUT(ledger, entry, &shut->message)
	{
		if (entry->message.stamp_us > shut->message.stamp_us)
			continue;
		entry->is_void |= entry->message.kind == FLEET_OPEN;
		if (entry->forget_us > shut->forget_us)
			shut->forget_us = entry->forget_us;
	}
}

uint64_t ledger_latest_us(const struct ledger *ledger, const char *door,
			  const struct address *source)
{
	struct fleet_message subject = {.kind = FLEET_OPEN, .source = *source};
	uint64_t latest_us = 0;

	memcpy(subject.door, door, strlen(door) + 1);
	FOR_EACH_ABOUT(ledger, entry, &subject)
	if (entry->message.kind != FLEET_SHUT && entry->forget_us > latest_us)
		latest_us = entry->forget_us;
	return latest_us > 0 ? latest_us - LEDGER_SKEW_US : 0;
}

static bool ledger_has_room(const struct ledger *ledger, const struct ledger_host *host,
			    enum room room)
{
	size_t of_one = room_sizes[room] / (room == ROOM_OWN ? 1 : LEDGER_OF_ONE);

	return ledger->used[room] < room_sizes[room] && host->used[room] < of_one;
}

static enum room message_room(const struct ledger *ledger, const struct fleet_message *message)
{
	static const enum room rooms[N_FLEET_KINDS] = {
		[FLEET_OPEN] = ROOM_OPEN,   [FLEET_CLOSED] = ROOM_OPEN,	  [FLEET_SHUT] = ROOM_SHUT,
		[FLEET_BURNT] = ROOM_BURNT, [FLEET_STATUS] = ROOM_STATUS,
	};

	return strcmp(message->host, ledger->host) == 0 ? ROOM_OWN : rooms[message->kind];
}

/* NULL: there is no room, or no memory. */
static struct ledger_entry *ledger_try_add(struct ledger *ledger,
					   const struct fleet_message *message)
{
	struct ledger_entry **bucket = &ledger->buckets[subject_bucket(message)], *entry = NULL;
	struct ledger_host *host = ledger_join_host(ledger, message->host);
	enum room room = message_room(ledger, message);

	if (!host)
		return NULL;
	if (message->kind == FLEET_CLOSED && !ledger_has_room(ledger, host, room))
		room = ROOM_SHUT;
	if (ledger_has_room(ledger, host, room))
		entry = calloc(1, sizeof *entry);
	if (!entry) {
		ledger_leave_host(ledger, host);
		return NULL;
	}
	entry->host = host;
	entry->room = room;
	entry->next = *bucket;
	*bucket = entry;
	ledger->n++;
	ledger->used[room]++;
	host->n++;
	host->used[room]++;
	return entry;
}

static struct ledger_entry *ledger_add(struct ledger *ledger, const struct fleet_message *message,
				       uint64_t now_us)
{
	struct ledger_entry *entry = ledger_try_add(ledger, message);

	if (entry || (now_us >= ledger->swept_us && now_us < ledger->swept_us + SWEEP_US))
		return entry;
	ledger_sweep(ledger, now_us);
	return ledger_try_add(ledger, message);
}

/* What nobody can have used at the time of its stamp, whatever their clocks. */
static bool burnt_is_early(const struct fleet_message *message)
{
	uint64_t latest_s = (message->stamp_us + 2 * LEDGER_SKEW_US) / US_PER_S + KEYED_SKEW_MAX_S;

	return message->kind == FLEET_BURNT &&
	       (message->step > token_step(latest_s) || message->time_s > latest_s);
}

static enum fleet_verdict ledger_judge(const struct ledger *ledger,
				       const struct ledger_entry *entry,
				       const struct fleet_message *message, uint64_t now_us)
{
	/* An answer to a word that is as early as may be is later than that. */
	bool is_answer = fleet_message_closes(message);

	if (message->stamp_us > now_us + (is_answer ? 2 : 1) * LEDGER_SKEW_US)
		return FLEET_FUTURE;
	if (message->until_us > message->stamp_us + SPAN_MAX_US || burnt_is_early(message))
		return FLEET_MALFORMED;
	if (message->until_us <= now_us)
		return FLEET_STALE;
	if (entry && message->stamp_us == entry->message.stamp_us)
		return FLEET_REPEATED;
	if (entry && message->stamp_us < entry->message.stamp_us)
		return FLEET_OLD;
	if (message->kind == FLEET_OPEN && ledger_find_shut(ledger, message))
		return FLEET_VOID;
	return FLEET_ACCEPTED;
}

/* Whatever is known of it must be known for as long as this could be believed. */
static void entry_remember(struct ledger_entry *entry, const struct fleet_message *message)
{
	if (entry && entry->forget_us < message->until_us + LEDGER_SKEW_US)
		entry->forget_us = message->until_us + LEDGER_SKEW_US;
}

static void ledger_note(const struct ledger *ledger, struct ledger_entry *entry,
			const struct fleet_message *message, uint64_t now_us)
{
	entry->message = *message;
	entry->heard_us = now_us;
	entry->is_void = false;
	entry_remember(entry, message);
	if (message->kind == FLEET_SHUT)
		ledger_shut(ledger, entry);
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
		entry = ledger_add(ledger, message, now_us);
	if (verdict == FLEET_ACCEPTED && !entry)
		return FLEET_FULL;
	if (verdict == FLEET_OLD)
		entry_remember(entry, message);
	else if (verdict == FLEET_VOID)
		entry_remember(ledger_find_shut(ledger, message), message);
	if (verdict != FLEET_ACCEPTED && verdict != FLEET_REPEATED)
		return verdict;
	if (verdict == FLEET_ACCEPTED) {
		ledger_note(ledger, entry, message, now_us);
		*ret_old_until_us = old_until_us;
	}
	*ret_entry = entry;
	return verdict;
}

/* The latest of those that were known when this was said. */
static uint64_t ledger_latest_open(const struct ledger *ledger, const struct fleet_message *shut)
{
	uint64_t latest_us = 0;

	FOR_EACH_ABOUT(ledger, entry, shut)
	if (entry->message.kind == FLEET_OPEN && entry->heard_us <= shut->stamp_us &&
	    entry->message.stamp_us > latest_us)
		latest_us = entry->message.stamp_us;
	return latest_us;
}

/* Who has knocked after we had heard that it was shut comes after that, whatever the clocks. */
static uint64_t ledger_pass_shut(const struct ledger *ledger, const struct fleet_message *open)
{
	uint64_t stamp_us = open->stamp_us;

	FOR_EACH_ABOUT(ledger, entry, open)
	if (entry->message.kind == FLEET_SHUT && open->stamp_us > entry->heard_us &&
	    stamp_us <= entry->message.stamp_us)
		stamp_us = entry->message.stamp_us + 1;
	return stamp_us;
}

static uint64_t ledger_stamp(const struct ledger *ledger, const struct ledger_entry *entry,
			     const struct fleet_message *message, uint64_t now_us)
{
	uint64_t stamp_us = message->stamp_us, least_us = entry ? entry->message.stamp_us + 1 : 0;
	uint64_t open_us = message->kind == FLEET_SHUT ? ledger_latest_open(ledger, message) : 0;

	if (open_us > least_us)
		least_us = open_us;
	if (least_us > now_us + SET_BACK_US)
		least_us = 0;
	return stamp_us > least_us ? stamp_us : least_us;
}

enum fleet_verdict ledger_say(struct ledger *ledger, struct fleet_message *message, uint64_t now_us,
			      struct ledger_entry **ret_entry)
{
	struct ledger_entry *entry;

	memcpy(message->host, ledger->host, sizeof message->host);
	entry = ledger_find(ledger, message);
	if (message->stamp_us == 0 || message->stamp_us > now_us)
		message->stamp_us = now_us;
	if (message->kind == FLEET_OPEN)
		message->stamp_us = ledger_pass_shut(ledger, message);
	if (message->kind == FLEET_OPEN && ledger_find_shut(ledger, message))
		return FLEET_VOID;
	message->stamp_us = ledger_stamp(ledger, entry, message, now_us);
	if (message->until_us > message->stamp_us + SPAN_MAX_US)
		message->until_us = message->stamp_us + SPAN_MAX_US;
	if (message->until_us <= now_us)
		return FLEET_STALE;
	if (!entry)
		entry = ledger_add(ledger, message, now_us);
	if (!entry)
		return FLEET_FULL;
	ledger_note(ledger, entry, message, now_us);
	*ret_entry = entry;
	return FLEET_ACCEPTED;
}

struct ledger_entry *ledger_restore(struct ledger *ledger, const struct ledger_entry *saved)
{
	struct ledger_entry *entry = ledger_find(ledger, &saved->message);

	if (entry && entry->message.stamp_us >= saved->message.stamp_us)
		return entry;
	if (!entry)
		entry = ledger_try_add(ledger, &saved->message);
	if (!entry)
		return NULL;
	ledger_note(ledger, entry, &saved->message, saved->heard_us);
	if (entry->forget_us < saved->forget_us)
		entry->forget_us = saved->forget_us;
	return entry;
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

size_t ledger_count_hosts(const struct ledger *ledger)
{
	return ledger->n_hosts;
}

void ledger_sweep(struct ledger *ledger, uint64_t now_us)
{
	ledger->swept_us = now_us;
	for (size_t i = 0; i < BUCKETS; i++) {
		struct ledger_entry **link = &ledger->buckets[i];

		while (*link)
			if ((*link)->forget_us > now_us || (*link)->is_queued || (*link)->is_asked)
				link = &(*link)->next;
			else
				ledger_remove(ledger, link);
	}
}
