/* What a value of an INI file must look like for every reader to read the same. */
#pragma once

#include <stddef.h>

/* Why the text after "=" is no clear value, as the rest of a sentence that starts with "the value";
 * NULL if it is one. */
const char *ini_value_fault(const char *text, size_t length);
