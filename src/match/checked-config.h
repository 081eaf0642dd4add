/* The checked configuration: loaded, and compared with the other files that it names. */
#pragma once

#include "config/complaint.h"

struct config;

/* 0: *ret_config is whole, and *ret_complaints may hold warnings. -EBADMSG: it is wrong or cannot
 * be read, and *ret_complaints says how. -ENOMEM. The complaints are the caller's to destroy in
 * every case. */
int checked_config_load(const char *path, struct config **ret_config,
			struct complaints *ret_complaints);
