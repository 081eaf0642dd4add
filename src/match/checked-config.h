/* Loading the configuration as both programs do: what is wrong with it goes to standard error. */
#pragma once

#include <stddef.h>

struct config;

/* 0; -ENOMEM; -EBADMSG: it is wrong or cannot be read, and every complaint has been printed as
 * "FILE:LINE: error: ...". *ret_warnings (may be NULL) counts the warnings. */
int checked_config_load(const char *path, struct config **ret_config, size_t *ret_warnings);
