#include "cli/fleet/look.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config/complaint.h"
#include "config/config.h"
#include "fleet/config.h"
#include "fleet/key.h"
#include "util/cleanup.h"
#include "util/file.h"

#define AGENT_USER "knocktail-fleet"

enum { CONTENT_MAX = 1 << 20 };

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
		const char *name = fleet->shares[i].door;
		const struct door *door = config_find_door(config, name);

		if (door && door->in_fleet)
			continue;
		snprintf(text, sizeof text,
			 door ? "[doors]: the door %s does not say fleet = yes"
			      : "[doors]: there is no door %s in the configuration",
			 name);
		complain_about(look->complaints, look->path, fleet->shares[i].line, false, text);
	}
}

bool fleet_lacks(const struct fleet_config *fleet, const struct door *door)
{
	return door->in_fleet && (!fleet || !fleet_config_name(fleet, door->name));
}

/* Doors that are said to be shared, but are not. */
static void look_for_lone_doors(const struct look *look, const struct fleet_config *fleet,
				const struct config *config)
{
	char text[160];

	for (size_t i = 0; i < config->n_doors; i++) {
		const struct door *door = &config->doors[i];

		if (!fleet_lacks(fleet, door))
			continue;
		snprintf(text, sizeof text,
			 fleet ? "[doors]: the door %s, which says fleet = yes, is not among them"
			       : "there is no such file, but the door %s says fleet = yes",
			 door->name);
		complain_about(look->complaints, look->path, 0, true, text);
	}
}

/* What is in a file that the configuration names. */
struct content {
	const char *mark, *expected;
	bool is_secret;
};

/* What is wrong with it; NULL: nothing. */
static const char *content_fault(const struct content *content, const char *path)
{
	CLEANUP(cleanup_close) int fd = -1;
	CLEANUP(cleanup_free) char *text = NULL;
	struct stat status;
	size_t size;
	int r = file_open_regular(path, 0, &fd, &status);

	if (r < 0)
		return r == -EBADF ? "it is not a file" : strerror(-r);
	if (content->is_secret && fleet_secret_fault(status.st_mode))
		return fleet_secret_fault(status.st_mode);
	r = file_read(fd, CONTENT_MAX, &text, &size);
	if (r < 0)
		return strerror(-r);
	r = strstr(text, content->mark) != NULL;
	if (content->is_secret)
		sodium_memzero(text, size);
	return r ? NULL : content->expected;
}

/* Found out by a child that becomes its user. True as well: there is no such user, or this one
 * cannot become it. */
static bool agent_can_read(const char *path)
{
	const struct passwd *user = getpwnam(AGENT_USER);
	int status = 0;
	pid_t child = user ? fork() : -1;

	if (child == 0) {
		bool is_user = initgroups(user->pw_name, user->pw_gid) == 0 &&
			       setgid(user->pw_gid) == 0 && setuid(user->pw_uid) == 0;

		_exit(is_user && access(path, R_OK) < 0 && errno == EACCES);
	}
	return child < 0 || waitpid(child, &status, 0) < 0 || status == 0;
}

static void look_complain(const struct look *look, const struct fleet_config *fleet,
			  const char *path, const char *fault)
{
	char text[FLEET_PATH_MAX + 200];

	snprintf(text, sizeof text, "%s: %s", path, fault);
	complain_about(look->complaints, look->path, fleet_config_line(fleet, path), false, text);
}

/* Whoever may not read them has nothing to say about them. */
static void look_at_files(const struct look *look, const struct fleet_config *fleet)
{
	static const char certificate[] = "it holds no whole certificate (PEM)";
	const struct {
		const char *path;
		struct content content;
	} files[] = {
		{fleet->ca, {"-----END CERTIFICATE-----", certificate, false}},
		{fleet->certificate, {"-----END CERTIFICATE-----", certificate, false}},
		{fleet->private_key, {"PRIVATE KEY-----", "it holds no private key (PEM)", true}},
		{fleet->password_file, {"", "", true}},
	};
	static const char unreadable[] = "the agent's user, " AGENT_USER
					 ", cannot read it (chgrp " AGENT_USER ", chmod 640)";
	const char *fault;
	struct secret key;

	if (geteuid() != 0)
		return;
	if (!agent_can_read(look->path))
		complain_about(look->complaints, look->path, 0, false, unreadable);
	if (fleet_key_read(fleet->key, &key, &fault) < 0)
		look_complain(look, fleet, fleet->key, fault);
	else if (!agent_can_read(fleet->key))
		look_complain(look, fleet, fleet->key, unreadable);
	secret_wipe(&key);
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		if (!*files[i].path)
			continue;
		fault = content_fault(&files[i].content, files[i].path);
		if (!fault && !agent_can_read(files[i].path))
			fault = unreadable;
		if (fault)
			look_complain(look, fleet, files[i].path, fault);
	}
}

void fleet_look_for(const char *config_path, char ret_path[static PATH_MAX])
{
	const char *slash = strrchr(config_path, '/');

	snprintf(ret_path, PATH_MAX, "%.*sfleet.conf", slash ? (int)(slash + 1 - config_path) : 0,
		 config_path);
}

int fleet_look(const char *config_path, const struct config *config, struct complaints *complaints)
{
	CLEANUP(cleanup_fleet_config_free) struct fleet_config *fleet = NULL;
	char path[PATH_MAX];
	struct look look = {path, complaints};
	int r;

	fleet_look_for(config_path, path);
	r = fleet_config_load(path, on_complaint, &look, &fleet);
	if (r == -ENOENT && config)
		look_for_lone_doors(&look, NULL, config);
	if (r == -ENOENT || r == -EBADMSG)
		return 0;
	/* As anybody may call check, it does not concern them. */
	if (r == -EACCES && geteuid() != 0)
		return 0;
	if (r < 0) {
		complain_about(complaints, path, 0, false,
			       r == -EBADF ? "it is not a file" : strerror(-r));
		return r == -ENOMEM ? r : 0;
	}
	if (config) {
		look_at_doors(&look, fleet, config);
		look_for_lone_doors(&look, fleet, config);
	}
	look_at_files(&look, fleet);
	return 0;
}
