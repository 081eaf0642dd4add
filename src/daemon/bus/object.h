/* The one object on the bus: its methods, properties and signals, org.knocktail.Manager1. */
#pragma once

#include "daemon/bus/connection.h"
#include "daemon/bus/pending.h"

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

struct bus_object {
	struct grant_loop *doors;
	const struct bus_ops *ops;
	void *userdata; /* of the ops */
	struct calls calls;
};

/* Puts the object on a connection. 0 or a negative errno. */
int bus_object_export(struct bus_object *object, sd_bus *connection);

/* Whether only root and the administrators may make this call. */
bool bus_object_steers(sd_bus_message *call);

/* Emits what has happened to a grant, or that the doors have changed. */
void bus_object_signal(sd_bus *connection, const struct event *event);
void bus_object_signal_doors(sd_bus *connection);
