/* The agent's side of the bus; the test is the bus, and the daemon on it. */
#include "fleet/agent/local.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-bus.h>
#include <time.h>
#include <unistd.h>

#include "bus-names.h"
#include "cmocka-all.h"
#include "fleet/message.h"
#include "shortage.h"
#include "support-words.h"
#include "support.h"

#define FLEET BUS_FLEET_INTERFACE
#define KEY   "00112233445566778899aabbccddeeff"
#define NONCE "000102030405060708090a0b"

/* So that whatever is to be tried later is tried at once. */
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret)
{
	(void)clock;
	*ret = (struct timespec){0};
	return 0;
}

/* Success is 0 or more, says the manual. */
int __real_sd_bus_start(sd_bus *started);
int __wrap_sd_bus_start(sd_bus *started);
int __wrap_sd_bus_start(sd_bus *started)
{
	int r = __real_sd_bus_start(started);

	return r < 0 ? r : 0;
}

static struct words asked, told;

/* The bus */

static struct {
	char *directory, *path;
	sd_event *event;
	sd_event_source *listening;
	sd_bus *peer;
	struct local *local;
	bool is_ending;
	/* A call that fails, and by which error; a match that is not to be had; a call that has no
	 * answer, and one whose answer is of another type. */
	const char *refused_member, *error, *refused_match, *silent_member, *odd_member;
	bool is_refused; /* the call under way: its match */
} bus;

/* What entries are here: names. */
static char x_entry[] = "x", open_entry[] = "open", close_entry[] = "close",
	    token_entry[] = "token", spa_entry[] = "spa";

static void check(int r)
{
	assert_true(r >= 0);
}

/* Their rows. */
static void append_holds(sd_bus_message *reply)
{
	check(sd_bus_message_append(reply, "a" BUS_HOLD_ROW, 2, "ssh", "198.51.100.7", "alice",
				    "token", UINT64_C(60), UINT64_C(1), "web", "2001:db8::1", "",
				    "", UINT64_C(70), UINT64_C(2)));
}

static void append_list(sd_bus_message *reply)
{
	check(sd_bus_message_append(
		reply, "a" BUS_ROW, 4, "ssh", "198.51.100.7", "alice@one", UINT64_C(1), "open",
		"ssh", "198.51.100.8", "alice", UINT64_C(1), "open", "web", "198.51.100.0/24",
		"@two", UINT64_C(1), "open", "web",
		"an address that is longer than any address may be, whatever is behind it", "@two",
		UINT64_C(1), "open"));
}

static void note_call(sd_bus_message *call, const char *member)
{
	const char *a, *b, *c, *d;
	uint64_t m = 0, n = 0;
	uint32_t u = 0;

	if (strcmp(member, "OpenAs") == 0) {
		check(sd_bus_message_read(call, "sssstt", &a, &b, &c, &d, &m, &n));
		words_add(&asked, "OpenAs %s %s %s %s %" PRIu64 " %" PRIu64 "\n", a, b, c, d, m, n);
	} else if (strcmp(member, "CloseAs") == 0) {
		check(sd_bus_message_read(call, "ssst", &a, &b, &c, &n));
		words_add(&asked, "CloseAs %s %s %s %" PRIu64 "%s\n", a, b, c, n,
			  sd_bus_message_get_expect_reply(call) > 0 ? "" : " quietly");
	} else if (strcmp(member, "Burn") == 0) {
		check(sd_bus_message_read(call, "sstsu", &a, &b, &n, &c, &u));
		words_add(&asked, "Burn %s %s %" PRIu64 " %s %" PRIu32 "\n", a, b, n, c, u);
	} else if (strcmp(member, "AddMatch") == 0) {
		check(sd_bus_message_read(call, "s", &a));
		bus.is_refused = bus.refused_match && strstr(a, bus.refused_match);
	} else if (strcmp(sd_bus_message_get_interface(call), "org.freedesktop.DBus") != 0) {
		words_add(&asked, "%s\n", member);
	}
}

static bool is(const char *member, const char *which)
{
	return which && strcmp(member, which) == 0;
}

