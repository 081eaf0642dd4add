#include "cli/keygen/fleet-key.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fleet/key.h"
#include "util/cleanup.h"
#include "util/file.h"

/* Whole or not at all: it gets its name when it is on the disk. */
static int key_write(const char *path)
{
	CLEANUP(cleanup_free) char *temporary = NULL;
	CLEANUP(cleanup_close) int fd = -1;
	const struct group *group;
	char line[FLEET_KEY_LINE_SIZE];
	struct secret key;
	int r;

	if (asprintf(&temporary, "%s.XXXXXX", path) < 0) {
		temporary = NULL;
		return -ENOMEM;
	}
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	group = getgrnam("knocktail-fleet");
	randombytes_buf(key.bytes, sizeof key.bytes);
	fleet_key_format(&key, line);
	secret_wipe(&key);
	line[strlen(line)] = '\n';
	r = file_write(fd, line, sizeof line);
	sodium_memzero(line, sizeof line);
	if (r == 0 && group && geteuid() == 0 &&
	    (fchown(fd, 0, group->gr_gid) < 0 || fchmod(fd, 0640) < 0))
		r = -errno;
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (r == 0 && link(temporary, path) < 0)
		r = -errno;
	unlink(temporary);
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
