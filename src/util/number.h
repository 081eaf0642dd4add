/* Whole numbers in text. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Decimal digits and nothing else: no sign, no blank. 0; -EINVAL: something else, or more than 18
 * digits. */
int number_parse(const char *text, size_t length, uint64_t *ret);