static int on_call(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
	const char *member = sd_bus_message_get_member(call);
	sd_bus_message *reply = NULL;

	(void)userdata;
	(void)error;
	if (!sd_bus_message_is_method_call(call, NULL, NULL))
		return 0;
	bus.is_refused = false;
	note_call(call, member);
	if (is(member, bus.silent_member) || !sd_bus_message_get_expect_reply(call))
		return 1;
	if (is(member, bus.refused_member) || bus.is_refused) {
		check(sd_bus_reply_method_errorf(call, bus.error, "because"));
		return 1;
	}
	check(sd_bus_message_new_method_return(call, &reply));
	if (is(member, bus.odd_member))
		check(sd_bus_message_append(reply, "u", UINT32_C(1)));
	else if (strcmp(member, "Hello") == 0)
		check(sd_bus_message_append(reply, "s", ":1.1"));
	else if (strcmp(member, "Holds") == 0)
		append_holds(reply);
	else if (strcmp(member, "List") == 0)
		append_list(reply);
	check(sd_bus_send(NULL, reply, NULL));
	sd_bus_message_unref(reply);
	return 1;
}

static int on_peer(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	const sd_id128_t id = {.bytes = {1}};

	(void)source;
	(void)events;
	(void)userdata;
	bus.peer = sd_bus_close_unref(bus.peer);
	check(sd_bus_new(&bus.peer));
	check(sd_bus_set_fd(bus.peer, peer, peer));
	check(sd_bus_set_server(bus.peer, true, id));
	check(sd_bus_set_trusted(bus.peer, true));
	check(sd_bus_start(bus.peer));
	check(sd_bus_add_filter(bus.peer, NULL, on_call, NULL));
	check(sd_bus_attach_event(bus.peer, bus.event, SD_EVENT_PRIORITY_NORMAL));
	return 0;
}

static void bus_listen(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(address.sun_path, sizeof address.sun_path, "%s", bus.path);
	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(fd, 4), 0);
	check(sd_event_add_io(bus.event, &bus.listening, fd, EPOLLIN, on_peer, NULL));
	check(sd_event_source_set_io_fd_own(bus.listening, true));
}

/* Until nothing happens any more that this or the other end of the connection has caused, for both
 * are this thread's; or something is tried for ever. */
static bool settle(void)
{
	int r = 1;

	for (int i = 0; r > 0 && i < 200; i++) {
		r = sd_event_run(bus.event, 0);
		check(r);
	}
	return r == 0;
}

static void wait_for(struct words *words, const char *text)
{
	for (int i = 0; !strstr(words->text, text); i++) {
		assert_in_range(i, 0, 1000);
		check(sd_event_run(bus.event, 5000000));
	}
	settle();
}

/* The agent */

static void on_begin(void *userdata)
{
	assert_ptr_equal(userdata, &bus);
	words_add(&told, "begin\n");
}

static void on_hold(void *userdata, const struct local_hold *hold)
{
	(void)userdata;
	words_add(&told, "hold %s %s %s %s %" PRIu64 " %" PRIu64 "\n", hold->door, hold->source,
		  hold->user, hold->knock, hold->deadline_us, hold->stamp_us);
}

static void on_end(void *userdata)
{
	(void)userdata;
	words_add(&told, "end\n");
}

static void on_foreign(void *userdata, const char *door, const char *source, const char *host)
{
	(void)userdata;
	words_add(&told, "foreign %s %s %s\n", door, source, host);
}

static void on_gone(void *userdata)
{
	(void)userdata;
	words_add(&told, "gone\n");
}

static void on_held(void *userdata, const struct local_hold *hold)
{
	(void)userdata;
	words_add(&told, "held %s %s %" PRIu64 "%s\n", hold->door, hold->source, hold->deadline_us,
		  hold->is_by_hand ? " by hand" : "");
}

static void on_burnt(void *userdata, const struct fleet_message *message)
{
	(void)userdata;
	assert_int_equal(message->kind, FLEET_BURNT);
	assert_int_equal(message->key.bytes[15], 0xff);
	words_add(&told, "burnt %s %" PRIu64 " %" PRIu32 " %u until %" PRIu64 "\n", message->door,
		  message->step, message->time_s, message->nonce[11], message->until_us);
}

static void on_answer(void *userdata, void *entry, enum local_answer answer, const char *why)
{
	(void)userdata;
	words_add(&told, "answer %s %d %s\n", (const char *)entry, (int)answer, why);
	if (bus.is_ending)
		assert_int_equal(
			local_open(bus.local, "ssh", "198.51.100.7", "@a", "", 60, 3, entry),
			-ENOTCONN);
}

static void begin(void)
{
	static const struct local_ops ops = {
		.begin = on_begin,
		.hold = on_hold,
		.end = on_end,
		.foreign = on_foreign,
		.gone = on_gone,
		.held = on_held,
		.burnt = on_burnt,
		.answer = on_answer,
	};

	assert_int_equal(local_new(bus.event, &ops, &bus, &bus.local), 0);
}

