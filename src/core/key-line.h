/* The one line of a key file: which server or group of servers a key is for, and the key.
 *
 * MUST: nobody but this file sees the key itself; all else works with its base, which is good for
 * one realm alone. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/secret.h"

enum {
	REALM_MAX = 64,
	KEY_LINE_MAX = sizeof "knocktail2" + REALM_MAX + 1 + SECRET_TEXT_SIZE, /* without NUL */
};

/* Whether a realm may be called this: 1 to REALM_MAX of a-z 0-9 . _ -. */
bool realm_is_name(const char *text);

/* What tokens and SPA knocks are derived from. */
void key_base(const struct secret *key, const char *realm, struct secret *ret_base);

/* Reads "knocktail2 REALM BASE64"; the newline at the end may be missing. 0; -EPROTONOSUPPORT: it
 * is a key of version 1, which named no realm; -EINVAL: anything else. */
int key_line_parse(const char *text, size_t length, char ret_realm[static REALM_MAX + 1],
		   struct secret *ret_base);

/* The same line, without newline, NUL-terminated; whoever asks for it wipes it. */
void key_line_format(const char *realm, const struct secret *key,
		     char line[static KEY_LINE_MAX + 1]);
