#include "daemon/bus/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <systemd/sd-bus.h>

#include "bus-names.h"
#include "daemon/bus/fleet.h"
#include "daemon/bus/intake.h"
#include "daemon/bus/object.h"
#include "util/cleanup.h"
#include "util/clock.h"

/* How long a peer may take to say hello. */
#define HELLO_LIMIT_US UINT64_C(5000000)

/* What the kernel keeps for a peer, and how many messages the daemon does beyond that. A peer who
 * has asked and takes no answer is not answered again; a burst of signals is nobody's fault. */
enum { KERNEL_BYTES = 128 * 1024, ANSWERS_MAX = 4, SIGNALS_MAX = 512 };

/* Knocks come before questions. */
enum { PRIORITY = SD_EVENT_PRIORITY_NORMAL + 10 };

struct peer {
	struct bus_end end;
	sd_bus *bus;
	sd_event_source *timer; /* the end: if there was no hello, or of one who is over */
	struct intake *intake;
	bool over;
	peer_over_fn fn;
	void *userdata;
};

DEFINE_CLEANUP(struct peer *, peer_free)

/* Later: the connection is in use now. */
static void peer_end(struct peer *peer)
{
	peer->over = true;
	sd_event_source_set_time(peer->timer, 0);
	sd_event_source_set_enabled(peer->timer, SD_EVENT_ONESHOT);
}

static int on_time(sd_event_source *source, uint64_t time_us, void *userdata)
{
	struct peer *peer = userdata;

	(void)source;
	(void)time_us;
	if (peer->over || sd_bus_is_ready(peer->bus) <= 0)
		peer->fn(peer->userdata, peer);
	return 0;
}

static int on_hello(sd_bus_message *signal, void *userdata, sd_bus_error *error)
{
	struct peer *peer = userdata;

	(void)signal;
	(void)error;
	intake_open(peer->intake);
	return 0;
}

static int on_gone(sd_bus_message *signal, void *userdata, sd_bus_error *error)
{
	(void)signal;
	(void)error;
	peer_end(userdata);
	return 0;
}

static bool peer_takes(const struct peer *peer, uint64_t max)
{
	uint64_t n_queued;

	return !peer->over && sd_bus_get_n_queued_write(peer->bus, &n_queued) >= 0 &&
	       n_queued < max;
}

/* Sees each message first; one that it returns 1 for goes no further. */
static int on_message(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct peer *peer = userdata;

	(void)error;
	if (!sd_bus_message_is_method_call(message, NULL, NULL) || peer_takes(peer, ANSWERS_MAX))
		return 0;
	peer_end(peer);
	return 1;
}

static int peer_add_sources(struct peer *peer, sd_event *event)
{
	int r = sd_event_add_time_relative(event, &peer->timer, CLOCK_MONOTONIC, HELLO_LIMIT_US, 0,
					   on_time, peer);

	if (r >= 0)
		r = sd_bus_attach_event(peer->bus, event, PRIORITY);
	return r;
}

static int peer_listen(struct peer *peer, const char *member, sd_bus_message_handler_t handler)
{
	return sd_bus_match_signal(peer->bus, NULL, NULL, "/org/freedesktop/DBus/Local",
				   "org.freedesktop.DBus.Local", member, handler, peer);
}

static int peer_start(struct peer *peer)
{
	sd_id128_t id;
	int r = sd_id128_randomize(&id);

	if (r >= 0)
		r = sd_bus_set_server(peer->bus, true, id);
	/* Who it is has been looked into; sd-bus would not know peers of other containers. */
	if (r >= 0)
		r = sd_bus_set_anonymous(peer->bus, true);
	/* Nobody has to pass us a descriptor. */
	if (r >= 0)
		r = sd_bus_negotiate_fds(peer->bus, false);
	if (r >= 0)
		r = sd_bus_set_sender(peer->bus, BUS_NAME);
	if (r >= 0)
		r = sd_bus_set_connected_signal(peer->bus, true);
	if (r >= 0)
		r = sd_bus_start(peer->bus);
	return r;
}

/* As the bus's policy has it: what the fleet says is not for the administrators to say. */
static bool peer_is_root(const struct peer *peer)
{
	return peer->end.peer.uid == 0;
}

static int peer_set_up(struct peer *peer, sd_event *event)
{
	int r = peer_start(peer);

	if (r >= 0)
		r = peer_listen(peer, "Connected", on_hello);
	if (r >= 0)
		r = peer_listen(peer, "Disconnected", on_gone);
	if (r >= 0)
		r = sd_bus_add_filter(peer->bus, NULL, on_message, peer);
	if (r >= 0)
		r = bus_object_export(&peer->end, peer->bus);
	if (r >= 0 && peer_is_root(peer))
		r = bus_fleet_export(&peer->end, peer->bus);
	if (r >= 0)
		r = peer_add_sources(peer, event);
	return r < 0 ? r : 0;
}

/* What sd-bus reads has gone through the intake; it writes to the peer by itself. */
static int peer_connect(struct peer *peer, sd_event *event, int fd)
{
	int output = fcntl(fd, F_DUPFD_CLOEXEC, 0), input, r;

	if (output < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	r = intake_new(event, PRIORITY, fd, &peer->intake, &input);
	if (r < 0) {
		close(output);
		return r;
	}
	r = sd_bus_set_fd(peer->bus, input, output);
	if (r < 0) {
		close(input);
		close(output);
	}
	return r;
}

/* sd-bus would have megabytes. */
static int peer_limit_buffer(int fd)
{
	const int size = KERNEL_BYTES / 2; /* the kernel doubles it */

	return setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size) < 0 ? -errno : 0;
}

int peer_new(sd_event *event, struct bus_object *object, int fd, uid_t uid, peer_over_fn fn,
	     void *userdata, struct peer **ret)
{
	CLEANUP(cleanup_peer_free) struct peer *peer = calloc(1, sizeof *peer);
	int r = peer ? sd_bus_new(&peer->bus) : -ENOMEM;

	if (r < 0) {
		close(fd);
		return r;
	}
	peer->end = (struct bus_end){.object = object, .peer = {.is_known = true, .uid = uid}};
	peer->fn = fn;
	peer->userdata = userdata;
	r = peer_connect(peer, event, fd);
	if (r >= 0)
		r = peer_set_up(peer, event);
	if (r >= 0)
		r = peer_limit_buffer(fd);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(peer);
	return 0;
}

struct peer *peer_free(struct peer *peer)
{
	if (peer) {
		sd_event_source_unref(peer->timer);
		if (peer->bus) {
			calls_forget(&peer->end.object->calls, peer->bus);
			sd_bus_detach_event(peer->bus);
		}
		sd_bus_close_unref(peer->bus);
		intake_free(peer->intake);
		free(peer);
	}
	return NULL;
}

void peer_signal_burnt(struct peer *peer, const struct burn *burn)
{
	if (peer->over || !peer_is_root(peer) || sd_bus_is_ready(peer->bus) <= 0)
		return;
	if (peer_takes(peer, SIGNALS_MAX))
		bus_fleet_signal_burnt(peer->bus, burn);
	else
		peer_end(peer);
}

void peer_signal(struct peer *peer, const struct event *event)
{
	if (peer->over || sd_bus_is_ready(peer->bus) <= 0)
		return;
	/* Who misses one must not believe that they have heard all. */
	if (!peer_takes(peer, SIGNALS_MAX)) {
		peer_end(peer);
		return;
	}
	bus_object_signal(peer->bus, event);
	if (peer_is_root(peer))
		bus_fleet_signal(peer->bus, event);
}
