/* What the daemon has for the fleet: the test is the agent at the other end. */
#include "daemon/bus/fleet.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "bus-names.h"
#include "cmocka-all.h"
#include "config/config.h"
#include "core/door.h"
#include "core/event.h"
#include "core/token.h"
#include "daemon/bus/object.h"
#include "daemon/grant-loop.h"
#include "support-words.h"
#include "util/clock.h"

#define S     US_PER_S
#define NOW_S UINT64_C(1700000000)
#define NOW   (NOW_S * S)
#define KEY   "00112233445566778899aabbccddeeff"
#define NONCE "000102030405060708090a0b"
#define PLACE "198.51.100.7"

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret)
{
	*ret = (struct timespec){.tv_sec = clock == CLOCK_REALTIME ? (time_t)NOW_S : 1000};
	return 0;
}

static struct words done, heard, answered;

/* The grants */

static bool opens;
static struct grant_view views[2];
static size_t n_views;

struct grants *grant_loop_grants(struct grant_loop *loop)
{
	return (struct grants *)loop;
}

void grant_loop_rearm(struct grant_loop *loop)
{
	(void)loop;
	words_add(&done, ".\n");
}

bool grants_open(struct grants *grants, const struct door *door, const struct visitor *visitor,
		 uint64_t now_us)
{
	char source[ADDRESS_TEXT_MAX];

	(void)grants;
	assert_int_equal(now_us, 1000 * S);
	words_add(&done, "open %s %s %s %d for %" PRIu64 " of %" PRIu64, door->name,
		  address_format(&visitor->source, source), visitor->user, (int)visitor->knock,
		  door->timeout_us / S, visitor->stamp_us);
	return opens;
}

void grants_release(struct grants *grants, const char *door, const struct address *source,
		    const char *host, uint64_t until_us, uint64_t now_us)
{
	char text[ADDRESS_TEXT_MAX];

	(void)grants;
	(void)now_us;
	words_add(&done, "release %s %s %s until %" PRIu64, door,
		  source ? address_format(source, text) : "all", host ? host : "anybody", until_us);
}

void grants_each(const struct grants *grants, uint64_t now_us, grants_view_fn fn, void *userdata)
{
	(void)grants;
	(void)now_us;
	for (size_t i = 0; i < n_views; i++)
		fn(userdata, &views[i]);
}

/* The daemon */

static struct network allowed = {{{[10] = 0xff, 0xff, 198, 51, 100}}, 120};
static struct door doors[] = {
	{.name = "ssh",
	 .in_fleet = 1,
	 .auth = AUTH_TOKEN,
	 .timeout_us = 30 * S,
	 .max_timeout_us = 60 * S},
	{.name = "web", .in_fleet = 1, .timeout_us = 30 * S, .allow = &allowed, .n_allow = 1},
	{.name = "own", .timeout_us = 30 * S},
};
static const struct config config = {
	.doors = doors, .n_doors = sizeof doors / sizeof doors[0], .clock_skew_us = 30 * S};

static int burn_result;

static const struct config *on_config(void *userdata)
{
	(void)userdata;
	return &config;
}

static int on_burn(void *userdata, const struct burn *burn)
{
	(void)userdata;
	words_add(&done, "burn %d %s %" PRIu64 " %" PRIu32 " %u %u\n", (int)burn->kind, burn->door,
		  burn->step, burn->time_s, burn->key.bytes[15], burn->nonce[11]);
	return burn_result;
}

static void on_close(void *userdata, const char *door, const struct address *source)
{
	char text[ADDRESS_TEXT_MAX];

	(void)userdata;
	words_add(&done, "forget %s %s\n", door, source ? address_format(source, text) : "all");
}

static const struct bus_ops ops = {.config = on_config, .burn = on_burn, .close = on_close};

static struct {
	sd_event *event;
	sd_bus *server, *client;
	struct bus_object object;
	struct bus_end end;
} bus;

static void check(int r)
{
	assert_true(r >= 0);
}

static void settle(void)
{
	int r;

	do {
		r = sd_event_run(bus.event, 0);
		check(r);
	} while (r > 0);
}

