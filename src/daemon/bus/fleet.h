/* What the object has for the fleet, org.knocktail.Fleet1: knocktail-fleetd hears by it what this
 * host holds open, and opens and closes what others do.
 *
 * MUST: what other hosts say has no more power than the door's own configuration gives to a knock.
 */
#pragma once

#include <systemd/sd-bus.h>

struct burn;
struct bus_end;
struct event;

/* As bus_object_export() and bus_object_signal(). */
int bus_fleet_export(struct bus_end *end, sd_bus *connection);
void bus_fleet_signal(sd_bus *connection, const struct event *event);

/* Emits, once until Holds is called, that signals have been left out. */
void bus_fleet_signal_lost(struct bus_end *end, sd_bus *connection);

/* Emits what has been burnt here, as long as others have to remember it. */
void bus_fleet_signal_burnt(sd_bus *connection, const struct burn *burn);
