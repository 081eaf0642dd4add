#include "core/secret.h"

#include <errno.h>
#include <sodium.h>

int secrets_new(size_t n, struct secret **ret)
{
	struct secret *secrets = sodium_allocarray(n, sizeof *secrets);

	if (!secrets)
		return -ENOMEM;
	sodium_memzero(secrets, n * sizeof *secrets);
	*ret = secrets;
	return 0;
}

struct secret *secrets_free(struct secret *secrets)
{
	sodium_free(secrets);
	return NULL;
}

void secret_wipe(struct secret *secret)
{
	sodium_memzero(secret, sizeof *secret);
}

int secret_parse(const char *text, size_t length, struct secret *ret)
{
	char canonical[SECRET_TEXT_SIZE + 1];
	struct secret secret;
	size_t size = 0;
	int r;

	if (length == SECRET_TEXT_SIZE + 1 && text[SECRET_TEXT_SIZE] == '\n')
		length--;
	if (length != SECRET_TEXT_SIZE)
		return -EINVAL;
	r = sodium_base642bin(secret.bytes, sizeof secret.bytes, text, length, NULL, &size, NULL,
			      sodium_base64_VARIANT_ORIGINAL);
	if (r != 0 || size != sizeof secret.bytes)
		r = -EINVAL;
	/* libsodium takes some bytes beyond ASCII for characters of base64. */
	if (r == 0) {
		secret_format(&secret, canonical);
		r = sodium_memcmp(canonical, text, SECRET_TEXT_SIZE) == 0 ? 0 : -EINVAL;
	}
	if (r == 0)
		*ret = secret;
	sodium_memzero(canonical, sizeof canonical);
	secret_wipe(&secret);
	return r;
}

void secret_format(const struct secret *secret, char text[static SECRET_TEXT_SIZE + 1])
{
	sodium_bin2base64(text, SECRET_TEXT_SIZE + 1, secret->bytes, sizeof secret->bytes,
			  sodium_base64_VARIANT_ORIGINAL);
}

void mac_key_init(struct mac_key *ret, const struct secret *secret)
{
	crypto_auth_hmacsha256_init(&ret->begun, secret->bytes, sizeof secret->bytes);
}

void mac_key_wipe(struct mac_key *key)
{
	sodium_memzero(key, sizeof *key);
}

int mac_keys_new(size_t n, struct mac_key **ret)
{
	struct mac_key *keys = sodium_allocarray(n, sizeof *keys);

	if (!keys)
		return -ENOMEM;
	*ret = keys;
	return 0;
}

struct mac_key *mac_keys_free(struct mac_key *keys)
{
	sodium_free(keys);
	return NULL;
}

void mac_key_mac(const struct mac_key *key, const struct secret_piece *pieces, size_t n,
		 uint8_t ret_mac[static SECRET_MAC_SIZE])
{
	crypto_auth_hmacsha256_state state = key->begun;

	for (size_t i = 0; i < n; i++)
		crypto_auth_hmacsha256_update(&state, pieces[i].data, pieces[i].size);
	crypto_auth_hmacsha256_final(&state, ret_mac);
	sodium_memzero(&state, sizeof state);
}

void secret_mac(const struct secret *secret, const struct secret_piece *pieces, size_t n,
		uint8_t ret_mac[static SECRET_MAC_SIZE])
{
	struct mac_key key;

	mac_key_init(&key, secret);
	mac_key_mac(&key, pieces, n, ret_mac);
	mac_key_wipe(&key);
}

uint16_t secret_port(const uint8_t mac[static SECRET_MAC_SIZE], size_t i)
{
	const uint8_t *word = mac + 4 * i;
	uint32_t number = (uint32_t)word[0] << 24 | (uint32_t)word[1] << 16 |
			  (uint32_t)word[2] << 8 | word[3];

	return (uint16_t)(1024 + number % 64512);
}
