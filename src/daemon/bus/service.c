#include "daemon/bus/service.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bus-names.h"
#include "daemon/bus/connection.h"
#include "daemon/bus/object.h"
#include "daemon/bus/socket.h"
#include "util/cleanup.h"
#include "util/log.h"

struct bus {
	struct bus_object object;
	struct bus_connection *connection;
	struct bus_socket *socket; /* NULL: there is none */
};

DEFINE_CLEANUP(struct bus *, bus_free)

int bus_new(sd_event *event, const char *directory, struct grant_loop *doors,
	    const struct bus_ops *ops, void *userdata, struct bus **ret)
{
	CLEANUP(cleanup_bus_free) struct bus *bus = calloc(1, sizeof *bus);
	int r;

	if (!bus)
		return -ENOMEM;
	bus->object.doors = doors;
	bus->object.ops = ops;
	bus->object.userdata = userdata;
	r = bus_socket_new(event, &bus->object, directory, &bus->socket);
	if (r < 0)
		log_line(LOG_WARNING, "cannot listen on %s/" BUS_SOCKET ": %s; only on the bus",
			 directory, strerror(-r));
	r = bus_connection_new(event, &bus->object, &bus->connection);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(bus);
	return 0;
}

struct bus *bus_free(struct bus *bus)
{
	if (bus) {
		bus_socket_free(bus->socket);
		bus_connection_free(bus->connection);
		free(bus);
	}
	return NULL;
}

static void bus_signal(struct bus *bus, const struct event *event)
{
	bus_connection_signal(bus->connection, event);
	if (bus->socket)
		bus_socket_signal(bus->socket, event);
}

void bus_on_event(struct bus *bus, const struct event *event)
{
	calls_on_event(&bus->object.calls, event);
	bus_signal(bus, event);
}

void bus_on_burnt(struct bus *bus, const struct burn *burn)
{
	bus->object.recent[bus->object.n_recent++ % RECENT_MAX] = *burn;
	bus_connection_signal_burnt(bus->connection, burn);
	if (bus->socket)
		bus_socket_signal_burnt(bus->socket, burn);
}

void bus_reloaded(struct bus *bus)
{
	bus_signal(bus, NULL);
}
