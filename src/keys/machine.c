#include "keys/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

#include "core/secret.h"
#include "util/cleanup.h"

enum { ID_SIZE = 16, REALM_BYTES = 8 };

/* This program's: 616aea08474344d590c25d4564aa7ccb. */
static const uint8_t application[ID_SIZE] = {
	0x61, 0x6a, 0xea, 0x08, 0x47, 0x43, 0x44, 0xd5,
	0x90, 0xc2, 0x5d, 0x45, 0x64, 0xaa, 0x7c, 0xcb,
};

static int read_id(uint8_t ret[static ID_SIZE])
{
	CLEANUP(cleanup_close) int fd = open("/etc/machine-id", O_RDONLY | O_CLOEXEC | O_NOCTTY);
	char text[2 * ID_SIZE];
	size_t size;
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, text, sizeof text);
	if (n < 0)
		return -errno;
	if (sodium_hex2bin(ret, ID_SIZE, text, (size_t)n, NULL, &size, NULL) < 0 || size != ID_SIZE)
		return -ENOMEDIUM;
	return 0;
}

int machine_realm(char ret[static REALM_MAX + 1])
{
	const struct secret_piece piece = {application, sizeof application};
	uint8_t mac[SECRET_MAC_SIZE];
	struct secret id = {{0}}; /* HMAC pads a key with zeros */
	int r = read_id(id.bytes);

	if (r < 0)
		return r;
	secret_mac(&id, &piece, 1, mac);
	/* As a UUID of version 4 (RFC 9562, 5.4) has it. */
	mac[6] = (mac[6] & 0x0f) | 0x40;
	sodium_bin2hex(ret, 2 * REALM_BYTES + 1, mac, REALM_BYTES);
	secret_wipe(&id);
	return 0;
}
