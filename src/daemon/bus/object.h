/* The one object on the bus and on the socket: its methods, properties and signals,
 * org.knocktail.Manager1. */
#pragma once

#include "core/visitor.h"
#include "daemon/bus/pending.h"
#include "keys/burn.h"

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

struct address;
struct config;
struct event;
struct grant_loop;
struct stats;

/* What the object needs from the daemon. */
struct bus_ops {
	const struct config *(*config)(void *userdata);
	void (*stats)(void *userdata, struct stats *ret);
	/* 0, or a negative errno: the running configuration stays. */
	int (*reload)(void *userdata);
	/* A knock was used at another host. 0; -ENOENT: nobody here has its key; -EAGAIN: too many
	 * wait for the disk; another negative errno. */
	int (*burn)(void *userdata, const struct burn *burn);
	/* A door is closed by hand, or as another host says, for this source (NULL: all of them).
	 */
	void (*close)(void *userdata, const char *door, const struct address *source);
};

/* What was burnt last. */
enum { RECENT_MAX = 256 };

struct bus_object {
	struct grant_loop *doors;
	const struct bus_ops *ops;
	void *userdata; /* of the ops */
	struct calls calls;
	struct burn recent[RECENT_MAX];
	size_t n_recent; /* so far; each is at its number modulo RECENT_MAX */
};

/* Our end of a connection. */
struct bus_end {
	struct bus_object *object;
	struct hand peer; /* who is at the other end; unknown: the bus has to be asked about each
			     call */
	bool has_lost;	  /* signals for the fleet, which was told so */
};

/* Puts the object on a connection, which `end` must outlive. 0 or a negative errno. */
int bus_object_export(struct bus_end *end, sd_bus *connection);

/* Whether only root and the administrators may make this call. */
bool bus_object_steers(sd_bus_message *call);

/* Emits what has happened to a grant, or that the doors have changed (NULL). */
void bus_object_signal(sd_bus *connection, const struct event *event);
