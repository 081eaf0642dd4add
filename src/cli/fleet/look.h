/* What is wrong with fleet.conf, as `knocktail check` says it. */
#pragma once

#include <limits.h>
#include <stdbool.h>

struct complaints;
struct config;
struct door;
struct fleet_config;

/* Where it is: beside the configuration. */
void fleet_look_for(const char *config_path, char ret_path[static PATH_MAX]);

/* Whether the door is to be shared, but is in no [doors]; without a fleet.conf `fleet` is NULL. */
bool fleet_lacks(const struct fleet_config *fleet, const struct door *door);

/* The file beside the configuration's; one that is not there is right. `config` may be NULL, if it
 * is wrong. Each complaint goes to the complaints. 0, or -ENOMEM. */
int fleet_look(const char *config_path, const struct config *config, struct complaints *complaints);
