/* A peer: somebody on the daemon's socket, with a connection of their own.
 *
 * MUST: nobody is waited for, and nobody makes the daemon grow: it is over with a peer who does not
 * say hello in time, who asks more without taking the answers, or who does not take the signals. */
#pragma once

#include <sys/types.h>
#include <systemd/sd-event.h>

struct burn;
struct bus_object;
struct event;
struct peer;

/* Called once, when the peer is to be freed. */
typedef void (*peer_over_fn)(void *userdata, struct peer *peer);

/* Takes over the descriptor of somebody who may control the daemon, whatever comes of it. `object`
 * must outlive the peer. 0 or a negative errno. */
int peer_new(sd_event *event, struct bus_object *object, int fd, uid_t uid, peer_over_fn fn,
	     void *userdata, struct peer **ret);
struct peer *peer_free(struct peer *peer);

/* Signals what has happened to a grant, or that the doors have changed (NULL). */
void peer_signal(struct peer *peer, const struct event *event);

/* Signals what a knock has used up. */
void peer_signal_burnt(struct peer *peer, const struct burn *burn);
