/* What is wrong, on standard error.
 *
 * MUST: what a caller's arguments or a server's answer hold must not steer the terminal. */
#pragma once

/* "knocktap: ", the text, and a newline. */
__attribute__((format(printf, 1, 2))) void complain(const char *format, ...);
