/* A secret: 32 bytes that nobody must learn, such as a key or what is derived from one.
 *
 * MUST: live in memory from secrets_new() or be wiped with secret_wipe() when it goes out of sight.
 * MUST: no branch and no index into a table depends on its bytes. */
#pragma once

#include <sodium/crypto_auth_hmacsha256.h>
#include <stddef.h>
#include <stdint.h>

enum {
	SECRET_SIZE = 32,
	SECRET_TEXT_SIZE = 44, /* in base64, without NUL */
	SECRET_MAC_SIZE = 32,
};

struct secret {
	uint8_t bytes[SECRET_SIZE];
};

/* Room for n secrets, all zero, in memory of its own between guard pages, locked as far as the
 * system lets us and left out of core dumps. sodium_init() must have been called. 0 or -ENOMEM. */
int secrets_new(size_t n, struct secret **ret);

/* Wipes them all. Returns NULL. */
struct secret *secrets_free(struct secret *secrets);

void secret_wipe(struct secret *secret);

/* Reads a line of standard base64 with its padding; the newline at the end may be missing. 0;
 * -EINVAL: anything else. */
int secret_parse(const char *text, size_t length, struct secret *ret);

/* The same line, without newline, NUL-terminated; whoever asks for it wipes it. */
void secret_format(const struct secret *secret, char text[static SECRET_TEXT_SIZE + 1]);

/* A secret made ready for many MACs: half of the work of a short one is done. It is as secret. */
struct mac_key {
	crypto_auth_hmacsha256_state begun;
};

void mac_key_init(struct mac_key *ret, const struct secret *secret);
void mac_key_wipe(struct mac_key *key);

/* As secrets_new() and secrets_free(). */
int mac_keys_new(size_t n, struct mac_key **ret);
struct mac_key *mac_keys_free(struct mac_key *keys);

/* HMAC-SHA256 (RFC 2104, FIPS 180-4) of the pieces, joined. */
struct secret_piece {
	const void *data;
	size_t size;
};
void mac_key_mac(const struct mac_key *key, const struct secret_piece *pieces, size_t n,
		 uint8_t ret_mac[static SECRET_MAC_SIZE]);

/* The same, where it is the only one. */
void secret_mac(const struct secret *secret, const struct secret_piece *pieces, size_t n,
		uint8_t ret_mac[static SECRET_MAC_SIZE]);

/* The port that word `i` (0 to 7) of a MAC stands for: 1024 to 65535. */
uint16_t secret_port(const uint8_t mac[static SECRET_MAC_SIZE], size_t i);
