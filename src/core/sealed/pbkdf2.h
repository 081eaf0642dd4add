/* PBKDF2-HMAC-SHA-256 (RFC 8018, 5.2): a key from a passphrase, at a price for whoever guesses. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "core/secret.h"

/* Its first 32 bytes. */
void pbkdf2_derive(const char *passphrase, size_t length, const uint8_t *salt, size_t salt_size,
		   uint32_t rounds, struct secret *ret);
