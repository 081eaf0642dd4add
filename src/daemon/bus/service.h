/* What the daemon does for those who ask it, org.knocktail.Manager1(5): on the system bus, and on a
 * socket of its own for when there is none.
 *
 * MUST: the daemon works as well without either, and never waits for anybody. */
#pragma once

#include <systemd/sd-event.h>

struct burn;
struct bus;
struct bus_ops;
struct event;
struct grant_loop;

/* The socket is in `directory`, which no other daemon uses. 0, or a negative errno; without a
 * socket, which is logged, it makes do with the bus, and the other way round. `doors`, and what
 * `userdata` points at, must outlive it. */
int bus_new(sd_event *event, const char *directory, struct grant_loop *doors,
	    const struct bus_ops *ops, void *userdata, struct bus **ret);
struct bus *bus_free(struct bus *bus);

/* To be called with each event of a grant. */
void bus_on_event(struct bus *bus, const struct event *event);

/* A knock was burnt. */
void bus_on_burnt(struct bus *bus, const struct burn *burn);

/* The configuration has changed. */
void bus_reloaded(struct bus *bus);
