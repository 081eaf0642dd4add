/* The daemon's grants as they come and go, for `watch`. */
#pragma once

#include "cli/watch/model.h"

#include <systemd/sd-event.h>

struct watch_bus;

/* What has happened; `door` is valid until the function returns. */
enum watch_change {
	WATCH_LISTED, /* it was open when we came */
	WATCH_OPENED, /* or its deadline has moved */
	WATCH_CLOSED,
	WATCH_JOINED, /* a daemon answers; `door` is NULL */
	WATCH_LEFT,
};
typedef void (*watch_bus_fn)(void *userdata, enum watch_change change,
			     const struct watch_door *door);

/* Follows the daemon, which may come and go, as may the bus: over its socket, or else the bus. 0 or
 * a negative errno. */
int watch_bus_new(sd_event *event, watch_bus_fn fn, void *userdata, struct watch_bus **ret);

/* Makes it report all open doors again. */
void watch_bus_list(struct watch_bus *bus);
struct watch_bus *watch_bus_free(struct watch_bus *bus);
