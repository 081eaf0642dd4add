/* Where a door sends on who has knocked: a machine behind this one. */
#pragma once

#include "core/address.h"

#include <stdbool.h>
#include <stdint.h>

/* Of the backend iptables: what is behind the name of its chain, so that what opens this machine's
 * ports never opens others'. */
#define FORWARD_CHAIN_SUFFIX "-FORWARD"
enum { CHAIN_NAME_MAX = 28, FORWARD_CHAIN_MAX = CHAIN_NAME_MAX - sizeof FORWARD_CHAIN_SUFFIX + 1 };

struct forward {
	bool is_there;
	struct address address;
	uint16_t port; /* 0: that which they have asked for */
};

/* "10.0.0.5", "10.0.0.5:443", "fd00::5", "[fd00::5]:443": a host's address of this family. 0, or
 * -EINVAL: it is not that. */
int forward_parse(const char *text, enum family family, struct forward *ret);

/* As iptables and nft take it, and forward_parse(). Returns `text`. */
enum { FORWARD_TEXT_MAX = ADDRESS_TEXT_MAX + sizeof "[]:65535" };
const char *forward_format(const struct forward *forward, char text[static FORWARD_TEXT_MAX]);
