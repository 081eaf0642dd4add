#include "fleet/agent/agent.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmocka-all.h"
#include "fleet/agent/broker.h"
#include "fleet/agent/errands.h"
#include "fleet/agent/local.h"
#include "fleet/agent/notice.h"
#include "fleet/config.h"
#include "fleet/ledger.h"
#include "fleet/seal.h"
#include "shortage.h"
#include "support-loop.h"
#include "support-words.h"
#include "support.h"
#include "util/clock.h"

#define S      US_PER_S
#define NOW    LOOP_REALTIME_US
#define PLACE  "198.51.100.7"
#define MINUTE (60 * S)

/* What stands in for the broker, the daemon and the journal keeps what it is told, a line each. */
static struct words said, asked, noticed;
static struct fleet_message last; /* that was said */
static unsigned n_subscribed;
static const struct broker_ops *broker_ops;
static const struct local_ops *local_ops;
static bool broker_up, daemon_there;
static int local_result;
static void *owner, *entries[128];
static size_t n_entries, first_entry;
static struct fleet_seal *seal;

/* In seconds of the test's; "?": none. */
static const char *time_format(uint64_t us, char text[static 32])
{
	if (us == 0 || us == UINT64_MAX)
		snprintf(text, 32, us ? "ever" : "?");
	else
		snprintf(text, 32, "%+.9g", (double)((int64_t)(us - NOW)) / (double)S);
	return text;
}

/* The broker */

int broker_new(sd_event *event, const struct fleet_config *config, const struct broker_ops *ops,
	       void *userdata, struct broker **ret)
{
	(void)event;
	(void)config;
	broker_ops = ops;
	owner = userdata;
	*ret = (struct broker *)&broker_up;
	return 0;
}

struct broker *broker_free(struct broker *broker)
{
	(void)broker;
	return NULL;
}

bool broker_is_up(const struct broker *broker)
{
	(void)broker;
	return broker_up;
}

void broker_subscribe(struct broker *broker)
{
	(void)broker;
	n_subscribed++;
}

static const char *kind_name(enum fleet_kind kind)
{
	static const char *const names[N_FLEET_KINDS] = {
		[FLEET_OPEN] = "open",	 [FLEET_CLOSED] = "closed", [FLEET_SHUT] = "shut",
		[FLEET_BURNT] = "burnt", [FLEET_STATUS] = "status",
	};

	return names[kind];
}

void broker_publish(struct broker *broker, const char *topic, const void *data, size_t size,
		    uint32_t expiry_s)
{
	struct fleet_message message;
	char source[ADDRESS_TEXT_MAX], until[32];

	(void)broker;
	assert_int_equal(fleet_seal_open(seal, topic, data, size, &message), 0);
	assert_string_equal(message.host, "me");
	assert_true(expiry_s > 0);
	last = message;
	if (message.kind == FLEET_STATUS || message.kind == FLEET_BURNT)
		words_add(&said, "%s %s %" PRIu64 " until %s\n", kind_name(message.kind),
			  message.door, message.step, time_format(message.until_us, until));
	else
		words_add(&said, "%s %s %s%s%s %d until %s\n", kind_name(message.kind),
			  message.door, address_format(&message.source, source),
			  message.user[0] ? " " : "", message.user, (int)message.knock,
			  time_format(message.until_us, until));
}

/* The daemon */

int local_new(sd_event *event, const struct local_ops *ops, void *userdata, struct local **ret)
{
	(void)event;
	(void)userdata;
	local_ops = ops;
	*ret = (struct local *)&daemon_there;
	return 0;
}

struct local *local_free(struct local *local)
{
	(void)local;
	return NULL;
}

bool local_is_there(const struct local *local)
{
	(void)local;
	return daemon_there;
}

static int local_keep(void *entry)
{
	if (local_result == 0 && entry)
		entries[n_entries++ % 128] = entry;
	return local_result;
}

int local_open(struct local *local, const char *door, const char *source, const char *visitor,
	       const char *knock, uint64_t deadline_us, uint64_t stamp_us, void *entry)
{
	char until[32], stamp[32];

	(void)local;
	words_add(&asked, "open %s %s %s %s until %s of %s\n", door, source, visitor, knock,
		  time_format(deadline_us, until), time_format(stamp_us, stamp));
	return local_keep(entry);
}

int local_close(struct local *local, const char *door, const char *source, const char *host,
		uint64_t stamp_us, void *entry)
{
	char stamp[32];

	(void)local;
	words_add(&asked, "close %s %s %s of %s\n", door, source, *host ? host : "all",
		  time_format(stamp_us, stamp));
	return local_keep(entry);
}

int local_burn(struct local *local, const struct fleet_message *message, void *entry)
{
	(void)local;
	words_add(&asked, "burn %s %" PRIu64 "\n", message->door, message->step);
	return local_keep(entry);
}

/* What became of the first call that has no answer. */
static void answer(enum local_answer answer, const char *why)
{
	assert_true(first_entry < n_entries);
	local_ops->answer(owner, entries[first_entry++ % 128], answer, why);
}

/* The journal */

