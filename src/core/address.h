/* One IP address of either family, in one shape. */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

/* IPv4 is kept as ::ffff:a.b.c.d (RFC 4291, 2.5.5.2): equality is memcmp, and a hash needs no
 * family. An IPv6 text that names such an address is refused, so the two never meet. */
struct address {
	uint8_t bytes[16];
};

enum family { FAMILY_IPV4, FAMILY_IPV6, N_FAMILIES };

/* Room for any formatted address and its NUL. */
#define ADDRESS_TEXT_MAX INET6_ADDRSTRLEN

/* An address with the number of its leading bits that count, over all 16 bytes (an IPv4 /24 is
 * 120 here). */
struct network {
	struct address base;
	uint8_t prefix;
};

/* Any usual spelling of one address, no zone, no prefix. 0, or -EINVAL. */
int address_parse(const char *text, struct address *ret);

/* Writes the canonical spelling (RFC 5952; dotted for IPv4) and returns `text`. */
const char *address_format(const struct address *address, char text[static ADDRESS_TEXT_MAX]);

enum family address_family(const struct address *address);

/* "IPv4" or "IPv6". */
const char *family_name(enum family family);

/* How many bits its addresses have. */
unsigned address_bits(enum family family);

bool address_equal(const struct address *a, const struct address *b);

/* Whether a packet from another host can have come from it: it is unicast, and neither unspecified,
 * loopback nor reserved (RFC 6890). */
bool address_is_host(const struct address *address);

/* Whether it is one of the link alone (fe80::/10), which every machine there has. */
bool address_is_link_local(const struct address *address);

/* The address with all but its first `prefix` bits cleared; `prefix` is 0 to 128. */
struct address address_masked(const struct address *address, unsigned prefix);

/* What counts as one source: an IPv4 address itself, the network of that prefix of an IPv6 one. */
struct address address_source(const struct address *address, unsigned ipv6_prefix);

/* "198.51.100.0/24", "2001:db8::/32", or a single address. 0; -EINVAL if it is neither; -EDOM if
 * bits are set beyond the prefix. */
int network_parse(const char *text, struct network *ret);

/* The network of the address's first bits: of `prefix` bits as its family counts them. */
struct network network_of(const struct address *address, unsigned prefix);

/* "198.51.100.0/24"; a single address as it is. Returns `text`. */
enum { NETWORK_TEXT_MAX = ADDRESS_TEXT_MAX + 4 };
const char *network_format(const struct network *network, char text[static NETWORK_TEXT_MAX]);

/* How many bits its prefix has, as its family counts them. */
unsigned network_length(const struct network *network);

/* Whether it is a single address. */
bool network_is_host(const struct network *network);

/* Whether the address is of the network's family and inside it. */
bool network_contains(const struct network *network, const struct address *address);
