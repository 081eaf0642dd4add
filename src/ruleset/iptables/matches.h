/* What a rule of iptables asks: its options before -j. */
#pragma once

#include <stdbool.h>

struct rule_reader;

/* Reads the option that the reader has come to, with its values. False: it is none of these. */
bool matches_read(struct rule_reader *reader, const char *option, int *ret_error);

/* Begins the options of a module. 0 or -ENOMEM. */
int matches_begin_module(struct rule_reader *reader);
