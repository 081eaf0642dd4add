/* The notifier: reports the daemon's state to the service manager, and that it is alive
 * (sd_notify(3)).
 *
 * MUST: the signs of life come from the event loop, in their turn: whatever keeps the loop from
 * looking for records ends them. MUST: never wait for the manager, as sd_notify() and sd_event's
 * own watchdog do: while it hangs, doors must still open and close. */
#pragma once

#include <systemd/sd-event.h>

struct notifier;

/* Begins with the signs of life, if the manager asks for them. 0, also if there is no manager; or a
 * negative errno. */
int notifier_new(sd_event *event, struct notifier **ret);
struct notifier *notifier_free(struct notifier *notifier);

/* Sends it now; or a moment later, if the manager has no room for it and nothing else has been sent
 * by then. */
__attribute__((format(printf, 2, 3))) void notifier_say(struct notifier *notifier,
							const char *format, ...);
