#include "cli/import/fwknop/keys.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/import/fwknop/access.h"
#include "cli/keygen/key-create.h"
#include "keys/machine.h"
#include "util/cleanup.h"

static int make_key(int fd, const struct stat *st, const char *directory, const char *realm,
		    const struct fwknop_user *user)
{
	const struct key_term term = {.expires_s = user->expires_s};
	char line[KEY_LINE_MAX + 1], name[USER_NAME_MAX + sizeof ".key"];
	int r;

	snprintf(name, sizeof name, "%s.key", user->name);
	r = key_create(fd, st, name, realm, &term, NULL, (uint64_t)time(NULL), line);
	sodium_memzero(line, sizeof line);
	if (r == 0 || r == -EEXIST)
		fprintf(stderr, "%s/%s: %s for %s\n", directory, name,
			r == 0 ? "a new key" : "the key that was there stays", user->name);
	else
		fprintf(stderr, "knocktail import: %s/%s: %s\n", directory, name, strerror(-r));
	return r == -EEXIST ? 0 : r;
}

int fwknop_make_keys(const struct fwknop_users *users, const char *directory)
{
	CLEANUP(cleanup_close) int fd = -1;
	char realm[REALM_MAX + 1];
	struct stat st;
	int r = sodium_init() < 0 ? -EIO : machine_realm(realm);

	if (r == 0)
		r = key_directory_open(directory, &fd, &st);
	if (r < 0) {
		fprintf(stderr, "knocktail import: cannot make keys in %s: %s\n", directory,
			strerror(-r));
		return r;
	}
	for (size_t i = 0; i < users->n; i++) {
		int made = make_key(fd, &st, directory, realm, &users->items[i]);

		r = r < 0 ? r : made;
	}
	return r;
}
