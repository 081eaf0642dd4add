/* A message of the fleet, knocktail-fleet(7): what one host says of one door and one source, and
 * its form in bytes, before it is sealed. */
#pragma once

#include "core/address.h"
#include "core/door.h"
#include "core/visitor.h"

#include <stdint.h>

enum {
	FLEET_NAME_MAX = 32,
	FLEET_HOST_MAX = VISITOR_HOST_MAX,
	FLEET_BURNT_DOOR_MAX = DOOR_NAME_MAX + 2, /* "NAME/4" */
	FLEET_NONCE_SIZE = 12,
	FLEET_PLAIN_SIZE = 256, /* each of them: nobody sees what it is about */
};

enum fleet_kind {
	FLEET_OPEN = 1, /* the host holds the door open for the source until `until_us` */
	FLEET_CLOSED,	/* it does not any more */
	FLEET_SHUT,	/* somebody there has closed it by hand, for all hosts */
	FLEET_BURNT,	/* a token or an SPA knock was used there */
	FLEET_STATUS,	/* the host is there, and shares the door */
	N_FLEET_KINDS
};

struct fleet_message {
	enum fleet_kind kind;
	enum knock_kind knock; /* of OPEN */
	uint64_t stamp_us;     /* orders what a host says: wall clock, but never back */
	uint64_t until_us;     /* when it means nothing any more, on the wall clock */
	struct address source; /* of STATUS and BURNT: all zero */
	char host[FLEET_HOST_MAX + 1];
	char door[FLEET_BURNT_DOOR_MAX + 1]; /* as the fleet calls it; of BURNT as burn.h has it */
	char user[USER_NAME_MAX + 1];	     /* of OPEN: whose key it was; or "" */
	struct key_id key;		     /* of BURNT */
	uint64_t step;			     /* of BURNT: a token's; of STATUS: how many are open */
	uint32_t time_s;		 /* of BURNT: an SPA knock's; 0: it is a token. Of STATUS:
					    what the host's clock says */
	uint8_t nonce[FLEET_NONCE_SIZE]; /* of BURNT: an SPA knock's */
};

/* Whether it is of a kind that closes what is open. */
bool fleet_message_closes(const struct fleet_message *message);

/* The message must be as fleet_decode() would give it. */
void fleet_encode(const struct fleet_message *message, uint8_t ret[static FLEET_PLAIN_SIZE]);

/* 0; -EINVAL: they are not the bytes of a message, of which there is one form. */
int fleet_decode(const uint8_t plain[static FLEET_PLAIN_SIZE], struct fleet_message *ret);
