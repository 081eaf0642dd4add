/* Ports that never come to INPUT, for whoever prints rules that guard them there. */
#pragma once

struct config;

/* Says on standard error which of the doors' ports the rules that are loaded send elsewhere, and
 * how to guard them there. Says nothing if the rules cannot be read. */
void moved_warn(const struct config *config);
