#include "tap/hosts.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tap/complain.h"
#include "tap/private-file.h"
#include "tap/profile.h"
#include "tap/settings.h"
#include "util/cleanup.h"

static const char own_file[] = "knocktail/hosts";

static int path_join(const char *directory, size_t length, const char *name,
		     char ret[static SETTINGS_PATH_MAX + 1])
{
	char path[SETTINGS_PATH_MAX + 1];
	int n = snprintf(path, sizeof path, "%.*s/%s", (int)length, directory, name);

	if (n < 0 || (size_t)n >= sizeof path)
		return -ENAMETOOLONG;
	memcpy(ret, path, sizeof path);
	return 0;
}

static const char *environment_value(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

/* The user's own file (XDG Base Directory Specification). -ENOENT: the user has no home. */
static int own_path(char ret[static SETTINGS_PATH_MAX + 1])
{
	const char *config = environment_value("XDG_CONFIG_HOME"),
		   *home = environment_value("HOME");
	char directory[SETTINGS_PATH_MAX + 1];
	int r;

	if (config && *config == '/')
		return path_join(config, strlen(config), own_file, ret);
	if (!home)
		return -ENOENT;
	r = path_join(home, strlen(home), ".config", directory);
	return r < 0 ? r : path_join(directory, strlen(directory), own_file, ret);
}

static int complete_key(const char *file, char key[static SETTINGS_PATH_MAX + 1])
{
	const char *slash = strrchr(file, '/'), *home = environment_value("HOME");

	if (*key == '/')
		return 0;
	if (strncmp(key, "~/", 2) == 0)
		return home ? path_join(home, strlen(home), key + 2, key) : -ENOENT;
	return slash ? path_join(file, (size_t)(slash - file), key, key) : 0;
}

static int hosts_apply_file(const char *path, const char *data, size_t size, const char *name,
			    struct settings *settings)
{
	bool had_key = settings_has(settings, SETTING_KEY);
	struct profile_fault fault;
	int r = profile_apply(data, size, name, settings, &fault);

	if (r < 0) {
		fprintf(stderr, "%s:%u: error: %s\n", path, fault.line, fault.text);
		return r;
	}
	if (had_key || !settings_has(settings, SETTING_KEY))
		return 0;
	r = complete_key(path, settings->key);
	if (r < 0)
		complain("%s: the path of a key: %s", path,
			 r == -ENOENT ? "HOME is not set" : strerror(-r));
	return r;
}

int hosts_apply(const char *path, const char *name, struct settings *settings)
{
	CLEANUP(cleanup_free) char *data = malloc(PROFILE_SIZE_MAX);
	char own[SETTINGS_PATH_MAX + 1];
	size_t size;
	int r;

	if (!data) {
		perror("knocktap");
		return -ENOMEM;
	}
	if (!path && own_path(own) < 0)
		return 0;
	r = private_file_read(path ? path : own, S_IWGRP | S_IWOTH, data, PROFILE_SIZE_MAX, &size);
	if (r == -ENOENT && !path)
		return 0;
	if (r < 0) {
		complain("%s: %s", path ? path : own, private_file_problem(r));
		return r;
	}
	return hosts_apply_file(path ? path : own, data, size, name, settings);
}
