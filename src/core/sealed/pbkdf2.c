#include "core/sealed/pbkdf2.h"

#include <sodium.h>
#include <string.h>

void pbkdf2_derive(const char *passphrase, size_t length, const uint8_t *salt, size_t salt_size,
		   uint32_t rounds, struct secret *ret)
{
	static const uint8_t first_block[] = {0, 0, 0, 1};
	crypto_auth_hmacsha256_state begun, state;
	uint8_t mac[SECRET_MAC_SIZE];

	crypto_auth_hmacsha256_init(&begun, (const uint8_t *)passphrase, length);
	state = begun;
	crypto_auth_hmacsha256_update(&state, salt, salt_size);
	crypto_auth_hmacsha256_update(&state, first_block, sizeof first_block);
	crypto_auth_hmacsha256_final(&state, mac);
	memcpy(ret->bytes, mac, sizeof mac);
	for (uint32_t round = 1; round < rounds; round++) {
		state = begun;
		crypto_auth_hmacsha256_update(&state, mac, sizeof mac);
		crypto_auth_hmacsha256_final(&state, mac);
		for (size_t i = 0; i < sizeof mac; i++)
			ret->bytes[i] ^= mac[i];
	}
	sodium_memzero(&begun, sizeof begun);
	sodium_memzero(&state, sizeof state);
	sodium_memzero(mac, sizeof mac);
}
