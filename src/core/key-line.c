#include "core/key-line.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

static const char version[] = "knocktail2";

bool realm_is_name(const char *text)
{
	size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789._-");

	return length > 0 && length <= REALM_MAX && text[length] == '\0';
}

void key_base(const struct secret *key, const char *realm, struct secret *ret_base)
{
	static const char purpose[] = "knocktail/2";
	const struct secret_piece pieces[] = {{purpose, sizeof purpose}, {realm, strlen(realm)}};

	secret_mac(key, pieces, 2, ret_base->bytes);
}

/* What stands between the version and the key. 0 or -EINVAL. */
static int take_realm(const char *text, size_t length, char ret[static REALM_MAX + 1])
{
	char realm[REALM_MAX + 1] = "";

	if (length > REALM_MAX || memchr(text, '\0', length))
		return -EINVAL;
	memcpy(realm, text, length);
	if (!realm_is_name(realm))
		return -EINVAL;
	memcpy(ret, realm, sizeof realm);
	return 0;
}

int key_line_parse(const char *text, size_t length, char ret_realm[static REALM_MAX + 1],
		   struct secret *ret_base)
{
	const char *realm = text + sizeof version, *space;
	struct secret key;
	int r = -EINVAL;

	if (length > sizeof version && memcmp(text, version, sizeof version - 1) == 0 &&
	    realm[-1] == ' ') {
		size_t left = length - sizeof version;

		space = memchr(realm, ' ', left);
		if (space)
			r = secret_parse(space + 1, left - (size_t)(space + 1 - realm), &key);
		if (r == 0)
			r = take_realm(realm, (size_t)(space - realm), ret_realm);
		if (r == 0)
			key_base(&key, ret_realm, ret_base);
	} else if (secret_parse(text, length, &key) == 0) {
		r = -EPROTONOSUPPORT;
	}
	secret_wipe(&key);
	return r;
}

void key_line_format(const char *realm, const struct secret *key,
		     char line[static KEY_LINE_MAX + 1])
{
	size_t length = strlen(realm);
	char *end = line + sizeof version;

	memcpy(line, version, sizeof version - 1);
	line[sizeof version - 1] = ' ';
	memcpy(end, realm, length);
	end[length] = ' ';
	secret_format(key, end + length + 1);
}
