/* notify_command: a program that is run when a door has opened. Nothing waits for it.
 *
 * MUST: it delays no door, and there are never more than NOTIFY_MAX of them. */
#pragma once

#include <stdint.h>
#include <systemd/sd-event.h>

struct event;
struct notify_command;

enum { NOTIFY_MAX = 16 };

/* Each is killed after so long. */
#define NOTIFY_LIMIT_US UINT64_C(30000000)

/* 0 or a negative errno. */
int notify_command_new(sd_event *event, struct notify_command **ret);

/* Kills those that run. */
struct notify_command *notify_command_free(struct notify_command *notify);

/* Runs the arguments, with the event's values in place of their placeholders. What cannot be run is
 * logged. */
void notify_command_run(struct notify_command *notify, char *const argv[],
			const struct event *event);
