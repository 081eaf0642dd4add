/* A key file: which server or group of servers a user's key is for, the key, and its time. While a
 * key is being replaced, the one before stands behind it.
 *
 * The time stands in the file itself, so that it is read, replaced, protected and handed over with
 * the key, and the client knows it as well.
 *
 * MUST: nobody but this file sees the key itself; all else works with its base, which is good for
 * one realm alone. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/secret.h"
#include "core/visitor.h"

enum {
	REALM_MAX = 64,
	KEY_LINE_MAX = sizeof "knocktail2" + REALM_MAX + 1 + SECRET_TEXT_SIZE, /* without NUL */
	KEY_DATE_SIZE = sizeof "2026-11-29T20:00:00Z",
	KEY_FILE_KEYS = 2,
	KEY_FILE_MAX = KEY_FILE_KEYS * (KEY_LINE_MAX + 1 + sizeof "since " + sizeof "expires " +
					2 * KEY_DATE_SIZE), /* bytes; more than any has */
};

/* When a key is good: from one Unix time on until another has come. 0: no bound. */
struct key_term {
	uint64_t since_s, expires_s;
};

struct key_file {
	char realm[REALM_MAX + 1];
	size_t n;
	struct secret bases[KEY_FILE_KEYS]; /* the key, and the one before */
	struct key_term terms[KEY_FILE_KEYS];
};

/* Whether a realm may be called this: 1 to REALM_MAX of a-z 0-9 . _ -. */
bool realm_is_name(const char *text);

/* What tokens and SPA knocks are derived from. */
void key_base(const struct secret *key, const char *realm, struct secret *ret_base);

/* What it is called. */
struct key_id key_id_of(const struct secret *base);

/* Reads the whole file: lines "knocktail2 REALM BASE64", each of which may have "since DATE" and
 * "expires DATE" behind it; the newline at the end may be missing. 0; -EPROTONOSUPPORT: it is a key
 * of version 1, which named no realm; -EINVAL: anything else. *ret_fault says what it is then, and
 * shows nothing of it. */
int key_file_parse(const char *text, size_t length, struct key_file *ret, const char **ret_fault);

void key_file_wipe(struct key_file *file);

/* A line with a key, without newline, NUL-terminated; whoever asks for it wipes it. */
void key_line_format(const char *realm, const struct secret *key,
		     char line[static KEY_LINE_MAX + 1]);

/* "2026-11-29", its first moment in UTC, or "2026-11-29T20:00:00Z". 0 or -EINVAL. */
int key_date_parse(const char *text, size_t length, uint64_t *ret_s);

/* The shorter of the two. Returns `text`. */
const char *key_date_format(uint64_t unix_s, char text[static KEY_DATE_SIZE]);

bool key_term_holds(const struct key_term *term, uint64_t unix_s);
