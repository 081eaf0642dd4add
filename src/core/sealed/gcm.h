/* AES-256-GCM (FIPS 197, NIST SP 800-38D): what every browser's WebCrypto has.
 *
 * libsodium has it only where the processor has instructions for it, and the client knocktap is to
 * need no other library. What is sealed here is a key file, a dozen blocks, so this is slow and
 * simple.
 *
 * MUST: no branch and no index into a table depends on a key or on what is sealed. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "core/secret.h"

enum { GCM_NONCE_SIZE = 12, GCM_TAG_SIZE = 16 };

/* Seals so many bytes, and adds a tag behind them. No two texts may have the same key and nonce. */
void gcm_seal(const struct secret *key, const uint8_t nonce[static GCM_NONCE_SIZE],
	      const uint8_t *text, size_t size, uint8_t *ret_box);

/* Opens a box of so many bytes, tag included. 0, and `ret_text` is that much shorter; -EBADMSG: the
 * key is another one, or something was changed; then nothing is written. */
int gcm_open(const struct secret *key, const uint8_t nonce[static GCM_NONCE_SIZE],
	     const uint8_t *box, size_t size, uint8_t *ret_text);
