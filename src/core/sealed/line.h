/* A key file's text in one line, sealed with a passphrase, as a page holds it:
 *
 *   knocktail2-sealed ROUNDS SALT NONCE BOX
 *   knocktail2-open TEXT
 *
 * SALT, NONCE, BOX and TEXT are standard base64. The box is AES-256-GCM of the text, with the key
 * that PBKDF2-HMAC-SHA-256 makes of the passphrase. The second form is not sealed. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/key-file.h"
#include "core/sealed/gcm.h"

enum {
	SEALED_SALT_SIZE = 16,
	SEALED_RANDOM_SIZE = SEALED_SALT_SIZE + GCM_NONCE_SIZE,
	SEALED_ROUNDS = 600000,
	SEALED_ROUNDS_MAX = 10000000, /* more would keep whoever opens it waiting */
	SEALED_LINE_MAX = 96 + (KEY_FILE_MAX + GCM_TAG_SIZE + 2) / 3 * 4, /* without NUL */
};

/* The line for at most KEY_FILE_MAX bytes of text; `random` is used for nothing else. Whoever asks
 * for it wipes it. */
void sealed_line_format(const char *text, size_t size, const char *passphrase, size_t length,
			const uint8_t random[static SEALED_RANDOM_SIZE],
			char ret_line[static SEALED_LINE_MAX + 1]);
void open_line_format(const char *text, size_t size, char ret_line[static SEALED_LINE_MAX + 1]);

/* Finds such a line in a file, be it a page or nothing but the line. False: there is none. */
bool sealed_line_find(const char *file, size_t size, const char **ret_line, size_t *ret_length);

/* Whether it takes a passphrase to read it. */
bool sealed_line_is_sealed(const char *line, size_t length);

/* What it holds. 0; -EBADMSG: the passphrase is another one, or something was changed; -EINVAL: it
 * is not such a line. */
int sealed_line_read(const char *line, size_t length, const char *passphrase,
		     size_t passphrase_length, char ret_text[static KEY_FILE_MAX],
		     size_t *ret_size);
