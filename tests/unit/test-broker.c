#include "fleet/agent/broker.h"

#include <errno.h>
#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "cmocka-all.h"
#include "fleet/config.h"
#include "support-loop.h"
#include "support.h"
#include "util/clock.h"
#include "util/worker.h"

#define S US_PER_S

/* The library, the worker's thread and the agent, as far as they matter here. */
enum { CLIENT_FD = 50, WORKER_FD = 51 };

struct mosquitto {
	void *userdata;
	void (*on_log)(struct mosquitto *, void *, int, const char *);
	void (*on_connect)(struct mosquitto *, void *, int, int, const mosquitto_property *);
	void (*on_message)(struct mosquitto *, void *, const struct mosquitto_message *,
			   const mosquitto_property *);
	void (*on_subscribe)(struct mosquitto *, void *, int, int, const int *,
			     const mosquitto_property *);
	void (*on_publish)(struct mosquitto *, void *, int, int, const mosquitto_property *);
};

static struct library {
	struct mosquitto *client;
	unsigned n_clients, n_loops;
	int failing_option, tls_result, connect_result, loop_result, loop_error, property_result,
		publish_result;
	int fd;
	bool wants_write;
	char dialed[300], user[64], password[2000], filter[100], published[200], tls[300];
	void (*on_loop)(void);
} library;

static struct worker_job *job; /* that is under way */
static size_t n_left;	       /* that will never be done */

static struct {
	unsigned n_up, n_down, n_messages;
	bool is_kept;
	char why[200], message[200];
} told;

static struct broker *broker;
static struct fleet_config *config;

int mosquitto_lib_init(void)
{
	return MOSQ_ERR_SUCCESS;
}

int mosquitto_lib_cleanup(void)
{
	return MOSQ_ERR_SUCCESS;
}

struct mosquitto *mosquitto_new(const char *id, bool clean, void *userdata)
{
	assert_null(id);
	assert_true(clean);
	library.client = calloc(1, sizeof *library.client);
	if (library.client) {
		library.client->userdata = userdata;
		library.n_clients++;
	}
	return library.client;
}

void mosquitto_destroy(struct mosquitto *client)
{
	assert_ptr_equal(client, library.client);
	free(client);
	library.client = NULL;
	library.n_clients--;
}

int mosquitto_socket(struct mosquitto *client)
{
	assert_ptr_equal(client, library.client);
	return library.fd;
}

bool mosquitto_want_write(struct mosquitto *client)
{
	(void)client;
	return library.wants_write;
}

int mosquitto_loop(struct mosquitto *client, int timeout, int n_packets)
{
	void (*on_loop)(void) = library.on_loop;

	assert_ptr_equal(client, library.client);
	assert_int_equal(timeout, 0);
	(void)n_packets;
	library.n_loops++;
	library.on_loop = NULL;
	if (on_loop)
		on_loop();
	if (library.loop_result == MOSQ_ERR_ERRNO)
		errno = library.loop_error;
	return library.loop_result;
}

const char *mosquitto_strerror(int error)
{
	static char text[32];

	snprintf(text, sizeof text, "error %d", error);
	return text;
}

const char *mosquitto_reason_string(int reason)
{
	static char text[32];

	snprintf(text, sizeof text, "reason %d", reason);
	return text;
}

int mosquitto_username_pw_set(struct mosquitto *client, const char *user, const char *password)
{
	(void)client;
	snprintf(library.user, sizeof library.user, "%s", user);
	snprintf(library.password, sizeof library.password, "%s", password);
	return strcmp(user, "nobody") == 0 ? MOSQ_ERR_NOMEM : MOSQ_ERR_SUCCESS;
}

int mosquitto_int_option(struct mosquitto *client, enum mosq_opt_t option, int value)
{
	(void)client;
	assert_true(option != MOSQ_OPT_PROTOCOL_VERSION || value == MQTT_PROTOCOL_V5);
	return (int)option == library.failing_option ? MOSQ_ERR_NOT_SUPPORTED : MOSQ_ERR_SUCCESS;
}

