#include "core/token.h"

#include <sodium.h>
#include <string.h>

#include "core/secret.h"

static const char kind[] = "token";
static const struct address nobody;

static void put_be64(uint64_t number, uint8_t ret[static 8])
{
	for (int i = 7; i >= 0; i--, number >>= 8)
		ret[i] = (uint8_t)number;
}

/* Each text is authenticated with its NUL, which keeps it apart from what follows. */
static void mac_of(const struct token_seed *seed, const char *purpose, const struct address *bound,
		   uint8_t ret_mac[static SECRET_MAC_SIZE])
{
	const uint8_t family = seed->family == FAMILY_IPV4 ? 4 : 6;
	uint8_t number[8];
	const struct secret_piece pieces[] = {
		{kind, sizeof kind},
		{purpose, strlen(purpose) + 1},
		{seed->door, strlen(seed->door) + 1},
		{&family, sizeof family},
		{number, sizeof number},
		{bound ? bound->bytes : NULL, bound ? sizeof bound->bytes : 0},
	};

	put_be64(seed->step, number);
	mac_key_mac(seed->base, pieces, bound ? 6 : 5, ret_mac);
}

uint64_t token_step(uint64_t unix_s)
{
	return unix_s / TOKEN_STEP_S;
}

uint16_t token_selector(const struct token_seed *seed)
{
	uint8_t mac[SECRET_MAC_SIZE];
	uint16_t port;

	mac_of(seed, "select", NULL, mac);
	port = secret_port(mac, 0);
	sodium_memzero(mac, sizeof mac);
	return port;
}

/* The port itself, or the next one that is none of the n. */
static uint16_t free_port(uint16_t port, const uint16_t *taken, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (taken[i] != port)
			continue;
		port = port == UINT16_MAX ? TOKEN_PORT_MIN : (uint16_t)(port + 1);
		i = (size_t)-1; /* it may be one of those before */
	}
	return port;
}

void token_ports(const struct token_seed *seed, const struct address *bound,
		 uint16_t ret_ports[static TOKEN_PORTS])
{
	uint8_t mac[SECRET_MAC_SIZE];

	ret_ports[0] = token_selector(seed);
	mac_of(seed, "rest", bound ? bound : &nobody, mac);
	for (size_t i = 1; i < TOKEN_PORTS; i++)
		ret_ports[i] = free_port(secret_port(mac, i - 1), ret_ports, i);
	sodium_memzero(mac, sizeof mac);
}

bool token_is_complete(const uint16_t ports[static TOKEN_PORTS], const uint16_t *seen, size_t n)
{
	unsigned n_found = 0;

	for (size_t i = 0; i < TOKEN_PORTS; i++) {
		unsigned found = 0;

		/* Differing by nothing borrows from the bits above. */
		for (size_t j = 0; j < n; j++)
			found |= (((uint32_t)(ports[i] ^ seen[j]) - 1) >> 31) & 1;
		n_found += found;
	}
	return n_found == TOKEN_PORTS;
}
