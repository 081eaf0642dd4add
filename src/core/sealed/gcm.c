#include "core/sealed/gcm.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

enum { BLOCK_SIZE = 16, N_ROUNDS = 14 };

struct aes_key {
	uint8_t rounds[N_ROUNDS + 1][BLOCK_SIZE];
};

/* In the field that AES computes in: bytes as polynomials, modulo x^8 + x^4 + x^3 + x + 1. */
static uint8_t field_double(uint8_t a)
{
	return (uint8_t)(a << 1 ^ (0x1b & -(a >> 7)));
}

static uint8_t field_multiply(uint8_t a, uint8_t b)
{
	uint8_t product = 0;

	for (int i = 0; i < 8; i++, a = field_double(a), b >>= 1)
		product ^= (uint8_t)(a & -(b & 1));
	return product;
}

/* The S-box by its definition (FIPS 197, 5.1.1): the inverse, which is the 254th power, and an
 * affine map. A table would tell by its timing what was looked up. */
static uint8_t byte_substitute(uint8_t a)
{
	uint8_t inverse = 1, result;

	for (int i = 0; i < 7; i++) {
		a = field_multiply(a, a);
		inverse = field_multiply(inverse, a);
	}
	result = inverse ^ 0x63;
	for (int i = 1; i <= 4; i++)
		result ^= (uint8_t)(inverse << i | inverse >> (8 - i));
	return result;
}

static void aes_key_expand(struct aes_key *ret, const struct secret *key)
{
	uint8_t *bytes = ret->rounds[0], factor = 1;

	memcpy(bytes, key->bytes, sizeof key->bytes);
	for (size_t i = SECRET_SIZE; i < sizeof ret->rounds; i += 4) {
		uint8_t word[4];

		for (size_t j = 0; j < 4; j++) {
			uint8_t byte = bytes[i - 4 + (i % SECRET_SIZE == 0 ? (j + 1) % 4 : j)];

			word[j] = i % BLOCK_SIZE == 0 ? byte_substitute(byte) : byte;
		}
		if (i % SECRET_SIZE == 0) {
			word[0] ^= factor;
			factor = field_double(factor);
		}
		for (size_t j = 0; j < 4; j++)
			bytes[i + j] = bytes[i - SECRET_SIZE + j] ^ word[j];
		sodium_memzero(word, sizeof word);
	}
}

/* Each column, times 3x^3 + x^2 + x + 2. */
static void columns_mix(uint8_t block[static BLOCK_SIZE])
{
	for (uint8_t *column = block; column < block + BLOCK_SIZE; column += 4) {
		uint8_t all = column[0] ^ column[1] ^ column[2] ^ column[3], first = column[0];

		for (size_t i = 0; i < 4; i++) {
			uint8_t next = i < 3 ? column[i + 1] : first;

			column[i] ^= all ^ field_double(column[i] ^ next);
		}
	}
}

static void block_add(uint8_t block[static BLOCK_SIZE], const uint8_t *other, size_t size)
{
	for (size_t i = 0; i < size; i++)
		block[i] ^= other[i];
}

static void block_encrypt(const struct aes_key *key, uint8_t block[static BLOCK_SIZE])
{
	uint8_t shifted[BLOCK_SIZE];

	block_add(block, key->rounds[0], BLOCK_SIZE);
	for (size_t round = 1; round <= N_ROUNDS; round++) {
		/* Row i is shifted by i columns. */
		for (size_t i = 0; i < BLOCK_SIZE; i++)
			shifted[i] = byte_substitute(block[5 * i % BLOCK_SIZE]);
		if (round < N_ROUNDS)
			columns_mix(shifted);
		block_add(shifted, key->rounds[round], BLOCK_SIZE);
		memcpy(block, shifted, BLOCK_SIZE);
	}
	sodium_memzero(shifted, sizeof shifted);
}

static uint64_t be64_get(const uint8_t *bytes)
{
	uint64_t number = 0;

	for (size_t i = 0; i < 8; i++)
		number = number << 8 | bytes[i];
	return number;
}

static void be64_put(uint8_t *bytes, uint64_t number)
{
	for (size_t i = 8; i-- > 0; number >>= 8)
		bytes[i] = (uint8_t)number;
}