int mosquitto_tls_set(struct mosquitto *client, const char *ca, const char *directory,
		      const char *certificate, const char *key,
		      int (*on_password)(char *, int, int, void *))
{
	(void)client;
	assert_null(directory);
	assert_null(on_password);
	snprintf(library.tls, sizeof library.tls, "%s %s %s", ca, certificate ? certificate : "-",
		 key ? key : "-");
	return library.tls_result;
}

void mosquitto_log_callback_set(struct mosquitto *client,
				void (*fn)(struct mosquitto *, void *, int, const char *))
{
	client->on_log = fn;
}

void mosquitto_connect_v5_callback_set(struct mosquitto *client,
				       void (*fn)(struct mosquitto *, void *, int, int,
						  const mosquitto_property *))
{
	client->on_connect = fn;
}

void mosquitto_message_v5_callback_set(struct mosquitto *client,
				       void (*fn)(struct mosquitto *, void *,
						  const struct mosquitto_message *,
						  const mosquitto_property *))
{
	client->on_message = fn;
}

void mosquitto_subscribe_v5_callback_set(struct mosquitto *client,
					 void (*fn)(struct mosquitto *, void *, int, int,
						    const int *, const mosquitto_property *))
{
	client->on_subscribe = fn;
}

void mosquitto_publish_v5_callback_set(struct mosquitto *client,
				       void (*fn)(struct mosquitto *, void *, int, int,
						  const mosquitto_property *))
{
	client->on_publish = fn;
}

int mosquitto_property_add_int32(mosquitto_property **properties, int identifier, uint32_t value)
{
	static uint32_t kept;

	assert_true(identifier == MQTT_PROP_MESSAGE_EXPIRY_INTERVAL ||
		    (identifier == MQTT_PROP_MAXIMUM_PACKET_SIZE && value == 4096));
	kept = value;
	*properties = (mosquitto_property *)&kept;
	return library.property_result;
}

void mosquitto_property_free_all(mosquitto_property **properties)
{
	*properties = NULL;
}

int mosquitto_connect_bind_v5(struct mosquitto *client, const char *host, int port, int keepalive_s,
			      const char *address, const mosquitto_property *properties)
{
	(void)client;
	(void)properties;
	assert_null(address);
	assert_int_equal(keepalive_s, 15);
	snprintf(library.dialed, sizeof library.dialed, "%s:%d", host, port);
	errno = ENETUNREACH;
	return library.connect_result;
}

int mosquitto_subscribe_v5(struct mosquitto *client, int *id, const char *filter, int qos,
			   int options, const mosquitto_property *properties)
{
	(void)client;
	(void)id;
	(void)options;
	(void)properties;
	assert_int_equal(qos, 1);
	snprintf(library.filter, sizeof library.filter, "%s", filter);
	return MOSQ_ERR_SUCCESS;
}

int mosquitto_publish_v5(struct mosquitto *client, int *id, const char *topic, int size,
			 const void *data, int qos, bool retain,
			 const mosquitto_property *properties)
{
	(void)client;
	(void)id;
	assert_int_equal(qos, 1);
	assert_true(retain);
	snprintf(library.published, sizeof library.published, "%s %.*s %u", topic, size,
		 (const char *)data, *(const uint32_t *)properties);
	return library.publish_result;
}

int worker_new(struct worker **ret)
{
	*ret = (struct worker *)&job;
	return 0;
}

size_t worker_free(struct worker *worker, uint64_t limit_us)
{
	(void)worker;
	assert_true(limit_us <= S);
	return n_left;
}

void worker_add(struct worker *worker, struct worker_job *added)
{
	(void)worker;
	assert_null(job);
	job = added;
}

int worker_fd(const struct worker *worker)
{
	(void)worker;
	return WORKER_FD;
}

