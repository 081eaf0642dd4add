/* Sets of ipset, as `ipset save` prints them, looked up by rules. */
#pragma once

struct rule_reader;

/* Reads --match-set NAME DIRECTIONS. 0 or -ENOMEM. */
int ipset_read_match(struct rule_reader *reader);