void notice_send(enum notice notice, const char *format, ...)
{
	char text[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	words_add(&noticed, "%d %s\n", (int)notice, text);
}

/* An agent of the host "me" */

struct scene {
	char *directory, *report;
	struct fleet_config *config;
	struct agent *agent;
};

static void on_complaint(void *userdata, unsigned line, const char *text)
{
	(void)userdata;
	fail_msg("%u: %s", line, text);
}

static int scene_try(struct scene *scene)
{
	const struct agent_options options = {
		.config = scene->config,
		.seal = seal,
		.state_directory = scene->directory,
		.runtime_directory = scene->directory,
	};

	return agent_new(NULL, &options, &scene->agent);
}

static void scene_start(struct scene *scene)
{
	assert_int_equal(scene_try(scene), 0);
}

static int scene_configure(struct scene *scene, const char *doors)
{
	char text[200];

	snprintf(text, sizeof text,
		 "[fleet]\nname = prod\nhost = me\nkey = /key\n[broker]\nsocket = /broker\n"
		 "[doors]\n%s",
		 doors);
	fleet_config_free(scene->config);
	return fleet_config_parse(text, strlen(text), on_complaint, NULL, &scene->config);
}

static int set_up(void **state)
{
	static struct scene scene;
	struct secret key = {{1}};

	scene = (struct scene){.directory = support_directory()};
	scene.report = support_path(scene.directory, "report.json");
	if (sodium_init() < 0 || fleet_seal_new(&key, "prod", &seal) < 0 ||
	    scene_configure(&scene, "ssh = ssh\nweb = www\n") < 0)
		return -1;
	broker_up = false;
	daemon_there = true;
	local_result = 0;
	n_subscribed = 0;
	n_entries = first_entry = 0;
	loop_begin();
	scene_start(&scene);
	*state = &scene;
	return 0;
}

static int tear_down(void **state)
{
	struct scene *scene = *state;

	scene->agent = agent_free(scene->agent);
	fleet_seal_free(seal);
	fleet_config_free(scene->config);
	free(scene->report);
	support_remove(scene->directory);
	words_forget(&said);
	words_forget(&asked);
	words_forget(&noticed);
	words_forget(&logged);
	return 0;
}

/* Its broker comes, and hears that it is there. */
static void rise(void)
{
	broker_up = true;
	broker_ops->up(owner);
	words_forget(&said);
	words_forget(&noticed);
}

static struct fleet_message word(enum fleet_kind kind, const char *host, uint64_t stamp_us,
				 uint64_t until_us)
{
	struct fleet_message message = {.kind = kind, .stamp_us = stamp_us, .until_us = until_us};

	strcpy(message.host, host);
	strcpy(message.door, "ssh");
	address_parse(PLACE, &message.source);
	return message;
}

static void hear(struct fleet_message message, bool is_kept)
{
	char topic[FLEET_TOPIC_SIZE];
	uint8_t sealed[SEALED_SIZE];

	fleet_seal_topic(seal, &message, topic);
	fleet_seal_close(seal, &message, sealed);
	broker_ops->message(owner, topic, sealed, sizeof sealed, is_kept);
}

#define HEAR(...) hear(word(__VA_ARGS__), false)

static void hold(uint64_t deadline_us, const char *user, const char *knock)
{
	local_ops->held(owner, &(struct local_hold){.door = "ssh",
						    .source = PLACE,
						    .user = user,
						    .knock = knock,
						    .deadline_us = deadline_us,
						    .stamp_us = NOW});
}

static void expect_report(const struct scene *scene, const char *part)
{
	char *text;

	loop_advance(S);
	text = support_read(scene->report, NULL);
	assert_non_null(text);
	if (!strstr(text, part))
		fail_msg("%s is not in %s", part, text);
	free(text);
}

/* What this host says */

static void test_what_is_open_here(void **state)
{
	struct scene *scene = *state;

	rise();
	hold(NOW + MINUTE, "alice", "token");
	words_expect(&said, "open ssh " PLACE " alice 2 until +60\n");
	/* The same again, as far as clocks tell. */
	hold(NOW + MINUTE + S / 20, "alice", "token");
	words_expect(&said, "");
	hold(NOW + 2 * MINUTE, "alice", "token");
	words_expect(&said, "open ssh " PLACE " alice 2 until +120\n");
	hold(NOW + 2 * MINUTE, "bob", "spa");
	words_expect(&said, "open ssh " PLACE " bob 3 until +120\n");
	hold(NOW + MINUTE, "bob", "spa");
	words_expect(&said, "open ssh " PLACE " bob 3 until +60\n");
	/* Whose knock it was is not known, or of a kind that nobody knows. */
	hold(NOW + 3 * MINUTE, "bob", "");
	words_expect(&said, "open ssh " PLACE " bob 0 until +180\n");
	hold(NOW + 4 * MINUTE, "bob", "bell");
	words_expect(&said, "open ssh " PLACE " bob 0 until +240\n");
	expect_report(scene, "\"host\":\"me\",\"user\":\"bob\"");
	hold(0, "", "");
	/* Until the longest of them would have ended. */
	words_expect(&said, "closed ssh " PLACE " 0 until +240\n");
	hold(0, "", "");
	words_expect(&said, "");
}

static void test_what_is_not_said(void **state)
{
	static const struct local_hold holds[] = {
		{"own", PLACE, "alice", "token", NOW + MINUTE, NOW, false},
		{"ssh", "198.51.100", "alice", "token", NOW + MINUTE, NOW, false},
		{"ssh", PLACE, "alice@one", "token", NOW + MINUTE, NOW, false},
		{"ssh", PLACE, "alice-alice-alice-alice-alice-alice", "token", NOW + MINUTE, NOW,
		 false},
		/* It is over. */
		{"ssh", PLACE, "alice", "token", NOW - 1, NOW - MINUTE, false},
		/* Nothing of it was known, and nobody has shut it. */
		{"ssh", PLACE, "", "", 0, NOW, false},
	};

	(void)state;
	rise();
	for (size_t i = 0; i < sizeof holds / sizeof holds[0]; i++)
		local_ops->held(owner, &holds[i]);
	words_expect(&said, "");
	/* Without a broker there is nobody to hear it: it comes when there is one. */
	broker_up = false;
	hold(NOW + MINUTE, "alice", "token");
	words_expect(&said, "");
	broker_up = true;
	broker_ops->up(owner);
	words_expect(&said, "open ssh " PLACE " alice 2 until +60\nstatus ssh 1 until +90\n"
			    "status www 0 until +90\n");
}

static void test_shut_by_hand(void **state)
{
	const struct local_hold shut = {"ssh", PLACE, "", "", 0, NOW + S, true};
	const struct local_hold other = {"web", PLACE, "alice", "token", NOW + MINUTE, NOW, false};
	struct fleet_message word_of_other;

	(void)state;
	rise();
	hold(NOW + 2 * MINUTE, "alice", "token");
	words_forget(&said);
	loop_advance(S);
	words_forget(&said);
	/* All that anybody has open, and what this host has. */
	local_ops->held(owner, &shut);
	words_expect(&said,
		     "shut ssh " PLACE " 0 until +3720\nclosed ssh " PLACE " 0 until +120\n");
	/* Again, of what is not known to be open. */
	local_ops->held(owner, &shut);
	words_expect(&said, "shut ssh " PLACE " 0 until +3720\n");
	/* What was shut is not said to be open by what came before. */
	hold(NOW + MINUTE, "alice", "token");
	words_expect(&said, "");
	/* Nor again what was so before another host has shut it. */
	local_ops->held(owner, &other);
	words_expect(&said, "open www " PLACE " alice 2 until +60\n");
	word_of_other = word(FLEET_SHUT, "b", NOW + S, NOW + MINUTE);
	strcpy(word_of_other.door, "www");
	hear(word_of_other, false);
	broker_ops->up(owner);
	assert_null(strstr(said.text, "open www"));
	assert_non_null(strstr(said.text, "shut ssh"));
}

static void test_what_the_daemon_has_no_more(void **state)
{
	const struct local_hold other = {"web", PLACE, "alice", "token", NOW + MINUTE, NOW, false};

	(void)state;
	rise();
	hold(NOW + MINUTE, "alice", "token");
	local_ops->held(owner, &other);
	loop_advance(S);
	words_forget(&said);
	local_ops->gone(owner);
	local_ops->begin(owner);
	local_ops->hold(owner, &other);
	local_ops->end(owner);
	words_expect(&said, "closed ssh " PLACE " 0 until +60\n");
	assert_int_equal(last.stamp_us, NOW + S);
	/* What ends by itself meanwhile is not worth a word. */
	loop_advance(MINUTE - S - S / 20);
	words_forget(&said);
	local_ops->begin(owner);
	local_ops->end(owner);
	words_expect(&said, "");
}

static void test_what_was_used(void **state)
{
	struct fleet_message burnt = {.kind = FLEET_BURNT,
				      .key = {{7}},
				      .step = 5,
				      .door = "own/4",
				      .until_us = NOW + MINUTE};

	(void)state;
	rise();
	local_ops->burnt(owner, &burnt);
	words_expect(&said, "burnt own/4 5 until +60\n");
	/* A daemon says it again to whoever asks for all. */
	local_ops->burnt(owner, &burnt);
	words_expect(&said, "");
}

static void test_it_is_there(void **state)
{
	struct fleet_message status = {.kind = FLEET_STATUS,
				       .stamp_us = NOW,
				       .until_us = NOW + 600 * S,
				       .time_s = (uint32_t)(NOW / S),
				       .door = "ssh"};

	(void)state;
	broker_up = true;
	broker_ops->up(owner);
	words_expect(&noticed, "0 connected to the broker of the fleet prod as me\n");
	words_expect(&said, "status ssh 0 until +90\nstatus www 0 until +90\n");
	loop_advance(29 * S);
	words_expect(&said, "");
	loop_advance(2 * S);
	words_expect(&said, "status ssh 0 until +120\nstatus www 0 until +120\n");
	/* The more there are, the less often. */
	for (int i = 0; i < 48; i++) {
		snprintf(status.host, sizeof status.host, "host%d", i);
		hear(status, false);
	}
	loop_advance(29 * S);
	words_expect(&said, "status ssh 0 until +210\nstatus www 0 until +210\n");
	loop_advance(49 * S);
	words_expect(&said, "");
	loop_advance(S);
	words_expect(&said, "status ssh 0 until +260\nstatus www 0 until +260\n");
}

/* There is an end to what is remembered; the rest is counted. */
static void test_more_than_there_is_room_for(void **state)
{
	struct scene *scene = *state;
	char source[32];
	struct local_hold one = {"ssh", source, "", "token", NOW + MINUTE, NOW, false};

	for (unsigned i = 0; i < LEDGER_OWN_MAX + 2; i++) {
		snprintf(source, sizeof source, "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
		local_ops->held(owner, &one);
	}
	loop_advance(10 * S);
	expect_report(scene, "\"failed\":2,");
}

/* What others say */

static void test_what_others_have_open(void **state)
{
	struct fleet_message open = word(FLEET_OPEN, "a", NOW, NOW + MINUTE);

	(void)state;
	strcpy(open.user, "alice");
	open.knock = KNOCK_SPA;
	hear(open, false);
	words_expect(&asked, "open ssh " PLACE " alice@a spa until +60 of +0\n");
	answer(LOCAL_DONE, "");
	/* The broker says it again. */
	hear(open, true);
	words_expect(&asked, "");
	/* For less: what is open is closed before. */
	open.stamp_us++;
	open.until_us = open.stamp_us + 30 * S;
	hear(open, false);
	words_expect(&asked, "close ssh " PLACE " a of +1e-06\n"
			     "open ssh " PLACE " alice@a spa until +30 of +1e-06\n");
	answer(LOCAL_DONE, "");
	/* That was done: a daemon that comes back has nothing to close. */
	local_ops->begin(owner);
	local_ops->end(owner);
	words_expect(&asked, "open ssh " PLACE " alice@a spa until +30 of +1e-06\n");
	answer(LOCAL_DONE, "");
	HEAR(FLEET_CLOSED, "a", NOW + 2, NOW + MINUTE);
	words_expect(&asked, "close ssh " PLACE " a of +2e-06\n");
	HEAR(FLEET_SHUT, "b", NOW + 3, NOW + MINUTE);
	words_expect(&asked, "close ssh " PLACE " all of +3e-06\n");
	/* By the fleet's name of the door. */
	open = word(FLEET_OPEN, "b", NOW, NOW + MINUTE);
	strcpy(open.door, "www");
	hear(open, false);
	words_expect(&asked, "open web " PLACE " @b  until +60 of +0\n");
	/* A used knock counts wherever its door is shared, or is none here at all. */
	open = (struct fleet_message){.kind = FLEET_BURNT,
				      .host = "b",
				      .door = "other/4",
				      .key = {{1}},
				      .step = 3,
				      .stamp_us = NOW,
				      .until_us = NOW + MINUTE};
	hear(open, false);
	words_expect(&asked, "burn other/4 3\n");
}

static void test_how_long_it_is_open(void **state)
{
	static const struct {
		int stamp_s, until_s;
		const char *asked;
	} cases[] = {
		/* Of a clock that is ahead: as long as there. */
		{20, 50, "open ssh 198.51.100.0 @a  until +30 of +20\n"},
		{-20, 50, "open ssh 198.51.100.1 @a  until +50 of -20\n"},
		/* It is all but over. */
		{-20, 1, ""},
		{-20, 2, "open ssh 198.51.100.3 @a  until +2 of -20\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct fleet_message open =
			word(FLEET_OPEN, "a", NOW + (uint64_t)(cases[i].stamp_s * (int64_t)S),
			     NOW + (uint64_t)(cases[i].until_s * (int64_t)S));

		open.source.bytes[15] = (uint8_t)i;
		hear(open, false);
		words_expect(&asked, cases[i].asked);
	}
}

static void test_what_counts_for_nothing(void **state)
{
	struct scene *scene = *state;
	struct fleet_message open = word(FLEET_OPEN, "a", NOW, NOW + MINUTE);
	char topic[FLEET_TOPIC_SIZE];
	uint8_t sealed[SEALED_SIZE];

	strcpy(open.door, "own");
	hear(open, false);
	expect_report(scene, "\"unshared\":1,");
	HEAR(FLEET_CLOSED, "a", NOW + 2, NOW + MINUTE);
	HEAR(FLEET_OPEN, "a", NOW, NOW + MINUTE);
	expect_report(scene, "\"old\":1,");
	HEAR(FLEET_SHUT, "b", NOW + 9, NOW + MINUTE);
	HEAR(FLEET_OPEN, "c", NOW + 8, NOW + MINUTE);
	expect_report(scene, "\"closed\":1,");
	HEAR(FLEET_OPEN, "d", NOW - MINUTE, NOW - 1);
	HEAR(FLEET_OPEN, "d", NOW + 100 * S, NOW + 200 * S);
	open = word(FLEET_OPEN, "e", NOW, NOW + MINUTE);
	fleet_seal_topic(seal, &open, topic);
	fleet_seal_close(seal, &open, sealed);
	broker_ops->message(owner, topic, sealed, sizeof sealed - 1, false);
	sealed[0]++;
	broker_ops->message(owner, topic, sealed, sizeof sealed, false);
	sealed[0]--;
	sealed[80] ^= 1;
	broker_ops->message(owner, topic, sealed, sizeof sealed, false);
	expect_report(scene, "\"forged\":1,\"version\":1,\"malformed\":1,\"stale\":1,\"future\":1,"
			     "\"old\":1,\"closed\":1,\"unshared\":1,\"full\":0}");
	words_forget(&asked);
}

/* Once at first, and then as many as there were in a minute. What may well happen is not among
 * them. */
static void test_refusals_are_summed_up(void **state)
{
	(void)state;
	HEAR(FLEET_OPEN, "a", NOW - MINUTE, NOW - 1);
	loop_advance(S);
	words_expect(&noticed, "");
	HEAR(FLEET_OPEN, "a", NOW + 100 * S, NOW + 200 * S);
	loop_advance(S);
	words_expect(&noticed, "2 messages of the fleet prod that count for nothing: 1 (forged, "
			       "replayed, of a clock that is off, or too many; knocktail fleet has "
			       "them by reason)\n");
	HEAR(FLEET_OPEN, "a", NOW + 101 * S, NOW + 200 * S);
	HEAR(FLEET_OPEN, "a", NOW + 102 * S, NOW + 200 * S);
	loop_advance(58 * S);
	words_expect(&noticed, "");
	loop_advance(2 * S);
	assert_non_null(strstr(noticed.text, "count for nothing: 2 ("));
}

/* Clocks */

static void greet(const char *host, int ahead_s, bool is_kept)
{
	uint64_t now_us = clock_us(CLOCK_REALTIME);
	struct fleet_message status = {.kind = FLEET_STATUS,
				       .stamp_us = now_us,
				       .until_us = now_us + 90 * S,
				       .time_s = (uint32_t)((int64_t)(now_us / S) + ahead_s),
				       .door = "ssh"};

	strcpy(status.host, host);
	hear(status, is_kept);
}

static void test_clocks(void **state)
{
	static const char ahead[] = "3 the clock of a is 4 s ahead of ours, or its word was late: "
				    "doors close early or late by that\n";

	(void)state;
	/* Alone there is nobody to compare it with. */
	rise();
	loop_advance(600 * S);
	words_expect(&noticed, "");
	/* As far off as any two may be; and what the broker had kept was said long ago. */
	greet("a", 3, false);
	greet("b", -3, false);
	greet("c", -60, true);
	words_expect(&noticed, "");
	/* One, or all of them since it is this one's: no more than one word in a while. */
	loop_advance(S);
	greet("a", 4, false);
	words_expect(&noticed, ahead);
	greet("b", 60, false);
	greet("c", -4, false);
	words_expect(&noticed, "");
	loop_advance(NOTICE_QUIET_US - S);
	greet("a", 4, false);
	words_expect(&noticed, "");
	loop_advance(S);
	greet("b", -4, false);
	words_expect(&noticed, "3 the clock of b is 4 s behind ours, or its word was late: doors "
			       "close early or late by that\n");
}

/* The broker */

static void test_it_is_away(void **state)
{
	struct scene *scene = *state;
	static const char first[] =
		"1 cannot reach the broker of the fleet prod: no route; will try "
		"again: what is open closes in time, and nothing is shared until "
		"then\n";

	broker_ops->down(owner, "no route");
	words_expect(&noticed, first);
	expect_report(scene,
		      "\"broker\":false,\"broker_since_us\":0,\"daemon\":false,\"problem\":\"no "
		      "route\"");
	/* It is tried again and again; that is said once, and the report has the last reason. */
	broker_ops->down(owner, "it says \"\\no\"\n\x1b[2J\x7f\xff");
	words_expect(&noticed, "");
	expect_report(scene, "\"problem\":\"it says ??no???[2J??\",");
	rise();
	expect_report(scene, "\"broker\":true,");
	expect_report(scene, "\"problem\":\"\",");
	broker_up = false;
	broker_ops->down(owner, "no route");
	words_expect(&noticed, first);
}

static void test_it_is_asked_again(void **state)
{
	struct fleet_message open = word(FLEET_OPEN, "a", NOW, NOW + 7200 * S);

	(void)state;
	loop_advance(59 * S);
	assert_int_equal(n_subscribed, 0);
	loop_advance(2 * S);
	assert_int_equal(n_subscribed, 1);
	/* For no more than ten messages a second. */
	for (unsigned i = 0; i < 1000; i++) {
		open.source.bytes[14] = (uint8_t)(i >> 8);
		open.source.bytes[15] = (uint8_t)i;
		hear(open, true);
	}
	loop_advance(60 * S);
	assert_int_equal(n_subscribed, 2);
	loop_advance(98 * S);
	assert_int_equal(n_subscribed, 2);
	loop_advance(S);
	assert_int_equal(n_subscribed, 3);
}

/* All hosts together ask for no more than 10,000 a second. */
static void test_many_hosts_ask_seldom(void **state)
{
	struct fleet_message status = {.kind = FLEET_STATUS,
				       .stamp_us = NOW,
				       .until_us = NOW + 7200 * S,
				       .time_s = (uint32_t)(NOW / S),
				       .door = "ssh"};

	(void)state;
	for (unsigned i = 0; i < 1200; i++) {
		snprintf(status.host, sizeof status.host, "host%u", i);
		hear(status, true);
	}
	loop_advance(61 * S);
	assert_int_equal(n_subscribed, 1);
	/* 1200 words of 1200 hosts. */
	loop_advance(142 * S);
	assert_int_equal(n_subscribed, 1);
	loop_advance(3 * S);
	assert_int_equal(n_subscribed, 2);
}

/* What this host has said comes back */

static void test_its_own_word_of_before(void **state)
{
	(void)state;
	rise();
	/* Open when it was said, and not any more. */
	hear(word(FLEET_OPEN, "me", NOW - 5 * S, NOW + MINUTE), true);
	words_expect(&said, "closed ssh " PLACE " 0 until +60\n");
	/* It is still so. */
	hold(NOW + 2 * MINUTE, "alice", "token");
	words_forget(&said);
	hear(word(FLEET_CLOSED, "me", NOW + 9, NOW + MINUTE), true);
	words_expect(&said, "open ssh " PLACE " alice 2 until +120\n");
	/* Nothing is sent on, nor asked of the daemon. */
	words_expect(&asked, "");
	words_expect(&noticed, "");
}

/* Without a daemon it is not known what is so. */
static void test_its_own_word_and_no_daemon(void **state)
{
	(void)state;
	daemon_there = false;
	rise();
	hear(word(FLEET_OPEN, "me", NOW - 5 * S, NOW + MINUTE), true);
	words_expect(&said, "");
	/* It comes, and has nothing. */
	daemon_there = true;
	local_ops->begin(owner);
	local_ops->end(owner);
	words_expect(&said, "closed ssh " PLACE " 0 until +60\n");
}

static void test_another_of_its_name(void **state)
{
	static const char notice[] =
		"4 another host of the fleet prod calls itself me: each needs a name of its own in "
		"fleet.conf\n";

	(void)state;
	rise();
	/* What it said itself before it was started again. */
	HEAR(FLEET_OPEN, "me", NOW, NOW + MINUTE);
	words_expect(&noticed, "");
	HEAR(FLEET_OPEN, "me", NOW + 1, NOW + MINUTE);
	words_expect(&noticed, notice);
	HEAR(FLEET_OPEN, "me", NOW + 2, NOW + MINUTE);
	words_expect(&noticed, "");
	loop_advance(NOTICE_QUIET_US);
	HEAR(FLEET_OPEN, "me", NOW + NOTICE_QUIET_US, NOW + 2 * NOTICE_QUIET_US);
	words_expect(&noticed, notice);
}

/* The daemon */

static void test_what_is_not_shared_any_more(void **state)
{
	(void)state;
	local_ops->foreign(owner, "ssh", PLACE, "a");
	words_expect(&asked, "");
	local_ops->foreign(owner, "own", PLACE, "a");
	words_expect(&asked, "close own " PLACE " a of ever\n");
	assert_int_equal(n_entries, 0);
}

/* Which of what was said is for a daemon that has come back. */
static void test_it_has_come_back(void **state)
{
	struct fleet_message shut = word(FLEET_SHUT, "a", NOW, NOW + 2 * MINUTE);
	struct fleet_message burnt = {.kind = FLEET_BURNT,
				      .host = "a",
				      .door = "ssh/4",
				      .key = {{1}},
				      .step = 3,
				      .stamp_us = NOW,
				      .until_us = NOW + 2 * MINUTE};

	(void)state;
	daemon_there = false;
	shut.source.bytes[15] = 1;
	hear(shut, false);
	hear(burnt, false);
	HEAR(FLEET_OPEN, "a", NOW, NOW + 2 * MINUTE);
	HEAR(FLEET_OPEN, "b", NOW, NOW + MINUTE);
	HEAR(FLEET_OPEN, "me", NOW, NOW + 2 * MINUTE);
	greet("a", 0, false);
	words_expect(&asked, "");
	daemon_there = true;
	loop_advance(MINUTE);
	/* What closes first. */
	words_expect(&asked, "close ssh 198.51.100.1 all of +0\nburn ssh/4 3\n"
			     "open ssh " PLACE " @a  until +120 of +0\n"
			     "open ssh " PLACE " @b  until +60 of +0\n");
	for (int i = 0; i < 4; i++)
		answer(LOCAL_DONE, "");
	/* Somebody may have knocked since it was shut; the rest is over, or nobody else's. */
	local_ops->gone(owner);
	local_ops->begin(owner);
	local_ops->end(owner);
	words_expect(&asked, "burn ssh/4 3\nopen ssh " PLACE " @a  until +120 of +0\n");
}

static void test_it_is_asked_in_order(void **state)
{
	(void)state;
	HEAR(FLEET_OPEN, "a", NOW, NOW + MINUTE);
	words_forget(&asked);
	/* What is said meanwhile waits for the answer. */
	HEAR(FLEET_OPEN, "a", NOW + 1, NOW + 2 * MINUTE);
	HEAR(FLEET_CLOSED, "a", NOW + 2, NOW + 2 * MINUTE);
	words_expect(&asked, "");
	answer(LOCAL_DONE, "");
	words_expect(&asked, "close ssh " PLACE " a of +2e-06\n");
	answer(LOCAL_DONE, "");
	/* What waits in one queue goes to the other. */
	daemon_there = false;
	HEAR(FLEET_OPEN, "a", NOW + 3, NOW + 2 * MINUTE);
	HEAR(FLEET_OPEN, "a", NOW + 4, NOW + 2 * MINUTE);
	HEAR(FLEET_OPEN, "b", NOW + 4, NOW + 2 * MINUTE);
	HEAR(FLEET_OPEN, "c", NOW + 4, NOW + 2 * MINUTE);
	HEAR(FLEET_CLOSED, "b", NOW + 5, NOW + 2 * MINUTE);
	HEAR(FLEET_CLOSED, "c", NOW + 5, NOW + 2 * MINUTE);
	HEAR(FLEET_CLOSED, "a", NOW + 5, NOW + 2 * MINUTE);
	daemon_there = true;
	loop_advance(S);
	words_expect(&asked, "close ssh " PLACE " b of +5e-06\nclose ssh " PLACE " c of +5e-06\n"
			     "close ssh " PLACE " a of +5e-06\n");
	/* Shut before it could be asked to open. */
	for (int i = 0; i < 3; i++)
		answer(LOCAL_DONE, "");
	daemon_there = false;
	HEAR(FLEET_OPEN, "d", NOW + 6, NOW + 2 * MINUTE);
	HEAR(FLEET_SHUT, "e", NOW + 7, NOW + 2 * MINUTE);
	daemon_there = true;
	loop_advance(S);
	words_expect(&asked, "close ssh " PLACE " all of +7e-06\n");
}

/* So many calls at a time; what closes has a lane of its own. */
static void test_it_is_not_asked_for_too_much(void **state)
{
	struct fleet_message open = word(FLEET_OPEN, "a", NOW, NOW + MINUTE);
	struct fleet_message burnt = {.kind = FLEET_BURNT,
				      .host = "a",
				      .door = "ssh/4",
				      .key = {{1}},
				      .stamp_us = NOW,
				      .until_us = NOW + MINUTE};

	(void)state;
	for (uint8_t i = 1; i <= 40; i++) {
		open.source.bytes[15] = i;
		hear(open, false);
	}
	assert_int_equal(asked.n, 32);
	for (uint8_t i = 1; i <= 10; i++) {
		burnt.step = i;
		hear(burnt, false);
	}
	assert_int_equal(asked.n, 32 + 4);
	HEAR(FLEET_SHUT, "b", NOW, NOW + MINUTE);
	assert_int_equal(asked.n, 32 + 4 + 1);
	answer(LOCAL_DONE, "");
	assert_int_equal(asked.n, 32 + 4 + 2);
}

static void test_what_becomes_of_a_call(void **state)
{
	struct scene *scene = *state;
	static const char refused[] =
		"<4>knocktaild has refused what a has said: no \"such\" door\n";
	struct fleet_message open = word(FLEET_OPEN, "a", NOW, NOW + 10 * MINUTE);

	local_ops->begin(owner);
	local_ops->end(owner);
	expect_report(scene, "\"daemon\":true,");
	/* Busy, or not there: it waits, and those behind it with it. */
	for (int i = 0; i < 2; i++) {
		open.source.bytes[15]++;
		hear(open, false);
		words_forget(&asked);
		answer(i == 0 ? LOCAL_BUSY : LOCAL_AWAY, "busy");
		open.source.bytes[15]++;
		hear(open, false);
		words_expect(&asked, "");
		loop_advance(S);
		assert_int_equal(asked.n, 2);
		answer(LOCAL_DONE, "");
		answer(LOCAL_DONE, "");
		words_forget(&asked);
	}
	/* Refused: that is that. */
	for (int i = 0; i < 2; i++) {
		open.source.bytes[15]++;
		hear(open, false);
		answer(LOCAL_REFUSED, "no \"such\" door");
		words_expect(&logged, i == 0 ? refused : "");
	}
	expect_report(scene, "\"refusal\":\"no ?such? door\",");
	expect_report(scene, "\"failed\":2,");
	loop_advance(MINUTE);
	open.source.bytes[15]++;
	hear(open, false);
	answer(LOCAL_REFUSED, "no \"such\" door");
	words_expect(&logged, refused);
	/* It could not be asked. */
	local_result = -ENOMEM;
	open.source.bytes[15]++;
	hear(open, false);
	expect_report(scene, "\"failed\":4,");
	local_ops->gone(owner);
	expect_report(scene, "\"daemon\":false,");
}

/* What is on disk */

static void test_what_was_closed_is_kept(void **state)
{
	struct scene *scene = *state;

	HEAR(FLEET_OPEN, "a", NOW, NOW + MINUTE);
	HEAR(FLEET_CLOSED, "a", NOW + 1, NOW + MINUTE);
	scene->agent = agent_free(scene->agent);
	words_forget(&asked);
	scene_start(scene);
	HEAR(FLEET_OPEN, "a", NOW, NOW + MINUTE);
	/* It was still to be carried out. */
	local_ops->begin(owner);
	local_ops->end(owner);
	words_expect(&asked, "close ssh " PLACE " a of +1e-06\n");
}

/* What is known of a door that is not shared any more is of no use. */
static void test_a_door_that_was_shared(void **state)
{
	struct scene *scene = *state;
	struct fleet_message closed = word(FLEET_CLOSED, "a", NOW, NOW + MINUTE);

	strcpy(closed.door, "www");
	hear(closed, false);
	HEAR(FLEET_CLOSED, "a", NOW, NOW + MINUTE);
	scene->agent = agent_free(scene->agent);
	words_forget(&asked);
	assert_int_equal(scene_configure(scene, "ssh = ssh\n"), 0);
	scene_start(scene);
	local_ops->begin(owner);
	local_ops->end(owner);
	words_expect(&asked, "close ssh " PLACE " a of +0\n");
	expect_report(scene, "\"failed\":0,");
}

static void test_how_often_it_is_saved(void **state)
{
	struct scene *scene = *state;
	char *path = support_path(scene->directory, "closed");

	HEAR(FLEET_SHUT, "a", NOW, NOW + MINUTE);
	assert_true(support_exists(path));
	assert_int_equal(unlink(path), 0);
	/* At once; and what comes soon after that a little later, however much it is. */
	HEAR(FLEET_SHUT, "b", NOW, NOW + MINUTE);
	loop_advance(S / 20);
	HEAR(FLEET_SHUT, "c", NOW, NOW + MINUTE);
	assert_false(support_exists(path));
	loop_advance(S / 20);
	assert_true(support_exists(path));
	free(path);
}

static void test_a_disk_that_fails(void **state)
{
	struct scene *scene = *state;
	char *path = support_path(scene->directory, "closed"), expected[300];

	/* Neither its own directory nor anything else. */
	HEAR(FLEET_SHUT, "a", NOW, NOW + MINUTE);
	scene->agent = agent_free(scene->agent);
	words_forget(&asked);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	scene_start(scene);
	snprintf(expected, sizeof expected, "<3>cannot read what was closed in %s: %s\n",
		 scene->directory, strerror(EISDIR));
	words_expect(&logged, expected);
	HEAR(FLEET_SHUT, "b", NOW, NOW + MINUTE);
	snprintf(expected, sizeof expected, "<3>cannot save what was closed in %s: %s\n",
		 scene->directory, strerror(EISDIR));
	words_expect(&logged, expected);
	assert_int_equal(rmdir(path), 0);
	free(path);
	assert_int_equal(mkdir(scene->report, 0700), 0);
	loop_advance(S);
	snprintf(expected, sizeof expected, "<3>cannot write %s/report.json: %s\n",
		 scene->directory, strerror(EISDIR));
	words_expect(&logged, expected);
	assert_int_equal(rmdir(scene->report), 0);
}

/* What is reported has not changed: it is written now and then, so that it is not taken for that of
 * an agent that is gone. */
static void test_how_often_it_reports(void **state)
{
	struct scene *scene = *state;
	struct fleet_message open = word(FLEET_OPEN, "a", NOW, NOW + 600 * S);

	loop_advance(S);
	assert_int_equal(unlink(scene->report), 0);
	loop_advance(8 * S);
	assert_false(support_exists(scene->report));
	loop_advance(3 * S);
	assert_true(support_exists(scene->report));
	/* A large one is not written for each change. */
	for (unsigned i = 0; i < 2000; i++) {
		open.source.bytes[14] = (uint8_t)(i >> 8);
		open.source.bytes[15] = (uint8_t)i;
		hear(open, true);
	}
	assert_int_equal(unlink(scene->report), 0);
	loop_advance(5 * S);
	assert_false(support_exists(scene->report));
	loop_advance(6 * S);
	assert_true(support_exists(scene->report));
}

static void test_what_is_in_the_report(void **state)
{
	struct scene *scene = *state;
	struct fleet_message other = word(FLEET_OPEN, "b", NOW, NOW + 90 * S);
	char expected[300];

	greet("a", 0, false);
	greet("b", 0, true);
	HEAR(FLEET_OPEN, "a", NOW, NOW + MINUTE);
	strcpy(other.user, "alice");
	other.source.bytes[15] = 9;
	hear(other, false);
	snprintf(expected, sizeof expected,
		 "{\"host\":\"a\",\"door\":\"ssh\",\"open\":0,\"said_us\":%" PRIu64
		 ",\"heard_us\":%" PRIu64 "}",
		 NOW, NOW);
	expect_report(scene, expected);
	snprintf(expected, sizeof expected,
		 "{\"host\":\"b\",\"door\":\"ssh\",\"open\":0,\"said_us\":%" PRIu64
		 ",\"heard_us\":0}",
		 NOW);
	expect_report(scene, expected);
	snprintf(expected, sizeof expected,
		 "{\"door\":\"ssh\",\"source\":\"198.51.100.9\",\"host\":\"b\",\"user\":\"alice\","
		 "\"deadline_us\":%" PRIu64 "}",
		 NOW + 90 * S);
	expect_report(scene, expected);
	/* What was shut, what is over, and who was not heard for long is not. */
	HEAR(FLEET_SHUT, "c", NOW, NOW + MINUTE);
	other.kind = FLEET_CLOSED;
	other.user[0] = '\0';
	other.stamp_us++;
	hear(other, false);
	expect_report(scene, "\"open\":[]}");
	loop_advance(90 * S);
	expect_report(scene, "\"shares\":[],");
}

/* Memory: each time one more allocation succeeds before one fails. */

static void test_no_memory_for_an_agent(void **state)
{
	struct scene *scene = *state;
	int r = -ENOMEM;
	size_t n;

	scene->agent = agent_free(scene->agent);
	for (n = 0; r < 0; n++) {
		shortage_left = n;
		r = scene_try(scene);
		shortage_left = SIZE_MAX;
		assert_true(r == 0 || r == -ENOMEM);
	}
	assert_in_range(n, 4, 20);
}

/* Half a report would be none; the last one stays, and there is a new one when there is memory. */
static void test_no_memory_for_a_report(void **state)
{
	struct scene *scene = *state;
	char *before, *after, expected[300];
	bool is_done = false;
	size_t n;

	snprintf(expected, sizeof expected, "<3>cannot write %s/report.json: %s\n",
		 scene->directory, strerror(ENOMEM));
	loop_advance(S);
	before = support_read(scene->report, NULL);
	for (n = 0; !is_done; n++) {
		broker_ops->down(owner, "no route");
		shortage_left = n;
		loop_advance(S);
		shortage_left = SIZE_MAX;
		after = support_read(scene->report, NULL);
		is_done = strcmp(before, after) != 0;
		words_expect(&logged, is_done ? "" : expected);
		free(after);
	}
	assert_in_range(n, 4, 10);
	free(before);
	expect_report(scene, "\"open\":[]}\n");
}

/* It goes on without; what it could not remember is counted, and what it could not save is logged.
 */
static void test_no_memory_later(void **state)
{
	struct scene *scene = *state;

	hold(NOW + MINUTE, "alice", "token");
	broker_up = true;
	for (size_t n = 0; n < 4; n++) {
		shortage_left = n;
		broker_ops->up(owner);
		shortage_left = n;
		HEAR(FLEET_SHUT, "a", NOW + n, NOW + MINUTE);
		shortage_left = n;
		local_ops->begin(owner);
		local_ops->end(owner);
		shortage_left = n;
		loop_advance(S);
	}
	shortage_left = SIZE_MAX;
	assert_non_null(strstr(logged.text, "cannot save what was closed"));
	expect_report(scene, "\"full\":2}");
	/* With memory it is all right again. */
	words_forget(&said);
	local_ops->begin(owner);
	local_ops->end(owner);
	broker_ops->up(owner);
	assert_non_null(strstr(said.text, "closed ssh"));
	assert_non_null(strstr(said.text, "status ssh"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_is_open_here),
		TEST(test_what_is_not_said),
		TEST(test_shut_by_hand),
		TEST(test_what_the_daemon_has_no_more),
		TEST(test_what_was_used),
		TEST(test_it_is_there),
		TEST(test_more_than_there_is_room_for),
		TEST(test_what_others_have_open),
		TEST(test_how_long_it_is_open),
		TEST(test_what_counts_for_nothing),
		TEST(test_refusals_are_summed_up),
		TEST(test_clocks),
		TEST(test_it_is_away),
		TEST(test_it_is_asked_again),
		TEST(test_many_hosts_ask_seldom),
		TEST(test_its_own_word_of_before),
		TEST(test_its_own_word_and_no_daemon),
		TEST(test_another_of_its_name),
		TEST(test_what_is_not_shared_any_more),
		TEST(test_it_has_come_back),
		TEST(test_it_is_asked_in_order),
		TEST(test_it_is_not_asked_for_too_much),
		TEST(test_what_becomes_of_a_call),
		TEST(test_what_was_closed_is_kept),
		TEST(test_a_door_that_was_shared),
		TEST(test_how_often_it_is_saved),
		TEST(test_a_disk_that_fails),
		TEST(test_how_often_it_reports),
		TEST(test_what_is_in_the_report),
		TEST(test_no_memory_for_an_agent),
		TEST(test_no_memory_for_a_report),
		TEST(test_no_memory_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