void worker_collect(struct worker *worker)
{
	struct worker_job *done = job;

	(void)worker;
	job = NULL;
	done->done(done);
}

static void on_up(void *userdata)
{
	assert_ptr_equal(userdata, &told);
	told.n_up++;
}

static void on_down(void *userdata, const char *why)
{
	assert_ptr_equal(userdata, &told);
	told.n_down++;
	snprintf(told.why, sizeof told.why, "%s", why);
}

static void on_message(void *userdata, const char *topic, const void *data, size_t size,
		       bool is_kept)
{
	assert_ptr_equal(userdata, &told);
	told.n_messages++;
	told.is_kept = is_kept;
	snprintf(told.message, sizeof told.message, "%s %.*s", topic, (int)size,
		 (const char *)data);
}

static void on_complaint(void *userdata, unsigned line, const char *text)
{
	(void)userdata;
	fail_msg("%u: %s", line, text);
}

/* Chance: as little, or as much, as may be. */
static bool is_lucky;

static const char *chance_name(void)
{
	return "none";
}

static uint32_t chance_uniform(const uint32_t end)
{
	return is_lucky ? 0 : end - 1;
}

static randombytes_implementation chance = {.implementation_name = chance_name,
					    .uniform = chance_uniform};

static const struct broker_ops ops = {on_up, on_down, on_message};

/* A broker of this section; its first attempt is the worker's. */
static void begin(const char *section)
{
	char text[600];

	snprintf(text, sizeof text,
		 "[fleet]\nname = prod\nhost = me\nkey = /key\n[broker]\n%s[doors]\nssh = ssh\n",
		 section);
	memset(&library, 0, sizeof library);
	library.fd = CLIENT_FD;
	library.failing_option = -1;
	library.loop_error = EIO;
	memset(&told, 0, sizeof told);
	n_left = 0;
	is_lucky = false;
	assert_int_equal(randombytes_set_implementation(&chance), 0);
	loop_begin();
	assert_int_equal(fleet_config_parse(text, strlen(text), on_complaint, NULL, &config), 0);
	assert_int_equal(broker_new(NULL, config, &ops, &told, &broker), 0);
	loop_advance(0);
}

/* The attempt ends. */
static void dial(void)
{
	assert_non_null(job);
	job->run(job);
	assert_true(loop_ready(WORKER_FD));
}

static void end(void)
{
	if (job)
		dial();
	broker = broker_free(broker);
	assert_int_equal(library.n_clients, 0);
	config = fleet_config_free(config);
}

static void connect_with(int reason)
{
	library.client->on_connect(library.client, library.client->userdata, reason, 0, NULL);
}

static void is_taken(void)
{
	connect_with(0);
}

/* Connected. */
static void rise(void)
{
	begin("socket = /broker\n");
	dial();
	library.on_loop = is_taken;
	assert_true(loop_ready(CLIENT_FD));
	assert_int_equal(told.n_up, 1);
	assert_true(broker_is_up(broker));
}

/* What the library does in the next round. */
static void round_of(void (*on_loop)(void), int result)
{
	library.on_loop = on_loop;
	library.loop_result = result;
	assert_true(loop_ready(CLIENT_FD));
	library.loop_result = MOSQ_ERR_SUCCESS;
}

static void expect_down(const char *why)
{
	assert_string_equal(told.why, why);
	assert_int_equal(told.n_down, 1);
	told.n_down = 0;
	told.why[0] = '\0';
	assert_false(broker_is_up(broker));
	assert_int_equal(library.n_clients, 0);
}

