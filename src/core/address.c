#include "core/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t ipv4_mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

int address_parse(const char *text, struct address *ret)
{
	struct address address = {0};

	if (inet_pton(AF_INET, text, address.bytes + sizeof ipv4_mapped) == 1) {
		memcpy(address.bytes, ipv4_mapped, sizeof ipv4_mapped);
	} else if (inet_pton(AF_INET6, text, address.bytes) == 1) {
		if (address_family(&address) == FAMILY_IPV4)
			return -EINVAL;
	} else {
		return -EINVAL;
	}
	*ret = address;
	return 0;
}

const char *address_format(const struct address *address, char text[static ADDRESS_TEXT_MAX])
{
	if (address_family(address) == FAMILY_IPV4)
		inet_ntop(AF_INET, address->bytes + sizeof ipv4_mapped, text, ADDRESS_TEXT_MAX);
	else
		inet_ntop(AF_INET6, address->bytes, text, ADDRESS_TEXT_MAX);
	return text;
}

enum family address_family(const struct address *address)
{
	return memcmp(address->bytes, ipv4_mapped, sizeof ipv4_mapped) == 0 ? FAMILY_IPV4
									    : FAMILY_IPV6;
}

unsigned address_bits(enum family family)
{
	return family == FAMILY_IPV4 ? 32 : 128;
}

const char *family_name(enum family family)
{
	static const char *const names[N_FAMILIES] = {"IPv4", "IPv6"};

	return names[family];
}

bool address_equal(const struct address *a, const struct address *b)
{
	return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

bool address_is_host(const struct address *address)
{
	static const struct address unspecified, loopback = {{[15] = 1}};
	const uint8_t *bytes = address->bytes;

	if (address_family(address) == FAMILY_IPV4) {
		uint8_t first = bytes[sizeof ipv4_mapped];

		return first != 0 && first != 127 && first < 224;
	}
	return bytes[0] != 0xff && !address_equal(address, &unspecified) &&
	       !address_equal(address, &loopback);
}

bool address_is_link_local(const struct address *address)
{
	return address->bytes[0] == 0xfe && (address->bytes[1] & 0xc0) == 0x80;
}

struct address address_masked(const struct address *address, unsigned prefix)
{
	struct address masked = *address;

	for (unsigned i = 0; i < sizeof masked.bytes; i++) {
		unsigned kept = prefix > 8 * i ? prefix - 8 * i : 0;

		if (kept < 8)
			masked.bytes[i] &= (uint8_t)(0xff00u >> kept);
	}
	return masked;
}

struct address address_source(const struct address *address, unsigned ipv6_prefix)
{
	return address_family(address) == FAMILY_IPV6 ? address_masked(address, ipv6_prefix)
						      : *address;
}

static int prefix_parse(const char *text, unsigned max, unsigned *ret)
{
	unsigned value = 0;

	if (!*text || strlen(text) > 3)
		return -EINVAL;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		value = value * 10 + (unsigned)(*text - '0');
	}
	if (value > max)
		return -EINVAL;
	*ret = value;
	return 0;
}

int network_parse(const char *text, struct network *ret)
{
	const char *slash = strchr(text, '/');
	size_t length = slash ? (size_t)(slash - text) : strlen(text);
	char host[ADDRESS_TEXT_MAX];
	struct network network;
	struct address masked;
	unsigned bits, prefix;

	if (length >= sizeof host)
		return -EINVAL;
	memcpy(host, text, length);
	host[length] = '\0';
	if (address_parse(host, &network.base) < 0)
		return -EINVAL;

	bits = address_bits(address_family(&network.base));
	prefix = bits;
	if (slash && prefix_parse(slash + 1, bits, &prefix) < 0)
		return -EINVAL;
	network.prefix = (uint8_t)(prefix + 128 - bits);
	masked = address_masked(&network.base, network.prefix);
	if (!address_equal(&masked, &network.base))
		return -EDOM;
	*ret = network;
	return 0;
}

/* An IPv4 address is the last 32 bits. */
static unsigned family_offset(const struct address *address)
{
	return 128 - address_bits(address_family(address));
}

struct network network_of(const struct address *address, unsigned prefix)
{
	prefix += family_offset(address);
	return (struct network){address_masked(address, prefix), (uint8_t)prefix};
}

unsigned network_length(const struct network *network)
{
	return network->prefix - family_offset(&network->base);
}

bool network_is_host(const struct network *network)
{
	return network->prefix == 128;
}

const char *network_format(const struct network *network, char text[static NETWORK_TEXT_MAX])
{
	unsigned length = network_length(network), n_digits = length > 99 ? 3 : length > 9 ? 2 : 1;
	char *end;

	address_format(&network->base, text);
	if (network_is_host(network))
		return text;
	end = text + strlen(text);
	*end = '/';
	end[n_digits + 1] = '\0';
	for (; n_digits > 0; length /= 10)
		end[n_digits--] = (char)('0' + length % 10);
	return text;
}

bool network_contains(const struct network *network, const struct address *address)
{
	struct address masked = address_masked(address, network->prefix);

	return address_family(&network->base) == address_family(address) &&
	       address_equal(&masked, &network->base);
}
