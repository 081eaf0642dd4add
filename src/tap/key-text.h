/* The text of a key file, out of the file itself or out of a page that holds it. */
#pragma once

#include <stddef.h>

#include "core/key-file.h"

/* Reads it, for the caller to wipe. If it is sealed, its passphrase is asked for on the terminal.
 * NULL, or what is wrong. */
const char *key_text_read(const char *path, char ret_text[static KEY_FILE_MAX], size_t *ret_size);