static int set_up(void **state)
{
	char address[200];

	(void)state;
	memset(&bus, 0, sizeof bus);
	bus.directory = support_directory();
	bus.path = support_path(bus.directory, "bus");
	snprintf(address, sizeof address, "unix:path=%s", bus.path);
	setenv("DBUS_SYSTEM_BUS_ADDRESS", address, true);
	return sd_event_new(&bus.event);
}

static int tear_down(void **state)
{
	(void)state;
	bus.local = local_free(bus.local);
	sd_bus_close_unref(bus.peer);
	sd_event_source_unref(bus.listening);
	sd_event_unref(bus.event);
	free(bus.path);
	support_remove(bus.directory);
	asked.text[0] = told.text[0] = logged.text[0] = '\0';
	return 0;
}

static const char all[] = "begin\nhold ssh 198.51.100.7 alice token 60 1\n"
			  "hold web 2001:db8::1   70 2\nend\n";
static const char foreign[] = "foreign ssh 198.51.100.7 one\nforeign web 198.51.100.0 two\n";

/* There is a daemon. */
static void rise(void)
{
	bus_listen();
	begin();
	wait_for(&told, "foreign web");
	words_expect(&asked, "Holds\nList\n");
	told.text[0] = '\0';
	assert_true(local_is_there(bus.local));
}

static void signal_of(const char *sender, const char *path, const char *interface,
		      const char *member, const char *types, ...)
{
	sd_bus_message *signal = NULL;
	va_list arguments;

	check(sd_bus_message_new_signal(bus.peer, &signal, path, interface, member));
	check(sd_bus_message_set_sender(signal, sender));
	va_start(arguments, types);
	check(sd_bus_message_appendv(signal, types, arguments));
	va_end(arguments);
	check(sd_bus_send(bus.peer, signal, NULL));
	sd_bus_message_unref(signal);
	settle();
}

#define SIGNAL(...) signal_of(BUS_NAME, BUS_PATH, FLEET, __VA_ARGS__)

static void own(const char *name, const char *old, const char *new)
{
	signal_of("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
		  "NameOwnerChanged", "sss", name, old, new);
}

static void test_what_is_there(void **state)
{
	char expected[400];

	(void)state;
	bus_listen();
	begin();
	assert_false(local_is_there(bus.local));
	wait_for(&told, "foreign web");
	snprintf(expected, sizeof expected, "%s%s", all, foreign);
	words_expect(&told, expected);
	words_expect(&asked, "Holds\nList\n");
	words_expect(&logged, "");
}

/* Whoever is on the bus before it is. */
static void test_there_is_no_bus(void **state)
{
	(void)state;
	begin();
	/* It is not tried again and again. */
	assert_true(settle());
	bus_listen();
	wait_for(&told, "end");
}

static void test_an_address_that_is_none(void **state)
{
	char *right = strdup(getenv("DBUS_SYSTEM_BUS_ADDRESS"));

	(void)state;
	setenv("DBUS_SYSTEM_BUS_ADDRESS", "nonsense", true);
	bus_listen();
	begin();
	setenv("DBUS_SYSTEM_BUS_ADDRESS", right, true);
	free(right);
	wait_for(&told, "end");
}

static void test_what_it_signals(void **state)
{
	(void)state;
	rise();
	SIGNAL("Held", "ssssttb", "ssh", "198.51.100.9", "bob", "spa", UINT64_C(90), UINT64_C(3),
	       0);
	SIGNAL("Held", "ssssttb", "ssh", "198.51.100.9", "", "", UINT64_C(0), UINT64_C(4), 1);
	words_expect(&told, "held ssh 198.51.100.9 90\nheld ssh 198.51.100.9 0 by hand\n");
	SIGNAL("Burnt", "sstsut", KEY, "ssh/4", UINT64_C(5), "", UINT32_C(0), UINT64_C(99));
	SIGNAL("Burnt", "sstsut", KEY, "", UINT64_C(0), NONCE, UINT32_C(7), UINT64_C(99));
	words_expect(&told, "burnt ssh/4 5 0 0 until 99\nburnt  0 7 11 until 99\n");
	/* Not as it says it. */
	SIGNAL("Held", "s", "ssh");
	SIGNAL("Burnt", "s", KEY);
	SIGNAL("Burnt", "sstsut", KEY "00", "ssh/4", UINT64_C(5), "", UINT32_C(0), UINT64_C(99));
	SIGNAL("Burnt", "sstsut", "0011", "ssh/4", UINT64_C(5), "", UINT32_C(0), UINT64_C(99));
	SIGNAL("Burnt", "sstsut", "none", "ssh/4", UINT64_C(5), "", UINT32_C(0), UINT64_C(99));
	SIGNAL("Burnt", "sstsut", KEY, "a-door-whose-name-is-longer-than-any/4", UINT64_C(5), "",
	       UINT32_C(0), UINT64_C(99));
	SIGNAL("Burnt", "sstsut", KEY, "", UINT64_C(0), "0001", UINT32_C(7), UINT64_C(99));
	words_expect(&told, "");
	words_expect(&asked, "");
}