static int on_heard(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	const char *member = sd_bus_message_get_member(message), *a, *b, *c, *d;
	uint64_t m, n;
	uint32_t u;
	int is;

	(void)userdata;
	(void)error;
	if (!sd_bus_message_is_signal(message, BUS_FLEET_INTERFACE, NULL))
		return 0;
	if (strcmp(member, "Held") == 0) {
		check(sd_bus_message_read(message, "ssssttb", &a, &b, &c, &d, &m, &n, &is));
		words_add(&heard, "held %s %s '%s' '%s' %" PRIu64 " %" PRIu64 "%s\n", a, b, c, d, m,
			  n, is ? " by hand" : "");
	} else if (strcmp(member, "Burnt") == 0) {
		check(sd_bus_message_read(message, "sstsut", &a, &b, &m, &c, &u, &n));
		words_add(&heard, "burnt %s '%s' %" PRIu64 " '%s' %" PRIu32 " until %" PRIu64 "\n",
			  a, b, m, c, u, n / S);
	} else {
		words_add(&heard, "%s\n", member);
	}
	return 0;
}

static sd_bus *end_new(int fd, bool is_server)
{
	const sd_id128_t id = {.bytes = {1}};
	sd_bus *made = NULL;

	check(sd_bus_new(&made));
	check(sd_bus_set_fd(made, fd, fd));
	if (is_server)
		check(sd_bus_set_server(made, true, id));
	check(sd_bus_set_trusted(made, true));
	check(sd_bus_start(made));
	check(sd_bus_attach_event(made, bus.event, SD_EVENT_PRIORITY_NORMAL));
	return made;
}

static int set_up(void **state)
{
	int fds[2];

	(void)state;
	memset(&bus, 0, sizeof bus);
	opens = true;
	burn_result = 0;
	n_views = 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0 ||
	    sd_event_new(&bus.event) < 0)
		return -1;
	bus.object.ops = &ops;
	bus.end.object = &bus.object;
	bus.server = end_new(fds[0], true);
	bus.client = end_new(fds[1], false);
	check(bus_fleet_export(&bus.end, bus.server));
	check(sd_bus_add_filter(bus.client, NULL, on_heard, NULL));
	settle();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	sd_bus_close_unref(bus.client);
	sd_bus_close_unref(bus.server);
	sd_event_unref(bus.event);
	done.text[0] = heard.text[0] = answered.text[0] = logged.text[0] = '\0';
	return 0;
}

static int on_answer(sd_bus_message *reply, void *userdata, sd_bus_error *unused)
{
	const sd_bus_error *error = sd_bus_message_get_error(reply);
	const char *a, *b, *c, *d;
	uint64_t m, n;

	(void)userdata;
	(void)unused;
	if (error) {
		words_add(&answered, "%s: %s\n", strrchr(error->name, '.') + 1, error->message);
		return 0;
	}
	words_add(&answered, "done\n");
	if (!sd_bus_message_has_signature(reply, "a" BUS_HOLD_ROW))
		return 0;
	check(sd_bus_message_enter_container(reply, 'a', BUS_HOLD_ROW));
	while (sd_bus_message_read(reply, BUS_HOLD_ROW, &a, &b, &c, &d, &m, &n) > 0)
		words_add(&answered, "%s %s '%s' '%s' %" PRIu64 " %" PRIu64 "\n", a, b, c, d, m, n);
	return 0;
}

static void ask(const char *member, const char *types, ...)
{
	sd_bus_message *call = NULL;
	va_list arguments;

	check(sd_bus_message_new_method_call(bus.client, &call, NULL, BUS_PATH, BUS_FLEET_INTERFACE,
					     member));
	va_start(arguments, types);
	check(sd_bus_message_appendv(call, types, arguments));
	va_end(arguments);
	check(sd_bus_call_async(bus.client, NULL, call, on_answer, NULL, 0));
	sd_bus_message_unref(call);
	settle();
}

/* What this host holds */

