#include "fleet/agent/broker.h"

#include <errno.h>
#include <fcntl.h>
#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "fleet/config.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/file.h"
#include "util/worker.h"

enum { PORT_PLAIN = 1883, PORT_TLS = 8883, KEEPALIVE_S = 15, PASSWORD_MAX = 1024 };

/* Of what the broker may send: a message has some hundred bytes, and others may have it keep
 * anything. */
enum { PACKET_MAX = 4096 };

/* How long an attempt may take, and how long to wait for the next: longer each time. */
#define ATTEMPT_US UINT64_C(10000000)
#define TICK_US	   UINT64_C(500000)
#define END_US	   UINT64_C(1000000)
enum { WAIT_MAX_S = 60 };

/* Messages that the broker has not confirmed: with more, what it gets is told again from the start.
 */
enum { UNCONFIRMED_MAX = 1 << 17 };

/* An attempt, in the worker's hands: to look up a name and to connect may take long. */
struct dial {
	struct worker_job job; /* first, so that jobs are attempts */
	struct broker *broker;
	struct mosquitto *client;
	int r, error;
};

struct broker {
	sd_event *event;
	struct worker *worker;
	sd_event_source *work;
	struct dial *dial; /* NULL: none is under way */
	const struct fleet_config *config;
	const struct broker_ops *ops;
	void *userdata;
	struct mosquitto *client; /* NULL: waiting for the next attempt */
	sd_event_source *io, *timer;
	int watched_fd;
	bool is_up, is_late_said;
	char *failure;		     /* what to report once the library has returned */
	char error[160];	     /* the first that the library has told of this attempt */
	unsigned n_failures;	     /* in a row */
	uint64_t since_us, retry_us; /* CLOCK_MONOTONIC: of the attempt; of the next one */
	size_t n_unconfirmed;
	char filter[sizeof "knocktail/1//#" + FLEET_NAME_MAX];
};

DEFINE_CLEANUP(struct broker *, broker_free)

static void broker_close(struct broker *broker)
{
	broker->io = sd_event_source_unref(broker->io);
	broker->watched_fd = -1;
	broker->is_up = false;
	broker->n_unconfirmed = 0;
	if (broker->client)
		mosquitto_destroy(broker->client);
	broker->client = NULL;
}

/* Half of it is chance, so that a fleet does not come back in one moment. */
static void broker_lose(struct broker *broker, const char *why)
{
	unsigned doublings = broker->n_failures < 6 ? broker->n_failures : 6;
	uint64_t wait_us = (UINT64_C(1) << doublings) * US_PER_S;

	if (wait_us > WAIT_MAX_S * US_PER_S)
		wait_us = WAIT_MAX_S * US_PER_S;
	broker_close(broker);
	broker->n_failures++;
	broker->retry_us = clock_us(CLOCK_MONOTONIC) + wait_us / 2 +
			   randombytes_uniform((uint32_t)(wait_us / 2));
	broker->ops->down(broker->userdata, why);
}

/* Within a callback the client must not go. */
static void broker_fail(struct broker *broker, const char *why)
{
	if (!broker->failure)
		broker->failure = strdup(why);
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *userdata);

/* Waits for what the library waits for. */
static void broker_watch(struct broker *broker)
{
	int fd = broker->client ? mosquitto_socket(broker->client) : -1;
	uint32_t events = EPOLLIN;

	if (fd != broker->watched_fd) {
		broker->io = sd_event_source_unref(broker->io);
		broker->watched_fd = fd;
		if (fd >= 0 &&
		    sd_event_add_io(broker->event, &broker->io, fd, EPOLLIN, on_io, broker) < 0)
			broker->watched_fd = -1;
	}
	if (!broker->io)
		return;
	if (!broker->is_up || mosquitto_want_write(broker->client))
		events |= EPOLLOUT;
	sd_event_source_set_io_events(broker->io, events);
}

/* Whether a certificate is good enough comes out after the handshake, and what the broker said of
 * it is thrown away where it resets the connection. */
static const char *hung_up_cause(const struct broker *broker)
{
	return *broker->config->certificate ? "it has hung up: perhaps it does not take certificate"
					    : "it has hung up: perhaps it wants a certificate";
}

