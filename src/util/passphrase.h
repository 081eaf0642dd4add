/* A passphrase, asked for on the terminal.
 *
 * MUST: it is not echoed, nor left in memory by this file. A signal that ends us leaves a terminal
 * that echoes again. */
#pragma once

#include <stddef.h>

enum { PASSPHRASE_MAX = 1024 };

/* Asks on the controlling terminal. 0, and its bytes without the newline, NUL-terminated, which are
 * the caller's to wipe; -ENXIO: there is no terminal; -EMSGSIZE: it is longer than PASSPHRASE_MAX;
 * -EINTR: a signal came that does not end us; -EPIPE: no line came; another negative errno. */
int passphrase_ask(const char *prompt, char ret[static PASSPHRASE_MAX + 1]);

/* What is wrong with one that is to be used elsewhere as well; NULL: nothing. */
const char *passphrase_fault(const char *passphrase);
