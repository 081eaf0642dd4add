/* The daemon on the system bus, as org.knocktail: anybody may inspect it; root and the group
 * knocktail-admin may control it (the bus's policy decides; see org.knocktail.Manager1(5)).
 *
 * MUST: the daemon works as well without a bus, never waits for it, and connects when it appears.
 */
#pragma once

#include <stdint.h>
#include <systemd/sd-event.h>

struct address;
struct bus;
struct config;
struct grant_loop;
struct event;
struct stats;

/* What the bus needs from the daemon. */
struct bus_ops {
	const struct config *(*config)(void *userdata);
	void (*stats)(void *userdata, struct stats *ret);
	/* 0, or a negative errno: the running configuration stays. */
	int (*reload)(void *userdata);
	/* A door is closed by hand, for this source (NULL: all of them). */
	void (*close)(void *userdata, const char *door, const struct address *source);
};

/* 0, or a negative errno; a missing bus is not an error. `doors`, and what `userdata` points at,
 * must outlive it. */
int bus_new(sd_event *event, struct grant_loop *doors, const struct bus_ops *ops, void *userdata,
	    struct bus **ret);
struct bus *bus_free(struct bus *bus);

/* To be called with each event of a grant. */
void bus_on_event(struct bus *bus, const struct event *event);

/* The configuration has changed. */
void bus_reloaded(struct bus *bus);
