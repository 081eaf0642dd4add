#include "daemon/bus/admins.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "util/cleanup.h"

gid_t admins_find(const char *path, const char *name)
{
	CLEANUP(cleanup_fclose) FILE *file = fopen(path, "re");
	const struct group *group;

	while (file && (group = fgetgrent(file)))
		if (strcmp(group->gr_name, name) == 0)
			return group->gr_gid;
	return ADMINS_NONE;
}

bool admins_include(gid_t admins, uid_t uid, gid_t gid, const gid_t *groups, size_t n_groups)
{
	if (uid == 0)
		return true;
	if (admins == ADMINS_NONE)
		return false;
	for (size_t i = 0; i < n_groups; i++)
		if (groups[i] == admins)
			return true;
	return gid == admins;
}

/* As many as they are: the kernel says so when there is no room for them. */
static int read_groups(int fd, gid_t **ret, size_t *ret_n)
{
	CLEANUP(cleanup_free) gid_t *groups = NULL;
	socklen_t size = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &size) < 0 && errno != ERANGE)
		return -errno;
	groups = malloc(size + 1);
	if (!groups)
		return -ENOMEM;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0)
		return -errno;
	*ret = TAKE_PTR(groups);
	*ret_n = size / sizeof **ret;
	return 0;
}

int admins_admit(gid_t admins, int fd, uid_t *ret_uid)
{
	CLEANUP(cleanup_free) gid_t *groups = NULL;
	struct ucred peer;
	socklen_t size = sizeof peer;
	size_t n_groups = 0;
	int r;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return -errno;
	r = read_groups(fd, &groups, &n_groups);
	if (r < 0)
		return r;
	if (!admins_include(admins, peer.uid, peer.gid, groups, n_groups))
		return -EACCES;
	*ret_uid = peer.uid;
	return 0;
}
