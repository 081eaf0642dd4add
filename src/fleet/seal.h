/* The seal: what the broker carries, and cannot read, make or move to another topic.
 *
 * MUST: each message is sealed with a random nonce of 192 bits, and its topic is part of what the
 * seal is about. MUST: the key for it depends on the fleet's name, so that what one fleet has
 * sealed is nothing to another with the same key. */
#pragma once

#include "core/secret.h"
#include "fleet/message.h"

#include <stddef.h>
#include <stdint.h>

/* version, nonce, message, tag */
enum { SEAL_VERSION = 1, SEAL_NONCE_SIZE = 24, SEAL_TAG_SIZE = 16 };
enum { SEALED_SIZE = 1 + SEAL_NONCE_SIZE + FLEET_PLAIN_SIZE + SEAL_TAG_SIZE };

/* "knocktail/1/FLEET/HOST/ID" */
enum { FLEET_ID_SIZE = 16 };
enum {
	FLEET_TOPIC_SIZE = sizeof "knocktail/1" + 1 + FLEET_NAME_MAX + 1 + FLEET_HOST_MAX + 1 +
			   2 * FLEET_ID_SIZE
};

struct fleet_seal;

/* From the fleet's key, for the fleet of this name, in memory of its own. sodium_init() must have
 * been called. 0 or -ENOMEM. */
int fleet_seal_new(const struct secret *key, const char *fleet, struct fleet_seal **ret);
struct fleet_seal *fleet_seal_free(struct fleet_seal *seal);

/* The topic that is this message's alone: of its host, and what it is about. It says nothing of
 * that to those who have no key. */
void fleet_seal_topic(const struct fleet_seal *seal, const struct fleet_message *message,
		      char ret[static FLEET_TOPIC_SIZE]);

/* Seals the message for its topic. */
void fleet_seal_close(const struct fleet_seal *seal, const struct fleet_message *message,
		      uint8_t ret[static SEALED_SIZE]);

/* Opens what came by a topic. 0; -EBADMSG: it was not sealed with this key, for this fleet or for
 * this topic; -EPROTONOSUPPORT: it is of another version; -EINVAL: it is not a message. */
int fleet_seal_open(const struct fleet_seal *seal, const char *topic, const void *data, size_t size,
		    struct fleet_message *ret);
