/* The text of a key file. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/key-file.h"

struct stat;

/* A key that is replaced: its own line, and its realm and time. */
struct old_key {
	char line[KEY_LINE_MAX + 1];
	char realm[REALM_MAX + 1];
	struct key_term term;
};

/* Reads the key in force from this file of the directory; its owner and mode must be such that the
 * keyring takes it. NULL, or what is wrong with it. */
const char *old_key_read(int directory_fd, const struct stat *directory, const char *name,
			 struct old_key *ret);

/* The new key, and (unless it is NULL, or its time is over) the old one with it. */
void key_text_write(const char *line, const struct key_term *term, const struct old_key *old,
		    uint64_t now_s, char ret_text[static KEY_FILE_MAX + 1]);

/* "2027-01-01", "2027-01-01T08:00:00Z", or (where there may be one) a time span from now on. 0 or
 * -EINVAL. */
int key_moment_parse(const char *text, uint64_t now_s, bool may_be_span, uint64_t *ret_s);
