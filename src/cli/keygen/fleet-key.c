#include "cli/keygen/fleet-key.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/keygen/new-file.h"
#include "fleet/key.h"
#include "util/cleanup.h"

/* The directory that the file is in. */
static int directory_open(const char *path)
{
	const char *slash = strrchr(path, '/');
	CLEANUP(cleanup_free)
	char *directory = slash ? strndup(path, (size_t)(slash + 1 - path)) : strdup(".");
	int fd;

	if (!directory)
		return -ENOMEM;
	fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int key_write(const char *path)
{
	CLEANUP(cleanup_close) int directory = directory_open(path);
	const struct group *group = geteuid() == 0 ? getgrnam("knocktail-fleet") : NULL;
	const char *slash = strrchr(path, '/');
	char line[FLEET_KEY_LINE_SIZE + 1] = "";
	struct secret key;
	int r;

	if (directory < 0)
		return directory;
	randombytes_buf(key.bytes, sizeof key.bytes);
	fleet_key_format(&key, line);
	secret_wipe(&key);
	line[strlen(line)] = '\n';
	r = new_file_put(directory, slash ? slash + 1 : path, line,
			 group ? group->gr_gid : (gid_t)-1, false);
	sodium_memzero(line, sizeof line);
	return r;
}

enum status fleet_key_create(const char *path)
{
	int r = sodium_init() < 0 ? -EIO : key_write(path);

	if (r < 0) {
		fprintf(stderr, "knocktail keygen: %s: %s\n", path,
			r == -EEXIST ? "it is there already; not overwritten" : strerror(-r));
		return STATUS_FAILED;
	}
	printf("%s: a new key for a fleet. Copy it to the same place on each of its hosts, by a way\n"
	       "that nobody else can read: whoever has it opens the doors that the fleet shares.\n"
	       "Then write %s there; see knocktail-fleet.conf(5).\n",
	       path, KNOCKTAIL_FLEET_CONF);
	return STATUS_OK;
}
