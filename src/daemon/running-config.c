#include "daemon/running-config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "grant/grants.h"
#include "match/checked-config.h"
#include "util/clock.h"
#include "util/log.h"

struct running_config {
	struct config *config;
	struct matcher *matcher;
	matcher_stray_fn on_stray;
	void *userdata;
};

int running_config_read(const char *path, struct config **ret)
{
	struct complaints complaints;
	char text[COMPLAINT_LINE_MAX];
	int r = checked_config_load(path, ret, &complaints);

	for (size_t i = 0; i < complaints.n_items; i++)
		log_line(complaints.items[i].warning ? LOG_WARNING : LOG_ERR, "%s",
			 complaint_format(&complaints.items[i], path, text));
	complaints_done(&complaints);
	if (r < 0 && r != -EBADMSG)
		log_line(LOG_ERR, "%s: %s", path, strerror(-r));
	return r;
}

struct running_config *running_config_new(void)
{
	return calloc(1, sizeof(struct running_config));
}

struct running_config *running_config_free(struct running_config *running)
{
	if (running) {
		matcher_free(running->matcher);
		config_free(running->config);
		free(running);
	}
	return NULL;
}

void running_config_set_stray(struct running_config *running, matcher_stray_fn fn, void *userdata)
{
	running->on_stray = fn;
	running->userdata = userdata;
	if (running->matcher)
		matcher_set_stray(running->matcher, fn, userdata);
}

/* A matcher takes over from the one before. */
struct handover {
	const struct matcher *old, *new;
};

/* A user with another key than before is another user, unless they have that one as well. */
static bool handover_has_same_key(void *userdata, const char *user, const struct key_id *key)
{
	const struct handover *handover = userdata;

	return matcher_knows(handover->new, handover->old, user, key, clock_us(CLOCK_REALTIME));
}

void running_config_replace(struct running_config *running, struct config *config,
			    struct matcher *matcher, struct grants *grants)
{
	struct handover handover = {.old = running->matcher, .new = matcher};

	matcher_set_stray(matcher, running->on_stray, running->userdata);
	if (running->matcher)
		grants_expel(grants, handover_has_same_key, &handover, clock_us(CLOCK_BOOTTIME));
	matcher_free(running->matcher);
	running->matcher = matcher;
	config_free(running->config);
	running->config = config;
	grants_limit(grants, config->max_open, config->max_open_user);
}

const struct config *running_config_data(const struct running_config *running)
{
	return running->config;
}

struct matcher *running_config_matcher(const struct running_config *running)
{
	return running->matcher;
}

const struct door *running_config_find_door(void *userdata, const char *name, const char *user,
					    const struct key_id *key)
{
	const struct running_config *running = userdata;

	if (user[0] && !visitor_host(user) && !matcher_knows(running->matcher, NULL, user, key, 0))
		return NULL;
	return config_find_door(running->config, name);
}

/* How much later than the kernel wrote it a record may be stored. */
#define LAG_US US_PER_S

uint64_t running_config_reach_us(const struct running_config *running)
{
	const struct config *config = running->config;
	uint64_t longest_us = 0;

	for (size_t i = 0; i < config->n_doors; i++)
		if (config->doors[i].knock.seq_timeout_us > longest_us)
			longest_us = config->doors[i].knock.seq_timeout_us;
	return config->max_age_us + longest_us + LAG_US;
}