static void test_where_it_is(void **state)
{
	static const struct {
		const char *section, *dialed, *tls;
	} cases[] = {
		{"socket = /broker\n", "/broker:0", ""},
		{"host = 127.0.0.1\n", "127.0.0.1:1883", ""},
		{"host = 127.0.0.1\nport = 11883\n", "127.0.0.1:11883", ""},
		{"host = mq\nca = /ca\n", "mq:8883", "/ca - -"},
		{"host = mq\nport = 443\nca = /ca\ncertificate = /c\nprivate_key = /k\n", "mq:443",
		 "/ca /c /k"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		begin(cases[i].section);
		dial();
		assert_string_equal(library.dialed, cases[i].dialed);
		assert_string_equal(library.tls, cases[i].tls);
		assert_int_equal(told.n_down, 0);
		/* It writes first. */
		assert_int_equal(loop_events(CLIENT_FD), EPOLLIN | EPOLLOUT);
		end();
	}
}

static void test_it_comes(void **state)
{
	static char topic[] = "t", payload[] = "some bytes";
	static const struct mosquitto_message message = {
		.topic = topic, .payload = payload, .payloadlen = 4, .retain = true};
	struct mosquitto_message nothing = message;

	(void)state;
	rise();
	assert_string_equal(library.filter, "knocktail/1/prod/#");
	assert_int_equal(loop_events(CLIENT_FD), EPOLLIN);
	library.wants_write = true;
	broker_publish(broker, "topic", "text", 4, 60);
	assert_string_equal(library.published, "topic text 60");
	assert_int_equal(loop_events(CLIENT_FD), EPOLLIN | EPOLLOUT);
	library.client->on_message(library.client, broker, &message, NULL);
	assert_string_equal(told.message, "t some");
	assert_true(told.is_kept);
	/* It has forgotten it. */
	nothing.payloadlen = 0;
	library.client->on_message(library.client, broker, &nothing, NULL);
	assert_int_equal(told.n_messages, 1);
	/* It is asked for all once more. */
	library.filter[0] = '\0';
	broker_subscribe(broker);
	assert_string_equal(library.filter, "knocktail/1/prod/#");
	/* What the library does by the clock it does without being asked to. */
	library.n_loops = 0;
	loop_advance(S);
	assert_int_equal(library.n_loops, 2);
	end();
}

static void test_nothing_is_kept_for_it(void **state)
{
	(void)state;
	begin("socket = /broker\n");
	broker_publish(broker, "topic", "text", 4, 60);
	broker_subscribe(broker);
	dial();
	broker_publish(broker, "topic", "text", 4, 60);
	broker_subscribe(broker);
	assert_string_equal(library.published, "");
	assert_string_equal(library.filter, "");
	end();
}

static void is_refused(void)
{
	connect_with(135);
}

static void may_not_read(void)
{
	static const int refused = 0x80;

	library.client->on_subscribe(library.client, broker, 1, 1, &refused, NULL);
}

static void reads_nothing(void)
{
	library.client->on_subscribe(library.client, broker, 1, 0, NULL, NULL);
}

static void may_read(void)
{
	static const int granted = 1;

	library.client->on_subscribe(library.client, broker, 1, 1, &granted, NULL);
}

static void may_not_write(void)
{
	library.client->on_publish(library.client, broker, 1, 0x87, NULL);
}

static void may_write(void)
{
	library.client->on_publish(library.client, broker, 1, 0x10, NULL);
}

static void may_do_nothing(void)
{
	may_not_read();
	may_not_write();
}

static void test_it_turns_us_down(void **state)
{
	static const struct {
		void (*on_loop)(void);
		int result;
		const char *why;
	} cases[] = {
		{may_not_read, 0, "the broker does not let us read the fleet's topics"},
		{reads_nothing, 0, "the broker does not let us read the fleet's topics"},
		{may_not_write, 0, "the broker does not let us write our topics"},
		/* The first of them is why. */
		{may_do_nothing, MOSQ_ERR_CONN_LOST,
		 "the broker does not let us read the fleet's topics"},
		{NULL, MOSQ_ERR_CONN_LOST, "error 7"},
		{NULL, MOSQ_ERR_ERRNO, "Input/output error"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		rise();
		round_of(may_read, 0);
		round_of(may_write, 0);
		loop_advance(S);
		assert_true(broker_is_up(broker));
		round_of(cases[i].on_loop, cases[i].result);
		expect_down(cases[i].why);
		assert_int_equal(loop_events(CLIENT_FD), 0);
		end();
	}
	begin("socket = /broker\n");
	dial();
	round_of(is_refused, 0);
	expect_down("reason 135");
	assert_int_equal(told.n_up, 0);
	end();
}

/* What the library says of it, as the administrator has to know it. */
static void test_what_is_wrong_with_tls(void **state)
{
	static const char with[] = "host = mq\nca = /ca\ncertificate = /c\nprivate_key = /k\n",
			  without[] = "host = mq\nca = /ca\n", plain[] = "host = 127.0.0.1\n";
	static const struct {
		const char *section, *error, *why;
	} cases[] = {
		{without, "Error: host name verification failed.",
		 "TLS: host is not a name in the broker's certificate"},
		{without, "OpenSSL Error[0]: error:0A000086:certificate verify failed",
		 "TLS: the broker's certificate is not by ca, for another host, or out of its "
		 "time"},
		{without, "Unable to load CA certificates",
		 "TLS: ca holds no certificates that can be read"},
		{with, "Server certificate/key are inconsistent.",
		 "TLS: certificate and private_key do not belong together"},
		{with, "Unable to load client certificate", "TLS: certificate cannot be read"},
		{with, "Unable to load client key file",
		 "TLS: private_key cannot be read, or is not of certificate"},
		{with, "tlsv13 alert certificate required", "TLS: it wants a certificate"},
		{with, "tlsv1 alert unknown ca", "TLS: it does not take certificate, or wants one"},
		{with, "wrong version number", "TLS: that port does not speak TLS"},
		{with, "error:80000068:system library::Connection reset by peer",
		 "TLS: it has hung up: perhaps it does not take certificate"},
		{plain, "Connection reset by peer", "Connection reset by peer"},
		{with, "something else", "TLS: something else"},
		{plain, "something else", "something else"},
		{with, NULL, "TLS: it has hung up: perhaps it does not take certificate"},
		{without, NULL, "TLS: it has hung up: perhaps it wants a certificate"},
		{plain, NULL, "error 7"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		begin(cases[i].section);
		dial();
		library.client->on_log(library.client, broker, MOSQ_LOG_DEBUG, "sends CONNECT");
		if (cases[i].error) {
			library.client->on_log(library.client, broker, MOSQ_LOG_ERR,
					       cases[i].error);
			library.client->on_log(library.client, broker, MOSQ_LOG_ERR, "and more");
		}
		round_of(NULL, MOSQ_ERR_CONN_LOST);
		expect_down(cases[i].why);
		/* That was the last time. */
		loop_advance(2 * S);
		dial();
		round_of(NULL, MOSQ_ERR_ERRNO);
		expect_down("Input/output error");
		end();
	}
}

/* As the kernel, or OpenSSL, has it. */
static void test_it_hangs_up(void **state)
{
	static const int errors[] = {EPROTO, EPIPE, ECONNRESET};

	(void)state;
	for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
		begin("host = mq\nca = /ca\n");
		library.loop_error = errors[i];
		dial();
		round_of(NULL, MOSQ_ERR_ERRNO);
		expect_down("TLS: it has hung up: perhaps it wants a certificate");
		end();
		begin("host = 127.0.0.1\n");
		library.loop_error = errors[i];
		dial();
		round_of(NULL, MOSQ_ERR_ERRNO);
		expect_down(strerror(errors[i]));
		end();
		/* Later it is not the certificate. */
		begin("host = mq\nca = /ca\n");
		library.loop_error = errors[i];
		dial();
		round_of(is_taken, 0);
		assert_true(broker_is_up(broker));
		round_of(NULL, MOSQ_ERR_ERRNO);
		expect_down(strerror(errors[i]));
		end();
	}
}

static void wait_down(const char *why)
{
	while (told.n_down == 0)
		loop_advance(S / 2);
	expect_down(why);
}

/* What is wrong before there is an attempt. */
static void test_it_cannot_be_tried(void **state)
{
	static const int options[] = {MOSQ_OPT_PROTOCOL_VERSION, MOSQ_OPT_SEND_MAXIMUM,
				      MOSQ_OPT_TCP_NODELAY};

	(void)state;
	for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
		begin("host = mq\nca = /ca\n");
		dial();
		round_of(NULL, MOSQ_ERR_ERRNO);
		expect_down("Input/output error");
		library.failing_option = options[i];
		wait_down("error 10");
		library.failing_option = -1;
		library.tls_result = MOSQ_ERR_INVAL;
		wait_down("ca, certificate or private_key cannot be read");
		end();
	}
}

static void test_its_password(void **state)
{
	char *directory = support_directory(), *path = support_path(directory, "password");
	char section[300];

	(void)state;
	snprintf(section, sizeof section, "socket = /broker\nuser = me\npassword_file = %s\n",
		 path);
	begin(section);
	expect_down("password_file cannot be read");
	support_write(path, "secret\r\nand more\n", 17);
	loop_advance(2 * S);
	dial();
	assert_string_equal(library.user, "me");
	assert_string_equal(library.password, "secret");
	end();
	free(path);
	support_remove(directory);
	begin("socket = /broker\nuser = me\n");
	dial();
	assert_string_equal(library.user, "me");
	assert_string_equal(library.password, "");
	end();
	begin("socket = /broker\nuser = nobody\n");
	expect_down("password_file cannot be read");
	end();
}

/* Longer each time, half of it by chance, and a minute at most. */
static void test_it_is_tried_with_patience(void **state)
{
	static const uint64_t waits_s[] = {1, 2, 4, 8, 16, 32, 60, 60, 60, 60};
	uint64_t began_us;

	(void)state;
	begin("socket = /broker\n");
	library.connect_result = MOSQ_ERR_ERRNO;
	for (size_t i = 0; i < sizeof waits_s / sizeof waits_s[0]; i++) {
		is_lucky = i % 2;
		dial();
		expect_down("Network is unreachable");
		began_us = clock_us(CLOCK_MONOTONIC);
		while (!job)
			loop_advance(S / 2);
		/* It is looked at twice a second. */
		assert_in_range(clock_us(CLOCK_MONOTONIC) - began_us,
				waits_s[i] * S / (is_lucky ? 2 : 1),
				waits_s[i] * S / (is_lucky ? 2 : 1) + S);
	}
	/* One that has worked begins anew. */
	library.connect_result = 0;
	dial();
	round_of(is_taken, 0);
	round_of(NULL, MOSQ_ERR_CONN_LOST);
	expect_down("error 7");
	loop_advance(2 * S);
	assert_non_null(job);
	end();
}

static void test_it_is_not_waited_for(void **state)
{
	(void)state;
	/* An attempt that hangs cannot be ended; that is said once. */
	begin("socket = /broker\n");
	loop_advance(10 * S);
	assert_int_equal(told.n_down, 0);
	loop_advance(20 * S);
	assert_int_equal(told.n_down, 1);
	assert_string_equal(told.why, "Connection timed out");
	/* It has taken us, and says nothing. */
	dial();
	told.n_down = 0;
	loop_advance(10 * S);
	assert_int_equal(told.n_down, 0);
	loop_advance(S);
	expect_down("Connection timed out");
	/* That of the next one is said again. */
	loop_advance(4 * S);
	assert_non_null(job);
	loop_advance(11 * S);
	assert_int_equal(told.n_down, 1);
	end();
}

/* It takes what it gets, and does not say so. */
static void test_it_confirms_nothing(void **state)
{
	(void)state;
	rise();
	for (unsigned i = 0; i < 1 << 17; i++)
		broker_publish(broker, "topic", "text", 4, 60);
	loop_advance(S);
	assert_true(broker_is_up(broker));
	/* What did not get there needs no answer. */
	library.publish_result = MOSQ_ERR_NOMEM;
	broker_publish(broker, "topic", "text", 4, 60);
	library.property_result = MOSQ_ERR_NOMEM;
	broker_publish(broker, "topic", "text", 4, 60);
	library.publish_result = library.property_result = MOSQ_ERR_SUCCESS;
	loop_advance(S);
	assert_true(broker_is_up(broker));
	broker_publish(broker, "topic", "text", 4, 60);
	round_of(may_write, 0);
	loop_advance(S);
	assert_true(broker_is_up(broker));
	broker_publish(broker, "topic", "text", 4, 60);
	loop_advance(S);
	expect_down("it does not confirm what it gets");
	end();
}

/* The library has reconnected by itself, or has lost its socket. */
static void test_its_socket_changes(void **state)
{
	(void)state;
	rise();
	library.fd = CLIENT_FD + 10;
	round_of(NULL, 0);
	assert_int_equal(loop_events(CLIENT_FD), 0);
	assert_int_equal(loop_events(CLIENT_FD + 10), EPOLLIN);
	library.fd = -1;
	assert_true(loop_ready(CLIENT_FD + 10));
	assert_int_equal(loop_events(CLIENT_FD + 10), 0);
	end();
}

/* What it needs stays there: it is in the hands of a thread that waits. */
static void test_the_end_while_it_hangs(void **state)
{
	(void)state;
	assert_null(broker_free(NULL));
	begin("socket = /broker\n");
	n_left = 1;
	assert_null(broker_free(broker));
	/* It comes to its end. */
	job->run(job);
	assert_string_equal(library.dialed, "/broker:0");
	config = fleet_config_free(config);
}

/* Memory: each time one more allocation succeeds before one fails, and those behind it do not. */

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);

