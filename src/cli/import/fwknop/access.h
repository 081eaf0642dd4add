/* Stanzas of fwknop's access.conf as doors and users of knocktail.conf(5). */
#pragma once

#include "core/door.h"

#include <stddef.h>
#include <stdint.h>

struct fwknop_file;
struct import_result;

/* A user that a stanza makes, who needs a key. */
struct fwknop_user {
	char name[USER_NAME_MAX + 1];
	uint64_t expires_s; /* 0: never */
};

struct fwknop_users {
	struct fwknop_user *items; /* to be freed */
	size_t n;
};

/* Writes the whole configuration. `options` is fwknopd.conf, at `options_path`, or NULL; nothing of
 * it, and no key, is shown. 0 or -ENOMEM. */
int fwknop_import_access(const struct fwknop_file *file, const struct fwknop_file *options,
			 const char *options_path, struct import_result *result,
			 struct fwknop_users *ret_users);
