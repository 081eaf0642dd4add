/* MUST: overwrite a key only to replace it. Nobody can read a new one but root and the group that
 * the directory is there for. */
#include "cli/keygen/key-create.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/keygen/key-text.h"
#include "cli/keygen/new-file.h"
#include "core/secret.h"
#include "util/cleanup.h"

DEFINE_CLEANUP(struct secret *, secrets_free)

/* A directory that is missing is made for the daemon's group, where there is one. */
static int directory_make(const char *path)
{
	const struct group *group = getgrnam("knocktail");

	if (mkdir(path, 0700) < 0)
		return errno == EEXIST ? 0 : -errno;
	if (group && (chown(path, (uid_t)-1, group->gr_gid) < 0 || chmod(path, 0750) < 0)) {
		int r = -errno;

		rmdir(path);
		return r;
	}
	return 0;
}

/* -EACCES: others can write into it, who could put a key of theirs there. */
int key_directory_open(const char *path, int *ret_fd, struct stat *ret_st)
{
	CLEANUP(cleanup_close) int fd = -1;
	int r = directory_make(path);

	if (r < 0)
		return r;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, ret_st) < 0)
		return -errno;
	if (ret_st->st_mode & (S_IWGRP | S_IWOTH))
		return -EACCES;
	*ret_fd = fd;
	fd = -1;
	return 0;
}

/* A directory that only its group can enter says who the keys are for. */
static bool is_shared(const struct stat *directory)
{
	return (directory->st_mode & S_IXGRP) && !(directory->st_mode & S_IRWXO);
}

int key_create(int directory, const struct stat *st, const char *name, const char *realm,
	       const struct key_term *term, const struct old_key *old, uint64_t now_s,
	       char ret_line[static KEY_LINE_MAX + 1])
{
	CLEANUP(cleanup_secrets_free) struct secret *secret = NULL;
	char line[KEY_LINE_MAX + 1], text[KEY_FILE_MAX + 1];
	int r;

	if (secrets_new(1, &secret) < 0)
		return -ENOMEM;
	randombytes_buf(secret->bytes, sizeof(secret->bytes));
	key_line_format(realm, secret, line);
	key_text_write(line, term, old, now_s, text);
	r = new_file_put(directory, name, text, is_shared(st) ? st->st_gid : (gid_t)-1,
			 old != NULL);
	if (r == 0)
		memcpy(ret_line, line, sizeof line);
	sodium_memzero(line, sizeof line);
	sodium_memzero(text, sizeof text);
	return r;
}
