/* Any bytes as a key file: either they are refused, or they are one key in its only spelling. */
#include <errno.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/key-line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static bool has_newline(const char *text, size_t size)
{
	return size > 0 && text[size - 1] == '\n';
}

/* The key that is read is the one that is written there. */
static void check_key(const char *text, size_t size, const char *realm, const struct secret *base)
{
	char line[KEY_LINE_MAX + 1];
	struct secret key, again;
	size_t length = size - has_newline(text, size);

	require(realm_is_name(realm) && length <= KEY_LINE_MAX && length > SECRET_TEXT_SIZE);
	require(secret_parse(text + length - SECRET_TEXT_SIZE, SECRET_TEXT_SIZE, &key) == 0);
	key_line_format(realm, &key, line);
	require(strlen(line) == length && memcmp(line, text, length) == 0);
	key_base(&key, realm, &again);
	require(memcmp(&again, base, sizeof again) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	char realm[REALM_MAX + 1];
	struct secret base;
	int r = key_line_parse(text, size, realm, &base);

	if (r == 0)
		check_key(text, size, realm, &base);
	else if (r == -EPROTONOSUPPORT)
		require(size == SECRET_TEXT_SIZE + (size_t)has_newline(text, size));
	else
		require(r == -EINVAL);
	return 0;
}
