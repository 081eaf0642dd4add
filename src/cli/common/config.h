/* The configuration, as the verbs load it. */
#pragma once

#include "cli/verb.h"

struct complaints;
struct config;

/* STATUS_OK; otherwise, after a complaint on standard error, STATUS_USAGE (it is wrong, or cannot
 * be read) or STATUS_FAILED. */
enum status verb_load_config(const char *path, struct config **ret);

/* Prints them, as "FILE:LINE: error: TEXT"; `path` is the configuration's file. */
void verb_print_complaints(const char *path, const struct complaints *complaints);

/* The status of a verb to which checked_config_load() has returned `r`; prints what is not among
 * the complaints. */
enum status verb_config_status(const char *path, int r);
