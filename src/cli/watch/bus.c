#include "cli/watch/bus.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <time.h>

#include "bus-names.h"
#include "cli/common/own-socket.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/timestamp.h"

/* How often to look for a daemon, over its socket or the bus. */
#define AGAIN_US UINT64_C(1000000)

struct watch_bus {
	sd_event *event;
	sd_event_source *timer;
	sd_bus *connection;
	bool lost;   /* the connection has ended */
	bool direct; /* the connection is to the daemon's socket */
	bool joined;
	watch_bus_fn fn;
	void *userdata;
};

DEFINE_CLEANUP(struct watch_bus *, watch_bus_free)

static void watch_bus_report(struct watch_bus *bus, enum watch_change change, const char *door,
			     const char *source, const char *user, uint64_t deadline_us)
{
	struct watch_door told = {.opened_us = clock_us(CLOCK_REALTIME),
				  .deadline_us = deadline_us};

	snprintf(told.door, sizeof told.door, "%s", door);
	snprintf(told.source, sizeof told.source, "%s", source);
	snprintf(told.user, sizeof told.user, "%s", user);
	bus->fn(bus->userdata, change, &told);
}

static void set_joined(struct watch_bus *bus, bool joined)
{
	if (joined != bus->joined)
		bus->fn(bus->userdata, joined ? WATCH_JOINED : WATCH_LEFT, NULL);
	bus->joined = joined;
}

static int on_list(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	struct watch_bus *bus = userdata;
	const char *door, *source, *user, *state;
	uint64_t deadline_us;

	(void)error;
	if (sd_bus_message_is_method_error(reply, NULL)) {
		/* On the bus, we hear of a daemon that comes. */
		bus->lost |= bus->direct;
		return 0;
	}
	set_joined(bus, true);
	if (sd_bus_message_enter_container(reply, 'a', BUS_ROW) < 0)
		return 0;
	while (sd_bus_message_read(reply, BUS_ROW, &door, &source, &user, &deadline_us, &state) > 0)
		watch_bus_report(bus, WATCH_LISTED, door, source, user, deadline_us);
	return 0;
}

static void watch_bus_ask(struct watch_bus *bus)
{
	sd_bus_message *call = NULL;

	if (sd_bus_message_new_method_call(bus->connection, &call, BUS_NAME, BUS_PATH,
					   BUS_INTERFACE, "List") >= 0 &&
	    sd_bus_message_set_auto_start(call, false) >= 0)
		sd_bus_call_async(bus->connection, NULL, call, on_list, bus, 0);
	sd_bus_message_unref(call);
}

static int on_opened(sd_bus_message *signal, void *userdata, sd_bus_error *error)
{
	const char *door, *source, *user;
	uint64_t deadline_us;

	(void)error;
	if (sd_bus_message_read(signal, "ssst", &door, &source, &user, &deadline_us) > 0)
		watch_bus_report(userdata, WATCH_OPENED, door, source, user, deadline_us);
	return 0;
}

static int on_closed(sd_bus_message *signal, void *userdata, sd_bus_error *error)
{
	const char *door, *source;

	(void)error;
	if (sd_bus_message_read(signal, "ss", &door, &source) > 0)
		watch_bus_report(userdata, WATCH_CLOSED, door, source, "", 0);
	return 0;
}

/* A daemon has come or gone. */
static int on_owner(sd_bus_message *signal, void *userdata, sd_bus_error *error)
{
	struct watch_bus *bus = userdata;
	const char *name, *old, *new;

	(void)error;
	if (sd_bus_message_read(signal, "sss", &name, &old, &new) <= 0)
		return 0;
	if (*old)
		set_joined(bus, false);
	if (*new)
		watch_bus_ask(bus);
	return 0;
}

static void watch_bus_retry(struct watch_bus *bus)
{
	uint64_t now_us;

	sd_event_now(bus->event, CLOCK_MONOTONIC, &now_us);
	sd_event_source_set_time(bus->timer, now_us + AGAIN_US);
	sd_event_source_set_enabled(bus->timer, SD_EVENT_ONESHOT);
}

