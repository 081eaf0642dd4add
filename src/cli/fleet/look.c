#include "cli/fleet/look.h"

#include <errno.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "config/complaint.h"
#include "config/config.h"
#include "fleet/config.h"
#include "fleet/key.h"
#include "util/cleanup.h"

DEFINE_CLEANUP(struct fleet_config *, fleet_config_free)

struct look {
	const char *path;
	struct complaints *complaints;
};

static void on_complaint(void *userdata, unsigned line, const char *text)
{
	const struct look *look = userdata;

	complain_about(look->complaints, look->path, line, false, text);
}

static void look_at_doors(const struct look *look, const struct fleet_config *fleet,
			  const struct config *config)
{
	char text[160];

	for (size_t i = 0; i < fleet->n_shares; i++) {
		const char *door = fleet->shares[i].door;

		if (config_find_door(config, door))
			continue;
		snprintf(text, sizeof text, "[doors]: there is no door %s in the configuration",
			 door);
		complain_about(look->complaints, look->path, 0, false, text);
	}
}

/* Whoever may not read them has nothing to say about them. */
static void look_at_files(const struct look *look, const struct fleet_config *fleet)
{
	const char *const paths[] = {fleet->ca, fleet->certificate, fleet->private_key,
				     fleet->password_file};
	char text[FLEET_PATH_MAX + 200];
	const char *fault;
	struct secret key;
	int r;

	if (geteuid() != 0)
		return;
	r = fleet_key_read(fleet->key, &key, &fault);
	secret_wipe(&key);
	if (r < 0) {
		snprintf(text, sizeof text, "key: %s: %s", fleet->key, fault);
		complain_about(look->complaints, look->path, 0, false, text);
	}
	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
		if (!*paths[i] || access(paths[i], R_OK) == 0)
			continue;
		snprintf(text, sizeof text, "%s: %s", paths[i], strerror(errno));
		complain_about(look->complaints, look->path, 0, false, text);
	}
}

int fleet_look(const char *config_path, const struct config *config, struct complaints *complaints)
{
	CLEANUP(cleanup_fleet_config_free) struct fleet_config *fleet = NULL;
	const char *slash = strrchr(config_path, '/');
	char path[PATH_MAX];
	struct look look = {path, complaints};
	int r;

	snprintf(path, sizeof path, "%.*sfleet.conf", slash ? (int)(slash + 1 - config_path) : 0,
		 config_path);
	r = fleet_config_load(path, on_complaint, &look, &fleet);
	if (r == -ENOENT || r == -EBADMSG)
		return 0;
	/* As anybody may call check, it does not concern them. */
	if (r == -EACCES && geteuid() != 0)
		return 0;
	if (r < 0) {
		complain_about(complaints, path, 0, false, strerror(-r));
		return r == -ENOMEM ? r : 0;
	}
	if (config)
		look_at_doors(&look, fleet, config);
	look_at_files(&look, fleet);
	return 0;
}