/* What the errors of the library, and of OpenSSL below it, come from. */
static const char *error_cause(const struct broker *broker, const char *error)
{
	static const struct {
		const char *mark, *cause;
	} causes[] = {
		{"host name verification", "host is not a name in the broker's certificate"},
		{"certificate verify failed",
		 "the broker's certificate is not by ca, for another host, or out of its time"},
		{"CA certificates", "ca holds no certificates that can be read"},
		{"inconsistent", "certificate and private_key do not belong together"},
		{"client certificate", "certificate cannot be read"},
		{"client key", "private_key cannot be read, or is not of certificate"},
		{"certificate required", "it wants a certificate"},
		{"alert", "it does not take certificate, or wants one"},
		{"wrong version number", "that port does not speak TLS"},
	};

	for (size_t i = 0; i < sizeof causes / sizeof causes[0]; i++)
		if (strstr(error, causes[i].mark))
			return causes[i].cause;
	if (*broker->config->ca && strstr(error, "reset by peer"))
		return hung_up_cause(broker);
	return error;
}

/* The first cause of an attempt stays. */
static void broker_keep_error(struct broker *broker, const char *cause)
{
	if (!*broker->error)
		snprintf(broker->error, sizeof broker->error, "%s%s",
			 *broker->config->ca ? "TLS: " : "", cause);
}

static bool is_hang_up(int r, int error)
{
	return r == MOSQ_ERR_CONN_LOST ||
	       (r == MOSQ_ERR_ERRNO && (error == EPROTO || error == EPIPE || error == ECONNRESET));
}

static const char *loss_reason(struct broker *broker, int r, int error)
{
	if (*broker->config->ca && !broker->is_up && is_hang_up(r, error))
		broker_keep_error(broker, hung_up_cause(broker));
	if (*broker->error)
		return broker->error;
	return r == MOSQ_ERR_ERRNO ? strerror(error) : mosquitto_strerror(r);
}

static void broker_loop(struct broker *broker)
{
	int r = mosquitto_loop(broker->client, 0, 1);

	if (broker->failure || r != MOSQ_ERR_SUCCESS) {
		CLEANUP(cleanup_free) char *why = TAKE_PTR(broker->failure);

		broker_lose(broker, why ? why : loss_reason(broker, r, errno));
	}
	broker_watch(broker);
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	(void)source;
	(void)fd;
	(void)events;
	broker_loop(userdata);
	return 0;
}

/* Callbacks of the library */

/* Also in the worker's thread, while the attempt is there. */
static void on_log(struct mosquitto *client, void *userdata, int level, const char *text)
{
	struct broker *broker = userdata;

	(void)client;
	if (level == MOSQ_LOG_ERR)
		broker_keep_error(broker, error_cause(broker, text));
}

static void on_connect(struct mosquitto *client, void *userdata, int reason, int flags,
		       const mosquitto_property *properties)
{
	struct broker *broker = userdata;

	(void)client;
	(void)flags;
	(void)properties;
	if (reason != 0) {
		broker_fail(broker, mosquitto_reason_string(reason));
		return;
	}
	broker->is_up = true;
	broker->n_failures = 0;
	broker_subscribe(broker);
	broker->ops->up(broker->userdata);
}

static void on_message(struct mosquitto *client, void *userdata,
		       const struct mosquitto_message *message,
		       const mosquitto_property *properties)
{
	struct broker *broker = userdata;

	(void)client;
	(void)properties;
	if (message->payloadlen > 0)
		broker->ops->message(broker->userdata, message->topic, message->payload,
				     (size_t)message->payloadlen, message->retain);
}

static void on_subscribe(struct mosquitto *client, void *userdata, int id, int n_granted,
			 const int *granted, const mosquitto_property *properties)
{
	(void)client;
	(void)id;
	(void)properties;
	if (n_granted < 1 || granted[0] >= 0x80)
		broker_fail(userdata, "the broker does not let us read the fleet's topics");
}

static void on_publish(struct mosquitto *client, void *userdata, int id, int reason,
		       const mosquitto_property *properties)
{
	struct broker *broker = userdata;

	(void)client;
	(void)id;
	(void)properties;
	if (broker->n_unconfirmed > 0)
		broker->n_unconfirmed--;
	if (reason >= 0x80)
		broker_fail(broker, "the broker does not let us write our topics");
}

