#include "core/spa.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "core/address.h"
#include "core/secret.h"

/* Where the parts of the option stand. */
enum { HEAD_SIZE = 4, BOX_AT = HEAD_SIZE + SPA_NONCE_SIZE, REQUEST_SIZE = 8 };

/* The experiment's kind (RFC 4727), the length, and our identifier (RFC 6994). */
static const uint8_t head[HEAD_SIZE] = {253, SPA_OPTION_SIZE, 0x4b, 0x54};
static const char version[] = "knocktail/2", kind[] = "spa";
static const struct address nobody;

/* What is authenticated beside the request: the version with its NUL, and the address. */
struct context {
	uint8_t bytes[sizeof version + sizeof(struct address)];
};

_Static_assert(BOX_AT + REQUEST_SIZE + crypto_aead_chacha20poly1305_IETF_ABYTES == SPA_OPTION_SIZE,
	       "the option is full");
_Static_assert(SPA_NONCE_SIZE == crypto_aead_chacha20poly1305_IETF_NPUBBYTES, "RFC 8439");
_Static_assert(SECRET_SIZE == crypto_aead_chacha20poly1305_IETF_KEYBYTES, "RFC 8439");

static struct context context_of(const struct address *bound)
{
	struct context context;

	memcpy(context.bytes, version, sizeof version);
	memcpy(context.bytes + sizeof version, bound ? bound->bytes : nobody.bytes,
	       sizeof nobody.bytes);
	return context;
}

static void put_be(uint64_t number, size_t size, uint8_t *ret)
{
	while (size-- > 0) {
		ret[size] = (uint8_t)number;
		number >>= 8;
	}
}

static uint32_t take_be(const uint8_t *bytes, size_t size)
{
	uint32_t number = 0;

	for (size_t i = 0; i < size; i++)
		number = number << 8 | bytes[i];
	return number;
}

void spa_key(const struct mac_key *base, struct secret *ret_key)
{
	/* "key" is the last, and has no NUL. */
	const struct secret_piece pieces[] = {{kind, sizeof kind}, {"key", 3}};

	mac_key_mac(base, pieces, 2, ret_key->bytes);
}

uint16_t spa_port(const struct mac_key *base, uint64_t step)
{
	uint8_t number[8], mac[SECRET_MAC_SIZE];
	const struct secret_piece pieces[] = {
		{kind, sizeof kind}, {"select", sizeof "select"}, {number, sizeof number}};
	uint16_t port;

	put_be(step, sizeof number, number);
	mac_key_mac(base, pieces, 3, mac);
	port = secret_port(mac, 0);
	sodium_memzero(mac, sizeof mac);
	return port;
}

uint16_t spa_door(const char *name)
{
	uint8_t hash[crypto_hash_sha256_BYTES];

	crypto_hash_sha256(hash, (const uint8_t *)name, strlen(name));
	return (uint16_t)take_be(hash, 2);
}

void spa_seal(const struct secret *key, const struct spa_request *request,
	      const struct address *bound, const uint8_t nonce[static SPA_NONCE_SIZE],
	      uint8_t ret_option[static SPA_OPTION_SIZE])
{
	struct context context = context_of(bound);
	uint8_t plain[REQUEST_SIZE];

	put_be(request->time_s, 4, plain);
	put_be(request->door, 2, plain + 4);
	put_be(request->seconds, 2, plain + 6);
	memcpy(ret_option, head, sizeof head);
	memcpy(ret_option + HEAD_SIZE, nonce, SPA_NONCE_SIZE);
	crypto_aead_chacha20poly1305_ietf_encrypt(ret_option + BOX_AT, NULL, plain, sizeof plain,
						  context.bytes, sizeof context.bytes, NULL, nonce,
						  key->bytes);
	sodium_memzero(plain, sizeof plain);
}

bool spa_is_option(const uint8_t *options, size_t n)
{
	return n == SPA_OPTION_SIZE && memcmp(options, head, sizeof head) == 0;
}

const uint8_t *spa_nonce(const uint8_t option[static SPA_OPTION_SIZE])
{
	return option + HEAD_SIZE;
}

static struct spa_request take_request(const uint8_t plain[static REQUEST_SIZE])
{
	return (struct spa_request){
		.time_s = take_be(plain, 4),
		.door = (uint16_t)take_be(plain + 4, 2),
		.seconds = (uint16_t)take_be(plain + 6, 2),
	};
}

void spa_guess(const struct secret *key, const uint8_t option[static SPA_OPTION_SIZE],
	       struct spa_request *ret)
{
	uint8_t plain[REQUEST_SIZE];

	/* RFC 8439, 2.8: the stream from its second block on. */
	crypto_stream_chacha20_ietf_xor_ic(plain, option + BOX_AT, sizeof plain, spa_nonce(option),
					   1, key->bytes);
	*ret = take_request(plain);
	sodium_memzero(plain, sizeof plain);
}

int spa_open(const struct secret *key, const uint8_t option[static SPA_OPTION_SIZE],
	     const struct address *bound, struct spa_request *ret)
{
	struct context context = context_of(bound);
	uint8_t plain[REQUEST_SIZE];

	if (crypto_aead_chacha20poly1305_ietf_decrypt(
		    plain, NULL, NULL, option + BOX_AT, SPA_OPTION_SIZE - BOX_AT, context.bytes,
		    sizeof context.bytes, spa_nonce(option), key->bytes) != 0)
		return -EBADMSG;
	*ret = take_request(plain);
	sodium_memzero(plain, sizeof plain);
	return 0;
}