static void test_what_it_holds(void **state)
{
	const struct grant_view view = {.door = "ssh",
					.user = "alice",
					.knock = KNOCK_TOKEN,
					.own_user = "alice",
					.own_left_us = 20 * S,
					.own_stamp_us = NOW - S,
					.source = {{[10] = 0xff, 0xff, 198, 51, 100, 7}}};

	(void)state;
	n_views = 2;
	views[0] = view;
	views[1] = view;
	views[1].source.bytes[15] = 8;
	/* Another host's visitor came last: how they have knocked is not how this one's has. */
	views[1].user = "bob@two";
	ask("Holds", "");
	words_expect(&answered, "done\n"
				"ssh 198.51.100.7 'alice' 'token' 1700000020000000 "
				"1699999999000000\n"
				"ssh 198.51.100.8 'alice' '' 1700000020000000 1699999999000000\n");
	/* Nobody has knocked here; and how is not known. */
	views[0].own_left_us = 0;
	views[1].user = "alice";
	views[1].knock = KNOCK_UNKNOWN;
	ask("Holds", "");
	words_expect(&answered, "done\nssh 198.51.100.8 'alice' '' 1700000020000000 "
				"1699999999000000\n");
}

static void signal_event(enum event_kind kind, const char *user, const char *own_user,
			 bool is_by_hand)
{
	bus_fleet_signal(bus.server, &(struct event){
					     .kind = kind,
					     .door = "ssh",
					     .source = {{[10] = 0xff, 0xff, 198, 51, 100, 7}},
					     .user = user,
					     .knock = KNOCK_SPA,
					     .own_user = own_user,
					     .own_deadline_us = own_user ? 60 : 0,
					     .own_stamp_us = own_user ? 5 : 0,
					     .hand = {.is_known = is_by_hand, .stamp_us = 7},
				     });
	settle();
}

static void test_what_it_signals(void **state)
{
	static const enum event_kind held[] = {EVENT_OPENED, EVENT_RENEWED, EVENT_ADOPTED,
					       EVENT_RESTORED, EVENT_HELD};

	(void)state;
	for (size_t i = 0; i < sizeof held / sizeof held[0]; i++) {
		signal_event(held[i], "alice", "alice", false);
		words_expect(&heard, "held ssh " PLACE " 'alice' 'spa' 60 5\n");
	}
	/* Another has knocked last. */
	signal_event(EVENT_HELD, "bob@two", "alice", false);
	words_expect(&heard, "held ssh " PLACE " 'alice' '' 60 5\n");
	signal_event(EVENT_HELD, NULL, "alice", false);
	words_expect(&heard, "held ssh " PLACE " 'alice' '' 60 5\n");
	/* None of this host's. */
	signal_event(EVENT_OPENED, "bob@two", NULL, false);
	words_expect(&heard, "held ssh " PLACE " '' '' 0 0\n");
	signal_event(EVENT_CLOSED, "alice", NULL, false);
	words_expect(&heard, "held ssh " PLACE " '' '' 0 7\n");
	signal_event(EVENT_CLOSED, "alice", NULL, true);
	words_expect(&heard, "held ssh " PLACE " '' '' 0 7 by hand\n");
	signal_event(EVENT_REFUSED, "alice", NULL, false);
	bus_fleet_signal(bus.server, NULL);
	settle();
	words_expect(&heard, "");
}

/* That some was lost is said once, until all has been asked for; then again. */
static void test_it_has_lost_some(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		bus_fleet_signal_lost(&bus.end, bus.server);
		bus_fleet_signal_lost(&bus.end, bus.server);
		settle();
		words_expect(&heard, "Lost\n");
		ask("Holds", "");
	}
}

static struct burn token_burn(uint64_t step)
{
	return (struct burn){.kind = BURN_TOKEN,
			     .now_s = NOW_S,
			     .skew_s = 30,
			     .key = {{[15] = 0xff}},
			     .door = "ssh/4",
			     .step = step};
}

