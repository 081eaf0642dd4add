#include "fleet/seal.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

_Static_assert((int)SEAL_NONCE_SIZE == (int)crypto_aead_xchacha20poly1305_ietf_NPUBBYTES &&
		       (int)SEAL_TAG_SIZE == (int)crypto_aead_xchacha20poly1305_ietf_ABYTES &&
		       (int)SECRET_SIZE == (int)crypto_aead_xchacha20poly1305_ietf_KEYBYTES,
	       "the seal is XChaCha20-Poly1305");

/* Two keys, so that what is done with one says nothing about the other. */
enum { OF_MESSAGES, OF_TOPICS, N_SECRETS };

struct fleet_seal {
	char fleet[FLEET_NAME_MAX + 1];
	struct secret *secrets;
};

DEFINE_CLEANUP(struct fleet_seal *, fleet_seal_free)

static void secret_derive(const struct secret *key, const char *purpose, const char *fleet,
			  struct secret *ret)
{
	const struct secret_piece pieces[] = {
		{purpose, strlen(purpose) + 1},
		{fleet, strlen(fleet)},
	};

	secret_mac(key, pieces, 2, ret->bytes);
}

int fleet_seal_new(const struct secret *key, const char *fleet, struct fleet_seal **ret)
{
	CLEANUP(cleanup_fleet_seal_free) struct fleet_seal *seal = calloc(1, sizeof *seal);

	if (!seal)
		return -ENOMEM;
	snprintf(seal->fleet, sizeof seal->fleet, "%s", fleet);
	if (secrets_new(N_SECRETS, &seal->secrets) < 0)
		return -ENOMEM;
	secret_derive(key, "knocktail fleet 1 messages", fleet, &seal->secrets[OF_MESSAGES]);
	secret_derive(key, "knocktail fleet 1 topics", fleet, &seal->secrets[OF_TOPICS]);
	*ret = TAKE_PTR(seal);
	return 0;
}

struct fleet_seal *fleet_seal_free(struct fleet_seal *seal)
{
	if (seal)
		secrets_free(seal->secrets);
	free(seal);
	return NULL;
}

/* A host's word on a grant replaces the one before; what was shut or burnt stands beside it. */
static uint8_t message_class(const struct fleet_message *message)
{
	switch (message->kind) {
	case FLEET_OPEN:
	case FLEET_CLOSED:
		return 'g';
	case FLEET_SHUT:
		return 's';
	case FLEET_BURNT:
		return 'b';
	default:
		return 't';
	}
}

void fleet_seal_topic(const struct fleet_seal *seal, const struct fleet_message *message,
		      char ret[static FLEET_TOPIC_SIZE])
{
	const uint8_t class = message_class(message);
	uint8_t plain[FLEET_PLAIN_SIZE], mac[SECRET_MAC_SIZE];
	char id[2 * FLEET_ID_SIZE + 1];
	struct fleet_message subject = *message;
	const struct secret_piece pieces[] = {{&class, 1}, {plain, sizeof plain}};

	/* All that makes it another subject, and nothing that changes. */
	subject.kind = FLEET_OPEN;
	subject.knock = KNOCK_UNKNOWN;
	subject.stamp_us = subject.until_us = 0;
	subject.user[0] = '\0';
	if (class == 't') {
		subject.step = 0;
		subject.time_s = 0;
	}
	fleet_encode(&subject, plain);
	secret_mac(&seal->secrets[OF_TOPICS], pieces, 2, mac);
	sodium_bin2hex(id, sizeof id, mac, FLEET_ID_SIZE);
	snprintf(ret, FLEET_TOPIC_SIZE, "knocktail/1/%s/%s/%s", seal->fleet, message->host, id);
}

void fleet_seal_close(const struct fleet_seal *seal, const struct fleet_message *message,
		      uint8_t ret[static SEALED_SIZE])
{
	char topic[FLEET_TOPIC_SIZE];
	uint8_t plain[FLEET_PLAIN_SIZE], *nonce = ret + 1, *sealed = nonce + SEAL_NONCE_SIZE;

	fleet_seal_topic(seal, message, topic);
	fleet_encode(message, plain);
	ret[0] = SEAL_VERSION;
	randombytes_buf(nonce, SEAL_NONCE_SIZE);
	crypto_aead_xchacha20poly1305_ietf_encrypt(sealed, NULL, plain, sizeof plain,
						   (const uint8_t *)topic, strlen(topic), NULL,
						   nonce, seal->secrets[OF_MESSAGES].bytes);
	sodium_memzero(plain, sizeof plain);
}

int fleet_seal_open(const struct fleet_seal *seal, const char *topic, const void *data, size_t size,
		    struct fleet_message *ret)
{
	const uint8_t *bytes = data, *nonce = bytes + 1;
	char own_topic[FLEET_TOPIC_SIZE];
	uint8_t plain[FLEET_PLAIN_SIZE];
	struct fleet_message message;

	if (size < 1 || bytes[0] != SEAL_VERSION)
		return size < 1 ? -EINVAL : -EPROTONOSUPPORT;
	if (size != SEALED_SIZE)
		return -EINVAL;
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(plain, NULL, NULL, nonce + SEAL_NONCE_SIZE,
						       FLEET_PLAIN_SIZE + SEAL_TAG_SIZE,
						       (const uint8_t *)topic, strlen(topic), nonce,
						       seal->secrets[OF_MESSAGES].bytes) != 0)
		return -EBADMSG;
	if (fleet_decode(plain, &message) < 0)
		return -EINVAL;
	/* A host that is in the fleet must not speak for another, or of something else. */
	fleet_seal_topic(seal, &message, own_topic);
	if (strcmp(topic, own_topic) != 0)
		return -EBADMSG;
	*ret = message;
	return 0;
}