/* Attempts */

/* One line; the newline is not part of it. */
static int password_read(const char *path, char *password, size_t size)
{
	CLEANUP(cleanup_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t length = 0;
	int r = fd < 0 ? -errno : file_read_into(fd, password, size - 1, &length);

	if (r < 0)
		return r;
	password[length] = '\0';
	password[strcspn(password, "\r\n")] = '\0';
	return 0;
}

static const char *client_log_in(struct mosquitto *client, const struct fleet_config *config)
{
	char password[PASSWORD_MAX] = "";
	int r = 0;

	if (!config->user[0])
		return NULL;
	if (config->password_file[0])
		r = password_read(config->password_file, password, sizeof password);
	if (r == 0 && mosquitto_username_pw_set(client, config->user, password) != MOSQ_ERR_SUCCESS)
		r = -ENOMEM;
	sodium_memzero(password, sizeof password);
	return r < 0 ? "password_file cannot be read" : NULL;
}

static const char *client_set_up(struct mosquitto *client, const struct fleet_config *config)
{
	int r = mosquitto_int_option(client, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);

	if (r == MOSQ_ERR_SUCCESS)
		r = mosquitto_int_option(client, MOSQ_OPT_SEND_MAXIMUM, 1000);
	if (r == MOSQ_ERR_SUCCESS)
		r = mosquitto_int_option(client, MOSQ_OPT_TCP_NODELAY, 1);
	if (r == MOSQ_ERR_SUCCESS && config->ca[0] &&
	    mosquitto_tls_set(
		    client, config->ca, NULL, config->certificate[0] ? config->certificate : NULL,
		    config->private_key[0] ? config->private_key : NULL, NULL) != MOSQ_ERR_SUCCESS)
		return "ca, certificate or private_key cannot be read";
	mosquitto_log_callback_set(client, on_log);
	mosquitto_connect_v5_callback_set(client, on_connect);
	mosquitto_message_v5_callback_set(client, on_message);
	mosquitto_subscribe_v5_callback_set(client, on_subscribe);
	mosquitto_publish_v5_callback_set(client, on_publish);
	return r == MOSQ_ERR_SUCCESS ? client_log_in(client, config) : mosquitto_strerror(r);
}

static int client_connect(struct mosquitto *client, const struct fleet_config *config)
{
	int port = config->port ? config->port : config->ca[0] ? PORT_TLS : PORT_PLAIN;
	bool is_socket = config->socket[0];
	mosquitto_property *properties = NULL;
	int r = mosquitto_property_add_int32(&properties, MQTT_PROP_MAXIMUM_PACKET_SIZE,
					     PACKET_MAX);

	if (r == MOSQ_ERR_SUCCESS)
		r = mosquitto_connect_bind_v5(client, is_socket ? config->socket : config->broker,
					      is_socket ? 0 : port, KEEPALIVE_S, NULL, properties);
	mosquitto_property_free_all(&properties);
	return r;
}

/* In the worker's thread. */
static void dial_run(struct worker_job *job)
{
	struct dial *dial = (struct dial *)job;

	dial->r = client_connect(dial->client, dial->broker->config);
	dial->error = errno;
}

static void on_dialed(struct worker_job *job)
{
	struct dial *dial = (struct dial *)job;
	struct broker *broker = dial->broker;

	broker->dial = NULL;
	broker->client = dial->client;
	broker->since_us = clock_us(CLOCK_MONOTONIC);
	if (dial->r != MOSQ_ERR_SUCCESS)
		broker_lose(broker, loss_reason(broker, dial->r, dial->error));
	broker_watch(broker);
	free(dial);
}

static int on_work(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct broker *broker = userdata;

	(void)source;
	(void)fd;
	(void)events;
	worker_collect(broker->worker);
	return 0;
}

static void broker_try(struct broker *broker)
{
	struct dial *dial = calloc(1, sizeof *dial);
	const char *problem;

	broker->since_us = clock_us(CLOCK_MONOTONIC);
	broker->is_late_said = false;
	broker->error[0] = '\0';
	/* The broker gives us a name, and keeps nothing for us: what it has we are told. */
	broker->client = mosquitto_new(NULL, true, broker);
	problem = broker->client && dial ? client_set_up(broker->client, broker->config)
					 : strerror(ENOMEM);
	if (problem) {
		free(dial);
		broker_lose(broker, problem);
		return;
	}
	*dial = (struct dial){
		.job = {.run = dial_run, .done = on_dialed},
		.broker = broker,
		.client = TAKE_PTR(broker->client),
	};
	broker->dial = dial;
	worker_add(broker->worker, &dial->job);
}

/* It cannot be ended. */
static void broker_say_late(struct broker *broker)
{
	if (!broker->is_late_said)
		broker->ops->down(broker->userdata, strerror(ETIMEDOUT));
	broker->is_late_said = true;
}

static int on_time(sd_event_source *source, uint64_t time_us, void *userdata)
{
	struct broker *broker = userdata;
	uint64_t now_us = clock_us(CLOCK_MONOTONIC);

	(void)time_us;
	if (broker->dial && now_us > broker->since_us + ATTEMPT_US)
		broker_say_late(broker);
	else if (!broker->dial && !broker->client && now_us >= broker->retry_us)
		broker_try(broker);
	else if (broker->client && !broker->is_up && now_us > broker->since_us + ATTEMPT_US)
		broker_lose(broker, strerror(ETIMEDOUT));
	else if (broker->client && broker->n_unconfirmed > UNCONFIRMED_MAX)
		broker_lose(broker, "it does not confirm what it gets");
	else if (broker->client)
		broker_loop(broker);
	sd_event_source_set_time(source, now_us + TICK_US);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

int broker_new(sd_event *event, const struct fleet_config *config, const struct broker_ops *ops,
	       void *userdata, struct broker **ret)
{
	CLEANUP(cleanup_broker_free) struct broker *broker = calloc(1, sizeof *broker);
	int r;

	if (!broker)
		return -ENOMEM;
	mosquitto_lib_init();
	broker->event = sd_event_ref(event);
	broker->config = config;
	broker->ops = ops;
	broker->userdata = userdata;
	broker->watched_fd = -1;
	snprintf(broker->filter, sizeof broker->filter, "knocktail/1/%s/#", config->name);
	r = worker_new(&broker->worker);
	if (r >= 0)
		r = sd_event_add_io(event, &broker->work, worker_fd(broker->worker), EPOLLIN,
				    on_work, broker);
	if (r >= 0)
		r = sd_event_add_time(event, &broker->timer, CLOCK_MONOTONIC, 0, 0, on_time,
				      broker);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(broker);
	return 0;
}

struct broker *broker_free(struct broker *broker)
{
	if (!broker)
		return NULL;
	sd_event_source_unref(broker->work);
	sd_event_source_unref(broker->timer);
	/* An attempt that does not end has what it needs until the process ends. */
	if (broker->worker && worker_free(broker->worker, END_US) > 0)
		return NULL;
	broker_close(broker);
	free(broker->failure);
	sd_event_unref(broker->event);
	free(broker);
	mosquitto_lib_cleanup();
	return NULL;
}

bool broker_is_up(const struct broker *broker)
{
	return broker->is_up;
}

void broker_subscribe(struct broker *broker)
{
	if (broker->is_up)
		mosquitto_subscribe_v5(broker->client, NULL, broker->filter, 1, 0, NULL);
	broker_watch(broker);
}

void broker_publish(struct broker *broker, const char *topic, const void *data, size_t size,
		    uint32_t expiry_s)
{
	mosquitto_property *properties = NULL;

	if (!broker->is_up)
		return;
	if (mosquitto_property_add_int32(&properties, MQTT_PROP_MESSAGE_EXPIRY_INTERVAL,
					 expiry_s) == MOSQ_ERR_SUCCESS &&
	    mosquitto_publish_v5(broker->client, NULL, topic, (int)size, data, 1, true,
				 properties) == MOSQ_ERR_SUCCESS)
		broker->n_unconfirmed++;
	mosquitto_property_free_all(&properties);
	broker_watch(broker);
}
