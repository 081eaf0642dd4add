/* Burnt knocks: what tokens and SPA knocks have been used, so that none is valid twice.
 *
 * MUST: a knock is burnt on disk, directory included, before it has any effect: a crash or a power
 * cut loses a knock and never lets one in again. MUST: what cannot be read or written is refused.
 *
 * There is one file a key, of a bounded size, so that what one key's holder does never concerns
 * others. What has to be dropped from it raises a floor, below which everything counts as used: so
 * a clock that is set back makes nothing valid again. */
#pragma once

#include "core/door.h"
#include "keys/keyring.h"

#include <stddef.h>
#include <stdint.h>

struct burnt;

enum {
	BURNT_DOORS_MAX = 512, /* that one key has opened, over each family */
	BURNT_DOOR_MAX = DOOR_NAME_MAX + 2,
	BURNT_NONCES_MAX = 256, /* of one key, within twice clock_skew */
	BURNT_AHEAD_MAX = 16,	/* tokens of one door that came too early */
	BURNT_NONCE_SIZE = 12,
};

/* Keeps files in this directory, which is made when first needed; or (NULL) nothing but what
 * this process has seen. `skew_s` is how far a client's clock may be off. 0 or -ENOMEM. */
int burnt_new(const char *directory, uint32_t skew_s, struct burnt **ret);
struct burnt *burnt_free(struct burnt *burnt);

void burnt_set_skew(struct burnt *burnt, uint32_t skew_s);

/* Both burn a knock, now being the Unix time `now_s`. A token's door is written "NAME/4" or
 * "NAME/6", for each family has tokens of its own. 0: it may open its door. -EALREADY: it was used
 * before. -ESTALE: it is older than one that was. -EBADMSG: the key's file is damaged or could not
 * be read, and the knock may have been used; one of a few minutes later will do. -ENOBUFS: too many
 * of this key in too short a time. Another negative errno: the file could not be read or written;
 * the knock must not be used, and will not be good later. */
int burnt_token(struct burnt *burnt, const struct key_id *id, const char *door, uint64_t step,
		uint64_t now_s);
int burnt_nonce(struct burnt *burnt, const struct key_id *id,
		const uint8_t nonce[static BURNT_NONCE_SIZE], uint32_t time_s, uint64_t now_s);

/* Burns a token whose time has yet to come: somebody who has seen it must not send it then. The
 * same results. */
int burnt_token_ahead(struct burnt *burnt, const struct key_id *id, const char *door, uint64_t step,
		      uint64_t now_s);

/* The same, of one that was used at another host, which may say what it likes: more than can be
 * told apart use up nothing before them, but are -ENOBUFS. */
int burnt_token_elsewhere(struct burnt *burnt, const struct key_id *id, const char *door,
			  uint64_t step, uint64_t now_s);

/* When a knock with this key was last burnt in this directory, a Unix time; 0: never, as far as can
 * be known. */
uint64_t burnt_last_s(const char *directory, const struct key_id *id);