static size_t left = SIZE_MAX;

void *__wrap_calloc(size_t n, size_t size)
{
	return left-- == 0 ? NULL : __real_calloc(n, size);
}

static void test_no_memory_for_a_broker(void **state)
{
	int r = -ENOMEM;
	size_t n;

	(void)state;
	begin("socket = /broker\n");
	dial();
	broker = broker_free(broker);
	for (n = 0; r < 0; n++) {
		left = n;
		r = broker_new(NULL, config, &ops, &told, &broker);
		left = SIZE_MAX;
		assert_true(r == 0 || r == -ENOMEM);
	}
	assert_int_equal(n, 4);
	end();
}

/* It is tried again. */
static void test_no_memory_for_an_attempt(void **state)
{
	(void)state;
	begin("socket = /broker\n");
	dial();
	round_of(NULL, MOSQ_ERR_ERRNO);
	expect_down("Input/output error");
	for (size_t n = 0; n < 2; n++) {
		while (told.n_down == 0) {
			left = n;
			loop_advance(S / 2);
		}
		left = SIZE_MAX;
		expect_down("Cannot allocate memory");
	}
	while (!job)
		loop_advance(S / 2);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_where_it_is),
		cmocka_unit_test(test_it_comes),
		cmocka_unit_test(test_nothing_is_kept_for_it),
		cmocka_unit_test(test_it_turns_us_down),
		cmocka_unit_test(test_what_is_wrong_with_tls),
		cmocka_unit_test(test_it_hangs_up),
		cmocka_unit_test(test_it_cannot_be_tried),
		cmocka_unit_test(test_its_password),
		cmocka_unit_test(test_it_is_tried_with_patience),
		cmocka_unit_test(test_it_is_not_waited_for),
		cmocka_unit_test(test_it_confirms_nothing),
		cmocka_unit_test(test_its_socket_changes),
		cmocka_unit_test(test_no_memory_for_a_broker),
		cmocka_unit_test(test_no_memory_for_an_attempt),
		cmocka_unit_test(test_the_end_while_it_hangs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
