/* The daemon's own socket: peers who ask it without a bus, or while the bus hangs.
 *
 * MUST: only root and the group knocktail-admin are let in, who may do everything: neither the
 * socket's mode nor the daemon itself lets anybody else say a word.
 * MUST: there is room for a fixed number of peers, some of it for root alone. */
#pragma once

#include <systemd/sd-event.h>

struct burn;
struct bus_object;
struct bus_socket;
struct event;

/* Listens in `directory`, in the place of whatever a dead daemon has left there. 0 or a negative
 * errno. `object` must outlive it. */
int bus_socket_new(sd_event *event, struct bus_object *object, const char *directory,
		   struct bus_socket **ret);

/* The socket goes, and all peers. */
struct bus_socket *bus_socket_free(struct bus_socket *socket);

/* Signals what has happened to a grant, or that the doors have changed (NULL). */
void bus_socket_signal(struct bus_socket *socket, const struct event *event);

/* Signals what a knock has used up. */
void bus_socket_signal_burnt(struct bus_socket *socket, const struct burn *burn);
