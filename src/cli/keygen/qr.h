/* QR codes on a terminal. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Whether there are any: configure may have been told to leave libqrencode out. */
extern const bool qr_is_built_in;

/* Prints the bytes as a QR code on standard output, dark on light whatever the terminal's colours
 * are, in UTF-8. It is wiped from memory as far as libqrencode lets us. 0 or -ENOMEM. */
int qr_print(const char *data, size_t size);
