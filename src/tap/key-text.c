#include "tap/key-text.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "core/sealed/line.h"
#include "tap/private-file.h"
#include "util/passphrase.h"

enum { NOT_FOR_OTHERS = 0077, PAGE_MAX = 256 * 1024 };

static const char *unseal(const char *line, size_t length, char ret_text[static KEY_FILE_MAX],
			  size_t *ret_size)
{
	char passphrase[PASSPHRASE_MAX + 1] = "";
	int r = 0;

	if (sealed_line_is_sealed(line, length)) {
		r = passphrase_ask("Passphrase of the key: ", passphrase);
		if (r == -ENXIO)
			return "it is sealed, and there is no terminal to ask for its passphrase on";
		if (r < 0)
			return "it is sealed, and no passphrase was given";
	}
	r = sealed_line_read(line, length, passphrase, strlen(passphrase), ret_text, ret_size);
	sodium_memzero(passphrase, sizeof passphrase);
	if (r == -EBADMSG)
		return "the passphrase is wrong (or the file is damaged)";
	return r < 0 ? "it is a page or a sealed key, but a damaged one" : NULL;
}

/* Of what was read. */
static const char *key_text_take(const char *file, size_t size, char ret_text[static KEY_FILE_MAX],
				 size_t *ret_size)
{
	const char *line;
	size_t length;

	if (sealed_line_find(file, size, &line, &length))
		return unseal(line, length, ret_text, ret_size);
	if (size > KEY_FILE_MAX)
		return private_file_problem(-EFBIG);
	memcpy(ret_text, file, size);
	*ret_size = size;
	return NULL;
}

const char *key_text_read(const char *path, char ret_text[static KEY_FILE_MAX], size_t *ret_size)
{
	char *file = sodium_malloc(PAGE_MAX);
	const char *fault;
	size_t size;
	int r = file ? private_file_read(path, NOT_FOR_OTHERS, file, PAGE_MAX, &size) : -ENOMEM;

	fault = r < 0 ? private_file_problem(r) : key_text_take(file, size, ret_text, ret_size);
	sodium_free(file);
	return fault;
}
