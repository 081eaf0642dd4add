/* What a rule of iptables does: -j and the options of the target. */
#pragma once

#include <stdbool.h>

struct rule_reader;

/* Reads the option that the reader has come to, with its values. False: it is none of these. */
bool targets_read(struct rule_reader *reader, const char *option, int *ret_error);
