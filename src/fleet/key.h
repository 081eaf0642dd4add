/* The fleet's key: one line, "knocktail-fleet1 BASE64", in a file that others must not read. */
#pragma once

#include <sys/types.h>

#include "core/secret.h"

enum { FLEET_KEY_LINE_SIZE = sizeof "knocktail-fleet1 " + SECRET_TEXT_SIZE };

/* What is wrong with the mode of a file that holds a secret of the fleet's; NULL: nothing. */
const char *fleet_secret_fault(mode_t mode);

/* 0; or a negative errno, and *ret_fault says what is wrong with the file, without showing any of
 * it. */
int fleet_key_read(const char *path, struct secret *ret, const char **ret_fault);

/* The line, without newline; whoever asks for it wipes it. */
void fleet_key_format(const struct secret *key, char line[static FLEET_KEY_LINE_SIZE]);