/* It has had more to say than the bus takes, again and again. */
static void test_it_has_lost_some(void **state)
{
	(void)state;
	rise();
	for (int i = 0; i < 2; i++) {
		SIGNAL("Lost", "");
		words_expect(&asked, "Holds\nList\n");
		assert_non_null(strstr(told.text, all));
		told.text[0] = '\0';
	}
}

static void test_it_goes_and_comes(void **state)
{
	(void)state;
	rise();
	own("org.example", ":1.7", "");
	signal_of("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
		  "NameOwnerChanged", "s", BUS_NAME);
	words_expect(&told, "");
	own(BUS_NAME, ":1.8", "");
	words_expect(&told, "gone\n");
	assert_false(local_is_there(bus.local));
	words_expect(&asked, "");
	own(BUS_NAME, "", ":1.9");
	words_expect(&asked, "Holds\nList\n");
	assert_true(local_is_there(bus.local));
	told.text[0] = '\0';
	/* Another in its place. */
	own(BUS_NAME, ":1.9", ":1.10");
	assert_non_null(strstr(told.text, "gone\nbegin\n"));
}

/* That it comes is signalled. */
static void test_there_is_no_daemon(void **state)
{
	(void)state;
	bus.refused_member = "Holds";
	bus.error = SD_BUS_ERROR_SERVICE_UNKNOWN;
	bus_listen();
	begin();
	wait_for(&asked, "Holds");
	words_expect(&asked, "Holds\n");
	words_expect(&logged, "");
	assert_false(local_is_there(bus.local));
	assert_int_equal(local_open(bus.local, "ssh", "198.51.100.7", "@a", "", 1, 1, NULL),
			 -ENOTCONN);
	bus.refused_member = NULL;
	own(BUS_NAME, "", ":1.9");
	words_expect(&asked, "Holds\nList\n");
}

static void test_it_does_not_say_what_is_open(void **state)
{
	static const char once[] =
		"<4>cannot ask knocktaild what is open, will try again: because\n";

	(void)state;
	bus.refused_member = "Holds";
	bus.error = SD_BUS_ERROR_ACCESS_DENIED;
	bus_listen();
	begin();
	wait_for(&asked, "Holds\nHolds\nHolds\n");
	words_expect(&logged, once);
	bus.refused_member = NULL;
	wait_for(&told, "end");
	/* The next time it is said again. */
	bus.odd_member = "Holds";
	logged.text[0] = asked.text[0] = told.text[0] = '\0';
	SIGNAL("Lost", "");
	wait_for(&logged, "what is open, will try again: no answer\n");
	bus.odd_member = NULL;
	wait_for(&told, "gone\nbegin\n");
}

static void test_it_does_not_list(void **state)
{
	(void)state;
	bus.refused_member = "List";
	bus.error = SD_BUS_ERROR_ACCESS_DENIED;
	bus_listen();
	begin();
	wait_for(&asked, "List");
	bus.refused_member = NULL;
	bus.odd_member = "List";
	SIGNAL("Lost", "");
	bus.odd_member = NULL;
	assert_null(strstr(told.text, "foreign"));
	assert_true(local_is_there(bus.local));
}

/* A bus that does not let us hear all of it. */
static void test_no_match(void **state)
{
	(void)state;
	bus.refused_match = "NameOwnerChanged";
	bus.error = SD_BUS_ERROR_LIMITS_EXCEEDED;
	bus_listen();
	begin();
	for (int i = 0; i < 40; i++)
		check(sd_event_run(bus.event, 10000));
	words_expect(&asked, "");
	bus.refused_match = NULL;
	wait_for(&told, "end");
}

static void test_the_bus_ends(void **state)
{
	(void)state;
	rise();
	bus.silent_member = "OpenAs";
	assert_int_equal(local_open(bus.local, "ssh", "198.51.100.7", "@a", "", 1, 1, x_entry), 0);
	settle();
	bus.peer = sd_bus_close_unref(bus.peer);
	wait_for(&told, "end");
	assert_non_null(strstr(told.text, "gone\n"));
	assert_non_null(strstr(told.text, "answer x 3 "));
	assert_non_null(strstr(logged.text, "<6>the system bus is gone; waiting for it to come "
					    "back\n"));
	assert_true(local_is_there(bus.local));
}