static void test_what_was_used(void **state)
{
	const struct burn spa = {.kind = BURN_SPA,
				 .now_s = NOW_S,
				 .skew_s = 30,
				 .door = "left over",
				 .time_s = 9,
				 .step = 9,
				 .nonce = {1}};
	struct burn token = token_burn(5);
	char expected[200];

	(void)state;
	bus_fleet_signal_burnt(bus.server, &token);
	bus_fleet_signal_burnt(bus.server, &spa);
	settle();
	words_expect(&heard, "burnt 000000000000000000000000000000ff 'ssh/4' 5 '' 0 until "
			     "1700000360\n"
			     "burnt 00000000000000000000000000000000 '' 0 "
			     "'010000000000000000000000' 9 until 1700000360\n");
	/* Nobody has to know it any more. */
	token.now_s = NOW_S - 360;
	bus_fleet_signal_burnt(bus.server, &token);
	settle();
	words_expect(&heard, "");
	/* Whoever asks may have missed the last ones: so many, and those before no more. */
	for (size_t i = 0; i < RECENT_MAX + 3; i++)
		bus.object.recent[bus.object.n_recent++ % RECENT_MAX] = token_burn(i);
	ask("Holds", "");
	snprintf(expected, sizeof expected,
		 "burnt 000000000000000000000000000000ff 'ssh/4' 3 '' 0 until 1700000360\n");
	assert_memory_equal(heard.text, expected, strlen(expected));
	assert_null(strstr(heard.text, "'ssh/4' 2 "));
}

/* What others say */

static void test_it_is_opened(void **state)
{
	static const struct {
		const char *door, *source, *visitor, *knock;
		int64_t left_us;
		const char *done, *answered;
	} cases[] = {
		{"ssh", PLACE, "alice@one", "spa", 20 * (int64_t)S,
		 "open ssh " PLACE " alice@one 3 for 20 of 5.\n", "done\n"},
		{"ssh", PLACE, "@one", "bell", (int64_t)S,
		 "open ssh " PLACE " @one 0 for 1 of 5.\n", "done\n"},
		/* For as long as the door may be, by whatever knock. */
		{"ssh", PLACE, "@one", "", 99 * (int64_t)S,
		 "open ssh " PLACE " @one 0 for 60 of 5.\n", "done\n"},
		{"web", PLACE, "@one", "", 99 * (int64_t)S,
		 "open web " PLACE " @one 0 for 30 of 5.\n", "done\n"},
		{"ssh", PLACE, "@one", "", (int64_t)S - 1, "",
		 "Refused: door ssh was not opened: its time is over\n"},
		{"ssh", PLACE, "@one", "", -1, "",
		 "Refused: door ssh was not opened: its time is over\n"},
		{"none", PLACE, "@one", "", 20 * (int64_t)S, "",
		 "NoSuchDoor: there is no door none\n"},
		{"own", PLACE, "@one", "", 20 * (int64_t)S, "",
		 "Refused: door own is not the fleet's: it does not say fleet = yes\n"},
		{"web", "203.0.113.9", "@one", "", 20 * (int64_t)S, "",
		 "Refused: door web was not opened: the source is not in allow\n"},
		{"ssh", "198.51.100", "@one", "", 20 * (int64_t)S, "",
		 "InvalidArgs: '198.51.100' is not an IP address\n"},
		{"ssh", PLACE, "alice", "", 20 * (int64_t)S, "",
		 "InvalidArgs: 'alice' is not USER@HOST or @HOST\n"},
		{"ssh", PLACE, "al ice@one", "", 20 * (int64_t)S, "",
		 "InvalidArgs: 'al ice@one' is not USER@HOST or @HOST\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		ask("OpenAs", "sssstt", cases[i].door, cases[i].source, cases[i].visitor,
		    cases[i].knock, NOW + (uint64_t)cases[i].left_us, UINT64_C(5));
		words_expect(&answered, cases[i].answered);
		words_expect(&done, cases[i].done);
	}
	opens = false;
	ask("OpenAs", "sssstt", "ssh", PLACE, "@one", "", NOW + 20 * S, UINT64_C(5));
	words_expect(&answered, "Refused: door ssh was not opened; the journal says why\n");
	/* On the daemon's own socket it is known who it is; that is on record. */
	words_expect(&logged, "");
	bus.end.peer = (struct hand){.is_known = true, .uid = 0};
	ask("OpenAs", "sssstt", "own", PLACE, "@one", "", NOW + 20 * S, UINT64_C(5));
	words_expect(&logged, "<5>user 0 opens door own for " PLACE " at @one\n");
}

