/* What is wrong with fleet.conf, as `knocktail check` says it. */
#pragma once

struct complaints;
struct config;

/* The file beside the configuration's; one that is not there is right. `config` may be NULL, if it
 * is wrong. Each complaint goes to the complaints. 0, or -ENOMEM. */
int fleet_look(const char *config_path, const struct config *config, struct complaints *complaints);
