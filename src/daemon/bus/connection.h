/* The connection to the system bus, where the daemon is org.knocktail. The bus's policy decides who
 * may call what.
 *
 * MUST: the daemon works as well without a bus, never waits for it, and connects when it appears.
 */
#pragma once

#include <systemd/sd-event.h>

struct bus_connection;
struct bus_object;
struct burn;
struct event;

/* 0, or a negative errno; a missing bus is not an error. `object` must outlive it. */
int bus_connection_new(sd_event *event, struct bus_object *object, struct bus_connection **ret);
struct bus_connection *bus_connection_free(struct bus_connection *bus);

/* Signals what has happened to a grant, or that the doors have changed (NULL). */
void bus_connection_signal(struct bus_connection *bus, const struct event *event);

/* Signals what a knock has used up. */
void bus_connection_signal_burnt(struct bus_connection *bus, const struct burn *burn);
