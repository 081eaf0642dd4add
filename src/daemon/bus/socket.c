#include "daemon/bus/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "bus-names.h"
#include "daemon/bus/admins.h"
#include "daemon/bus/peer.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/log.h"

/* The last ones are for root. */
enum { PEERS_MAX = 64, PEERS_OF_ADMINS = 48, BACKLOG = 64 };

/* How many connections a second are looked at; the others wait. It also keeps a daemon that has no
 * descriptor left from spinning. */
enum { CONNECTIONS_PER_S = 200 };

struct bus_socket {
	sd_event *event;
	struct bus_object *object;
	struct sockaddr_un address;
	bool bound;
	int fd;
	sd_event_source *source;
	gid_t admins;
	struct peer *peers[PEERS_MAX];
	size_t n_peers;
};

DEFINE_CLEANUP(struct bus_socket *, bus_socket_free)

static void on_peer_over(void *userdata, struct peer *peer)
{
	struct bus_socket *socket = userdata;

	for (size_t i = 0; i < socket->n_peers; i++)
		if (socket->peers[i] == peer) {
			socket->peers[i] = socket->peers[--socket->n_peers];
			break;
		}
	peer_free(peer);
}

/* Whoever is not let in, or finds no place, sees their connection end. */
static void bus_socket_admit(struct bus_socket *socket, int fd)
{
	uid_t uid;

	if (admins_admit(socket->admins, fd, &uid) < 0 ||
	    socket->n_peers >= (uid == 0 ? PEERS_MAX : PEERS_OF_ADMINS))
		close(fd);
	else if (peer_new(socket->event, socket->object, fd, uid, on_peer_over, socket,
			  &socket->peers[socket->n_peers]) == 0)
		socket->n_peers++;
}

static int on_connection(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)source;
	(void)events;
	if (peer >= 0)
		bus_socket_admit(userdata, peer);
	return 0;
}

/* The mode first: until the group is in its place, root alone gets in. */
static int bus_socket_bind(struct bus_socket *socket)
{
	const char *path = socket->address.sun_path;
	mode_t mask;
	int r;

	if (unlink(path) < 0 && errno != ENOENT)
		return -errno;
	mask = umask(0077);
	r = bind(socket->fd, (const struct sockaddr *)&socket->address, sizeof socket->address);
	umask(mask);
	if (r < 0)
		return -errno;
	socket->bound = true;
	if (socket->admins == ADMINS_NONE)
		return 0;
	if (fchownat(AT_FDCWD, path, (uid_t)-1, socket->admins, AT_SYMLINK_NOFOLLOW) == 0)
		return chmod(path, 0660) < 0 ? -errno : 0;
	log_line(LOG_WARNING,
		 "cannot give %s to the group " BUS_ADMINS ": %s; only root can use it", path,
		 strerror(errno));
	return 0;
}

static int bus_socket_listen(struct bus_socket *socket)
{
	int r = bus_socket_bind(socket);

	if (r < 0)
		return r;
	if (listen(socket->fd, BACKLOG) < 0)
		return -errno;
	r = sd_event_add_io(socket->event, &socket->source, socket->fd, EPOLLIN, on_connection,
			    socket);
	/* Knocks come before questions. */
	if (r >= 0)
		r = sd_event_source_set_priority(socket->source, SD_EVENT_PRIORITY_NORMAL + 10);
	if (r >= 0)
		r = sd_event_source_set_ratelimit(socket->source, US_PER_S, CONNECTIONS_PER_S);
	return r < 0 ? r : 0;
}

int bus_socket_new(sd_event *event, struct bus_object *object, const char *directory,
		   struct bus_socket **ret)
{
	CLEANUP(cleanup_bus_socket_free) struct bus_socket *made = calloc(1, sizeof *made);
	int n, r;

	if (!made)
		return -ENOMEM;
	made->event = sd_event_ref(event);
	made->object = object;
	made->admins = admins_find("/etc/group", BUS_ADMINS);
	made->address.sun_family = AF_UNIX;
	n = snprintf(made->address.sun_path, sizeof made->address.sun_path, "%s/" BUS_SOCKET,
		     directory);
	made->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (made->fd < 0)
		return -errno;
	if (n < 0 || (size_t)n >= sizeof made->address.sun_path)
		return -ENAMETOOLONG;
	r = bus_socket_listen(made);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(made);
	return 0;
}

struct bus_socket *bus_socket_free(struct bus_socket *socket)
{
	if (socket) {
		if (socket->bound)
			unlink(socket->address.sun_path);
		while (socket->n_peers > 0)
			peer_free(socket->peers[--socket->n_peers]);
		sd_event_source_unref(socket->source);
		cleanup_close(&socket->fd);
		sd_event_unref(socket->event);
		free(socket);
	}
	return NULL;
}

void bus_socket_signal(struct bus_socket *socket, const struct event *event)
{
	for (size_t i = 0; i < socket->n_peers; i++)
		peer_signal(socket->peers[i], event);
}

void bus_socket_signal_burnt(struct bus_socket *socket, const struct burn *burn)
{
	for (size_t i = 0; i < socket->n_peers; i++)
		peer_signal_burnt(socket->peers[i], burn);
}