static void test_it_is_closed(void **state)
{
	static const struct {
		const char *door, *source, *host, *done, *answered;
	} cases[] = {
		{"ssh", PLACE, "one", "release ssh " PLACE " one until 9.\n", "done\n"},
		{"ssh", "", "one", "release ssh all one until 9.\n", "done\n"},
		{"ssh", PLACE, "", "forget ssh " PLACE "\nrelease ssh " PLACE " anybody until 9.\n",
		 "done\n"},
		{"ssh", "", "", "forget ssh all\nrelease ssh all anybody until 9.\n", "done\n"},
		/* What others have open, whether it is shared or not; what this host has, not. */
		{"own", PLACE, "one", "release own " PLACE " one until 9.\n", "done\n"},
		{"own", PLACE, "", "",
		 "Refused: door own is not the fleet's: it does not say fleet = yes\n"},
		/* A door that is gone. */
		{"none", PLACE, "",
		 "forget none " PLACE "\nrelease none " PLACE " anybody until 9.\n", "done\n"},
		{"ssh", "here", "one", "", "InvalidArgs: 'here' is not an IP address\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		ask("CloseAs", "ssst", cases[i].door, cases[i].source, cases[i].host, UINT64_C(9));
		words_expect(&answered, cases[i].answered);
		words_expect(&done, cases[i].done);
	}
}

static void test_it_is_used_up(void **state)
{
	static const char odd[] = "InvalidArgs: neither a token nor an SPA knock\n",
			  early[] = "InvalidArgs: nobody can have used it yet, whatever their "
				    "clock\n";
	const struct {
		const char *key, *door;
		uint64_t step;
		const char *nonce;
		uint32_t time_s;
		const char *done, *answered;
	} cases[] = {
		{KEY, "ssh/4", 5, "", 0, "burn 0 ssh/4 5 0 255 0\n", "done\n"},
		{KEY, "ssh/6", 5, "", 0, "burn 0 ssh/6 5 0 255 0\n", "done\n"},
		{KEY, "", 0, NONCE, 7, "burn 3  0 7 255 11\n", "done\n"},
		/* Of the next step but one: the clock of that host, or its client's, is ahead. */
		{KEY, "ssh/4", token_step(NOW_S) + 2, "", 0, "burn 2 ssh/4 56666668 0 255 0\n",
		 "done\n"},
		{KEY, "ssh/4", token_step(NOW_S + 360) + 1, "", 0, "", early},
		{KEY, "", 0, NONCE, NOW_S + 360, "burn 3  0 1700000360 255 11\n", "done\n"},
		{KEY, "", 0, NONCE, NOW_S + 361, "", early},
		/* Of no door that tokens open here. */
		{KEY, "web/4", 5, "", 0, "", "done\n"},
		{KEY, "none/4", 5, "", 0, "", "done\n"},
		{KEY, "ssh/5", 5, "", 0, "", "done\n"},
		{KEY, "ss/4", 5, "", 0, "", "done\n"},
		{KEY, "ssh", 5, "", 0, "", "done\n"},
		{KEY, "", 5, "", 0, "", odd},
		{KEY "0", "ssh/4", 5, "", 0, "", odd},
		{"0011223344556677889gaabbccddeeff", "ssh/4", 5, "", 0, "", odd},
		{KEY, "", 0, "0001", 7, "", odd},
		{KEY, "a-door-whose-name-is-longer-than-any/4", 5, "", 0, "", odd},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		ask("Burn", "sstsu", cases[i].key, cases[i].door, cases[i].step, cases[i].nonce,
		    cases[i].time_s);
		words_expect(&answered, cases[i].answered);
		words_expect(&done, cases[i].done);
	}
	burn_result = -ENOENT;
	ask("Burn", "sstsu", KEY, "ssh/4", UINT64_C(5), "", UINT32_C(0));
	words_expect(&answered, "done\n");
	burn_result = -EAGAIN;
	ask("Burn", "sstsu", KEY, "ssh/4", UINT64_C(5), "", UINT32_C(0));
	words_expect(&answered, "Failed: it cannot be recorded as used: Resource temporarily "
				"unavailable\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_it_holds), TEST(test_what_it_signals), TEST(test_it_has_lost_some),
		TEST(test_what_was_used), TEST(test_it_is_opened),    TEST(test_it_is_closed),
		TEST(test_it_is_used_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
