/* What the text after "=" in an INI file means: knocktail.conf(5) decides, and no library. */
#pragma once

#include <stddef.h>

/* Finds the value in the text: without the blanks around it, the quotes that it is put in, and the
 * comment behind it. NULL; or why it is not a clear value, as the rest of a sentence that starts
 * with "the value", and nothing is set. */
const char *ini_value_find(const char *text, size_t length, const char **ret_value,
			   size_t *ret_length);
