/* Where packets go: the addresses of a name. */
#pragma once

#include "core/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum { DESTINATIONS_MAX = 16 };

struct destination {
	struct sockaddr_storage socket_address; /* without a port */
	socklen_t size;
};

/* All of one family, unless both were asked for. */
struct destinations {
	size_t n;
	struct destination items[DESTINATIONS_MAX];
};

struct addrinfo;

/* All addresses, or (unless `both`) those that have the family of the first one, once each, in
 * their order. */
void destinations_pick(const struct addrinfo *list, bool both, struct destinations *ret);

/* Looks a name up. The addresses are of the family that a connection would use: the one asked for
 * (AF_INET, AF_INET6); for AF_UNSPEC, that of the address that getaddrinfo() puts first; or of
 * both, for SETTINGS_BOTH. NULL, or what went wrong. */
const char *destinations_resolve(const char *host, int family, struct destinations *ret);

/* AF_INET or AF_INET6, of the first one. */
int destinations_family(const struct destinations *destinations);

/* The same with a port. */
struct destination destination_at(const struct destination *destination, uint16_t port);

/* The address alone. */
struct address destination_address(const struct destination *destination);

/* The address of ours that packets to it come from. 0 or a negative errno: no way leads there. */
int destination_source(const struct destination *destination, struct destination *ret_source);

/* Whether a server sees this address of ours as it is: IPv6, or an IPv4 address that is not one of
 * those that address translation puts others in place of. */
bool destination_sees(const struct address *ours);

/* "HOST:PORT" as ssh(1) writes it: the last colon counts, and brackets around the host are taken
 * off. 0, or -EINVAL. */
int endpoint_parse(const char *text, char *ret_host, size_t size, uint16_t *ret_port);
