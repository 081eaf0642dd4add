/* Who is let in to the daemon's socket: root, and the members of a group.
 *
 * MUST: go by what the kernel says of the other end, and ask no name service, which may be on a
 * network, or on a bus that hangs. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Nobody is in it. */
#define ADMINS_NONE ((gid_t)-1)

/* The group's number in a file like /etc/group; ADMINS_NONE: it is not there. */
gid_t admins_find(const char *path, const char *name);

/* Whether they are let in: their user, their group, and the other groups that they are in. */
bool admins_include(gid_t admins, uid_t uid, gid_t gid, const gid_t *groups, size_t n_groups);

/* Who has connected this socket. 0; -EACCES: somebody who is not let in; or another negative errno.
 */
int admins_admit(gid_t admins, int fd, uid_t *ret_uid);
