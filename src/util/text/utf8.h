/* Text in UTF-8 (RFC 3629), one character at a time. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The length of the character at `text`, of which `length` bytes are there (1 or more), and its
 * code point; 0 if none begins there. */
size_t utf8_decode(const char *text, size_t length, uint32_t *ret_code);

/* Whether the code point steers a terminal instead of being shown: C0, DEL or C1. */
bool utf8_is_control(uint32_t code);

/* Letters of other scripts may pass, what steers a terminal is replaced. */
void utf8_defuse(char *text);

/* Characters, not bytes: whatever begins none is not counted. */
size_t utf8_count(const char *text);
