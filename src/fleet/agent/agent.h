/* The agent: what this host holds open becomes word to the others, and their word is carried out
 * here.
 *
 * MUST: nothing that came from the fleet is sent on, so that there are no loops. MUST: doors close
 * by each host's own kernel, whatever becomes of the broker, the bus or this program. */
#pragma once

#include <systemd/sd-event.h>

struct agent;
struct fleet_config;
struct fleet_seal;

struct agent_options {
	const struct fleet_config *config;
	const struct fleet_seal *seal;
	const char *state_directory;   /* for what was closed */
	const char *runtime_directory; /* for the report */
};

/* What the options point at must outlive it. 0 or a negative errno. */
int agent_new(sd_event *event, const struct agent_options *options, struct agent **ret);
struct agent *agent_free(struct agent *agent);
