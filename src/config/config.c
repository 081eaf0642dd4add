#include "config/config.h"

#include <stdlib.h>
#include <string.h>

#include "core/other-log.h"
#include "core/strv.h"

struct config *config_free(struct config *config)
{
	if (!config)
		return NULL;
	for (size_t i = 0; i < config->n_doors; i++)
		door_done(&config->doors[i]);
	for (size_t i = 0; i < config->n_logs; i++)
		other_log_done(&config->logs[i]);
	free(config->logs);
	free(config->doors);
	free(config->log_prefix);
	free(config->keys);
	free(config->realm);
	strv_free(config->notify_command);
	free(config->expected_ports);
	free(config);
	return NULL;
}

const struct door *config_find_door(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->n_doors; i++)
		if (strcmp(config->doors[i].name, name) == 0)
			return &config->doors[i];
	return NULL;
}
