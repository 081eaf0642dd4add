/* What fleet.conf says, knocktail-fleet.conf(5). */
#pragma once

#include "core/door.h"
#include "fleet/message.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FLEET_CONFIG_MAX = 1 << 20, FLEET_PATH_MAX = 255, FLEET_SHARES_MAX = 1024 };

/* A door of this host, and what the fleet calls it. */
struct fleet_share {
	char door[DOOR_NAME_MAX + 1], name[DOOR_NAME_MAX + 1];
	unsigned line;
};

enum { FLEET_KEYS_MAX = 16 };

struct fleet_config {
	char name[FLEET_NAME_MAX + 1], host[FLEET_HOST_MAX + 1], key[FLEET_PATH_MAX + 1];
	char broker[FLEET_PATH_MAX + 1]; /* a name or an address */
	char socket[FLEET_PATH_MAX + 1]; /* or a socket of this machine */
	uint16_t port;			 /* 0: by TLS or not */
	char ca[FLEET_PATH_MAX + 1], certificate[FLEET_PATH_MAX + 1],
		private_key[FLEET_PATH_MAX + 1];
	char user[FLEET_PATH_MAX + 1], password_file[FLEET_PATH_MAX + 1];
	struct fleet_share *shares;
	size_t n_shares;
	unsigned lines[FLEET_KEYS_MAX];
};

/* Called for each mistake; line 0: of the whole file. */
typedef void (*fleet_complain_fn)(void *userdata, unsigned line, const char *text);

/* Reads the whole text. 0; -EBADMSG: it is wrong, and `complain` was told how; -ENOMEM. */
int fleet_config_parse(const char *text, size_t size, fleet_complain_fn complain, void *userdata,
		       struct fleet_config **ret);
struct fleet_config *fleet_config_free(struct fleet_config *config);

/* The same of a file; -EBADF: it is not one; another negative errno: it cannot be read. */
int fleet_config_load(const char *path, fleet_complain_fn complain, void *userdata,
		      struct fleet_config **ret);

/* What the fleet calls a door of ours, and what we call one of the fleet's; NULL: it is not shared.
 */
const char *fleet_config_name(const struct fleet_config *config, const char *door);
const char *fleet_config_door(const struct fleet_config *config, const char *name);

/* In which line this value of the configuration stands; 0: nowhere. */
unsigned fleet_config_line(const struct fleet_config *config, const char *value);

/* Whether the broker is on this machine: a socket, or loopback as an address. */
bool fleet_config_is_local(const struct fleet_config *config);
