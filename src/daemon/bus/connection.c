#include "daemon/bus/connection.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>

#include "bus-names.h"
#include "daemon/bus/fleet.h"
#include "daemon/bus/object.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/log.h"

static const char default_address[] = "unix:path=/run/dbus/system_bus_socket";

/* When to reconnect after the bus has gone, and after it has denied us the name. */
#define AGAIN_US  US_PER_S
#define DENIED_US UINT64_C(30000000)

/* A bus that does not read gets nothing more: neither signals nor answers are worth memory without
 * a bound. It also stops reading while a peer keeps asking and does not take the answers. With so
 * many messages in the queue signals, refusals and answers end. */
enum { SIGNALS_MAX = 4096, REFUSALS_MAX = 256, ANSWERS_MAX = 16 };

struct bus_connection {
	struct bus_end end;
	sd_event *event;
	sd_event_source *timer;
	sd_bus *connection;
	bool named;
	bool complained; /* about this problem, once */
};

DEFINE_CLEANUP(struct bus_connection *, bus_connection_free)

static void bus_disconnect(struct bus_connection *bus)
{
	if (bus->connection) {
		calls_forget(&bus->end.object->calls, bus->connection);
		sd_bus_detach_event(bus->connection);
	}
	bus->connection = sd_bus_close_unref(bus->connection);
	bus->named = bus->end.has_lost = false;
}

static void bus_retry(struct bus_connection *bus, uint64_t wait_us)
{
	sd_event_source_set_time(bus->timer, clock_us(CLOCK_MONOTONIC) + wait_us);
	sd_event_source_set_enabled(bus->timer, SD_EVENT_ONESHOT);
}

static void bus_complain(struct bus_connection *bus, int priority, const char *what,
			 const char *why)
{
	if (!bus->complained)
		log_line(priority, "%s: %s", what, why);
	bus->complained = true;
}

static int on_name(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	struct bus_connection *bus = userdata;
	const sd_bus_error *failure = sd_bus_message_get_error(reply);

	(void)error;
	if (failure) {
		bus_complain(bus, LOG_WARNING,
			     "cannot acquire the name org.knocktail on the system bus",
			     failure->message ? failure->message : failure->name);
		bus_retry(bus, DENIED_US);
		return 0;
	}
	bus->named = true;
	bus->complained = false;
	log_line(LOG_INFO, "on the system bus as %s", BUS_NAME);
	return 0;
}

/* The connection is taken down later: now it is in use. */
static int on_disconnected(sd_bus_message *signal, void *userdata, sd_bus_error *error)
{
	struct bus_connection *bus = userdata;

	(void)signal;
	(void)error;
	if (bus->named)
		log_line(LOG_INFO, "the system bus is gone; waiting for it to come back");
	bus->named = false;
	bus_retry(bus, AGAIN_US);
	return 0;
}

/* Sees each message first; one that it returns 1 for goes no further. Callers that may control the
 * daemon are trusted, and have a bound of their own. */
static int on_message(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct bus_connection *bus = userdata;
	uint64_t n_queued;

	(void)error;
	if (!sd_bus_message_is_method_call(message, NULL, NULL) || bus_object_steers(message) ||
	    sd_bus_get_n_queued_write(bus->connection, &n_queued) < 0 || n_queued < ANSWERS_MAX)
		return 0;
	if (n_queued < REFUSALS_MAX)
		sd_bus_reply_method_errorf(message, SD_BUS_ERROR_LIMITS_EXCEEDED,
					   "too many answers are waiting to be read");
	return 1;
}

/* Nothing here waits for the bus; if its socket does not exist yet, sd-bus watches for it. */
static int bus_start(struct bus_connection *bus, sd_bus *connection)
{
	const char *address = secure_getenv("DBUS_SYSTEM_BUS_ADDRESS");
	int r = sd_bus_set_address(connection, address ? address : default_address);

	if (r >= 0)
		r = sd_bus_set_bus_client(connection, true);
	if (r >= 0)
		r = sd_bus_set_watch_bind(connection, true);
	if (r >= 0)
		r = sd_bus_start(connection);
	if (r >= 0)
		r = sd_bus_match_signal(connection, NULL, NULL, "/org/freedesktop/DBus/Local",
					"org.freedesktop.DBus.Local", "Disconnected",
					on_disconnected, bus);
	if (r >= 0)
		r = sd_bus_add_filter(connection, NULL, on_message, bus);
	if (r >= 0)
		r = bus_object_export(&bus->end, connection);
	if (r >= 0)
		r = bus_fleet_export(&bus->end, connection);
	if (r >= 0)
		r = sd_bus_request_name_async(connection, NULL, BUS_NAME, 0, on_name, bus);
	/* Knocks come before questions. */
	if (r >= 0)
		r = sd_bus_attach_event(connection, bus->event, SD_EVENT_PRIORITY_NORMAL + 10);
	return r < 0 ? r : 0;
}

static void bus_connect(struct bus_connection *bus)
{
	int r = sd_bus_new(&bus->connection);

	if (r >= 0)
		r = bus_start(bus, bus->connection);
	if (r < 0) {
		bus_complain(bus, LOG_WARNING, "cannot connect to the system bus", strerror(-r));
		bus_disconnect(bus);
		bus_retry(bus, AGAIN_US);
	}
}

static int on_time(sd_event_source *source, uint64_t time_us, void *userdata)
{
	struct bus_connection *bus = userdata;

	(void)source;
	(void)time_us;
	bus_disconnect(bus);
	bus_connect(bus);
	return 0;
}

int bus_connection_new(sd_event *event, struct bus_object *object, struct bus_connection **ret)
{
	CLEANUP(cleanup_bus_connection_free)
	struct bus_connection *bus = calloc(1, sizeof *bus);
	int r;

	if (!bus)
		return -ENOMEM;
	bus->event = sd_event_ref(event);
	bus->end.object = object;
	r = sd_event_add_time(event, &bus->timer, CLOCK_MONOTONIC, UINT64_MAX, 0, on_time, bus);
	if (r >= 0)
		r = sd_event_source_set_enabled(bus->timer, SD_EVENT_OFF);
	if (r < 0)
		return r;
	bus_connect(bus);
	*ret = TAKE_PTR(bus);
	return 0;
}

struct bus_connection *bus_connection_free(struct bus_connection *bus)
{
	if (bus) {
		bus_disconnect(bus);
		sd_event_source_unref(bus->timer);
		sd_event_unref(bus->event);
		free(bus);
	}
	return NULL;
}

/* Only while the daemon has its name, and not too much is queued already. */
static bool bus_takes_signals(const struct bus_connection *bus)
{
	uint64_t n_queued;

	return bus->named && sd_bus_get_n_queued_write(bus->connection, &n_queued) >= 0 &&
	       n_queued < SIGNALS_MAX;
}

void bus_connection_signal(struct bus_connection *bus, const struct event *event)
{
	if (bus_takes_signals(bus)) {
		bus_object_signal(bus->connection, event);
		bus_fleet_signal(bus->connection, event);
	} else if (bus->named) {
		/* The fleet must not believe that it has heard all. */
		bus_fleet_signal_lost(&bus->end, bus->connection);
	}
}

void bus_connection_signal_burnt(struct bus_connection *bus, const struct burn *burn)
{
	if (bus_takes_signals(bus))
		bus_fleet_signal_burnt(bus->connection, burn);
	else if (bus->named)
		bus_fleet_signal_lost(&bus->end, bus->connection);
}