/* The connection is taken down later: now it is in use. */
static int on_disconnected(sd_bus_message *signal, void *userdata, sd_bus_error *error)
{
	struct watch_bus *bus = userdata;

	(void)signal;
	(void)error;
	set_joined(bus, false);
	bus->lost = true;
	return 0;
}

static void watch_bus_disconnect(struct watch_bus *bus)
{
	if (bus->connection)
		sd_bus_detach_event(bus->connection);
	bus->connection = sd_bus_close_unref(bus->connection);
	bus->lost = false;
}

/* The signals are asked for before the list, so that nothing falls between them. */
static int watch_bus_start(struct watch_bus *bus)
{
	sd_bus *connection = bus->connection;
	int r = sd_bus_match_signal_async(connection, NULL, BUS_NAME, BUS_PATH, BUS_INTERFACE,
					  "Opened", on_opened, NULL, bus);

	if (r >= 0)
		r = sd_bus_match_signal_async(connection, NULL, BUS_NAME, BUS_PATH, BUS_INTERFACE,
					      "Closed", on_closed, NULL, bus);
	if (r >= 0 && !bus->direct)
		r = sd_bus_add_match_async(
			connection, NULL,
			"type='signal',sender='org.freedesktop.DBus',"
			"path='/org/freedesktop/DBus',interface='org.freedesktop.DBus',"
			"member='NameOwnerChanged',arg0='" BUS_NAME "'",
			on_owner, NULL, bus);
	if (r >= 0)
		r = sd_bus_match_signal(connection, NULL, NULL, "/org/freedesktop/DBus/Local",
					"org.freedesktop.DBus.Local", "Disconnected",
					on_disconnected, bus);
	if (r >= 0)
		r = sd_bus_attach_event(connection, bus->event, SD_EVENT_PRIORITY_NORMAL);
	return r;
}

/* Takes the connection over. */
static void watch_bus_use(struct watch_bus *bus, sd_bus *connection, bool direct)
{
	watch_bus_disconnect(bus);
	bus->connection = connection;
	bus->direct = direct;
	if (watch_bus_start(bus) < 0)
		watch_bus_disconnect(bus);
	else
		watch_bus_ask(bus);
}

/* A bus that hangs does not say so: as long as no daemon has answered, its socket is tried. */
static void watch_bus_connect(struct watch_bus *bus)
{
	sd_bus *connection;

	if (bus->lost)
		watch_bus_disconnect(bus);
	if (bus->joined || (bus->connection && bus->direct))
		return;
	if (own_socket_open(&connection) >= 0)
		watch_bus_use(bus, connection, true);
	else if (!bus->connection && sd_bus_open_system(&connection) >= 0)
		watch_bus_use(bus, connection, false);
}

static int on_time(sd_event_source *source, uint64_t time_us, void *userdata)
{
	struct watch_bus *bus = userdata;

	(void)source;
	(void)time_us;
	watch_bus_connect(bus);
	watch_bus_retry(bus);
	return 0;
}

int watch_bus_new(sd_event *event, watch_bus_fn fn, void *userdata, struct watch_bus **ret)
{
	CLEANUP(cleanup_watch_bus_free) struct watch_bus *bus = calloc(1, sizeof *bus);
	int r;

	if (!bus)
		return -ENOMEM;
	bus->event = sd_event_ref(event);
	bus->fn = fn;
	bus->userdata = userdata;
	r = sd_event_add_time(event, &bus->timer, CLOCK_MONOTONIC, 0, 0, on_time, bus);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(bus);
	return 0;
}

void watch_bus_list(struct watch_bus *bus)
{
	if (bus->joined)
		watch_bus_ask(bus);
}

struct watch_bus *watch_bus_free(struct watch_bus *bus)
{
	if (bus) {
		watch_bus_disconnect(bus);
		sd_event_source_unref(bus->timer);
		sd_event_unref(bus->event);
		free(bus);
	}
	return NULL;
}
