/* What is wrong with fleet.conf, as `knocktail check` says it. */
#pragma once

#include <limits.h>

struct complaints;
struct config;

/* Where it is: beside the configuration. */
void fleet_look_for(const char *config_path, char ret_path[static PATH_MAX]);

/* The file beside the configuration's; one that is not there is right. `config` may be NULL, if it
 * is wrong. Each complaint goes to the complaints. 0, or -ENOMEM. */
int fleet_look(const char *config_path, const struct config *config, struct complaints *complaints);