static void test_what_it_is_asked_for(void **state)
{
	struct fleet_message token = {.door = "ssh/4", .step = 5, .key = {{0xab, [15] = 0xff}}};
	struct fleet_message spa = {.time_s = 9, .nonce = {1}, .key = {{0xab, [15] = 0xff}}};

	(void)state;
	rise();
	assert_int_equal(
		local_open(bus.local, "ssh", "198.51.100.7", "alice@a", "token", 60, 3, open_entry),
		0);
	assert_int_equal(local_close(bus.local, "ssh", "198.51.100.7", "a", 4, close_entry), 0);
	/* Where nobody waits for it there is no answer. */
	assert_int_equal(local_close(bus.local, "ssh", "198.51.100.7", "b", 5, NULL), 0);
	assert_int_equal(local_burn(bus.local, &token, token_entry), 0);
	assert_int_equal(local_burn(bus.local, &spa, spa_entry), 0);
	settle();
	words_expect(&asked, "OpenAs ssh 198.51.100.7 alice@a token 60 3\n"
			     "CloseAs ssh 198.51.100.7 a 4\n"
			     "CloseAs ssh 198.51.100.7 b 5 quietly\n"
			     "Burn ab0000000000000000000000000000ff ssh/4 5  0\n"
			     "Burn ab0000000000000000000000000000ff  0 "
			     "010000000000000000000000 9\n");
	words_expect(&told, "answer open 0 no answer\nanswer close 0 no answer\n"
			    "answer token 0 no answer\nanswer spa 0 no answer\n");
	/* What no message holds is not asked for. */
	assert_int_equal(local_open(bus.local, "\xff", "", "", "", 60, 3, open_entry), -EINVAL);
	assert_int_equal(local_close(bus.local, "\xff", "", "", 4, close_entry), -EINVAL);
	strcpy(token.door, "\xff");
	assert_int_equal(local_burn(bus.local, &token, token_entry), -EINVAL);
	settle();
	words_expect(&told, "");
}

static void test_how_it_answers(void **state)
{
	static const struct {
		const char *error;
		enum local_answer answer;
	} cases[] = {
		{BUS_ERROR_FAILED, LOCAL_BUSY},
		{BUS_ERROR_REFUSED, LOCAL_REFUSED},
		{BUS_ERROR_NO_SUCH_DOOR, LOCAL_REFUSED},
		{SD_BUS_ERROR_INVALID_ARGS, LOCAL_REFUSED},
		{SD_BUS_ERROR_SERVICE_UNKNOWN, LOCAL_AWAY},
		{SD_BUS_ERROR_NO_REPLY, LOCAL_AWAY},
	};

	(void)state;
	rise();
	bus.refused_member = "OpenAs";
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char expected[100];

		bus.error = cases[i].error;
		assert_int_equal(
			local_open(bus.local, "ssh", "198.51.100.7", "@a", "", 60, 3, x_entry), 0);
		settle();
		snprintf(expected, sizeof expected, "answer x %d because\n", (int)cases[i].answer);
		words_expect(&told, expected);
	}
}

/* Memory: of what is allocated next, all, or nothing. */

static void test_no_memory(void **state)
{
	struct local *local = NULL;

	(void)state;
	rise();
	shortage_left = 0;
	assert_int_equal(local_new(bus.event, NULL, NULL, &local), -ENOMEM);
	assert_null(local);
	assert_int_equal(local_open(bus.local, "ssh", "198.51.100.7", "@a", "", 60, 3, x_entry),
			 -ENOMEM);
	shortage_left = SIZE_MAX;
	settle();
	words_expect(&asked, "");
	words_expect(&told, "");
}

/* The calls that are under way end with it, and no more are made. */
static void test_the_end(void **state)
{
	(void)state;
	assert_null(local_free(NULL));
	rise();
	bus.silent_member = "OpenAs";
	assert_int_equal(local_open(bus.local, "ssh", "198.51.100.7", "@a", "", 60, 3, x_entry), 0);
	settle();
	bus.is_ending = true;
	bus.local = local_free(bus.local);
	words_expect(&told, "answer x 3 no answer\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_is_there),
		TEST(test_there_is_no_bus),
		TEST(test_an_address_that_is_none),
		TEST(test_what_it_signals),
		TEST(test_it_has_lost_some),
		TEST(test_it_goes_and_comes),
		TEST(test_there_is_no_daemon),
		TEST(test_it_does_not_say_what_is_open),
		TEST(test_it_does_not_list),
		TEST(test_no_match),
		TEST(test_the_bus_ends),
		TEST(test_what_it_is_asked_for),
		TEST(test_how_it_answers),
		TEST(test_no_memory),
		TEST(test_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