/* x times y in the field of GHASH (SP 800-38D, 6.3), into x. */
static void ghash_multiply(uint8_t x[static BLOCK_SIZE], const uint8_t y[static BLOCK_SIZE])
{
	uint64_t high = be64_get(y), low = be64_get(y + 8), product_high = 0, product_low = 0;

	for (size_t i = 0; i < 8 * BLOCK_SIZE; i++) {
		uint64_t bit = -(uint64_t)(x[i / 8] >> (7 - i % 8) & 1), carry = -(low & 1);

		product_high ^= high & bit;
		product_low ^= low & bit;
		low = low >> 1 | high << 63;
		high = high >> 1 ^ (carry & UINT64_C(0xe1) << 56);
	}
	be64_put(x, product_high);
	be64_put(x + 8, product_low);
}

static size_t block_at(size_t at, size_t size)
{
	return size - at < BLOCK_SIZE ? size - at : BLOCK_SIZE;
}

/* From the second counter on; sealing and opening are the same. */
static void gcm_stream(const struct aes_key *key, const uint8_t nonce[static GCM_NONCE_SIZE],
		       const uint8_t *from, size_t size, uint8_t *to)
{
	uint32_t counter = 2;

	for (size_t at = 0; at < size; at += BLOCK_SIZE, counter++) {
		uint8_t block[BLOCK_SIZE];
		size_t length = block_at(at, size);

		be64_put(block + 8, counter);
		memcpy(block, nonce, GCM_NONCE_SIZE);
		block_encrypt(key, block);
		for (size_t i = 0; i < length; i++)
			to[at + i] = from[at + i] ^ block[i];
		sodium_memzero(block, sizeof block);
	}
}

static void gcm_tag(const struct aes_key *key, const uint8_t nonce[static GCM_NONCE_SIZE],
		    const uint8_t *sealed, size_t size, uint8_t ret[static GCM_TAG_SIZE])
{
	uint8_t subkey[BLOCK_SIZE] = {0}, mask[BLOCK_SIZE], lengths[BLOCK_SIZE] = {0};

	block_encrypt(key, subkey);
	memset(ret, 0, GCM_TAG_SIZE);
	for (size_t at = 0; at < size; at += BLOCK_SIZE) {
		block_add(ret, sealed + at, block_at(at, size));
		ghash_multiply(ret, subkey);
	}
	be64_put(lengths + 8, (uint64_t)size * 8);
	block_add(ret, lengths, BLOCK_SIZE);
	ghash_multiply(ret, subkey);
	be64_put(mask + 8, 1);
	memcpy(mask, nonce, GCM_NONCE_SIZE);
	block_encrypt(key, mask);
	block_add(ret, mask, BLOCK_SIZE);
	sodium_memzero(subkey, sizeof subkey);
	sodium_memzero(mask, sizeof mask);
}

void gcm_seal(const struct secret *key, const uint8_t nonce[static GCM_NONCE_SIZE],
	      const uint8_t *text, size_t size, uint8_t *ret_box)
{
	struct aes_key expanded;

	aes_key_expand(&expanded, key);
	gcm_stream(&expanded, nonce, text, size, ret_box);
	gcm_tag(&expanded, nonce, ret_box, size, ret_box + size);
	sodium_memzero(&expanded, sizeof expanded);
}

int gcm_open(const struct secret *key, const uint8_t nonce[static GCM_NONCE_SIZE],
	     const uint8_t *box, size_t size, uint8_t *ret_text)
{
	struct aes_key expanded;
	uint8_t tag[GCM_TAG_SIZE];
	int r = -EBADMSG;

	if (size < GCM_TAG_SIZE)
		return -EBADMSG;
	size -= GCM_TAG_SIZE;
	aes_key_expand(&expanded, key);
	gcm_tag(&expanded, nonce, box, size, tag);
	if (sodium_memcmp(tag, box + size, sizeof tag) == 0) {
		gcm_stream(&expanded, nonce, box, size, ret_text);
		r = 0;
	}
	sodium_memzero(&expanded, sizeof expanded);
	sodium_memzero(tag, sizeof tag);
	return r;
}
