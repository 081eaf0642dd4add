/* The rules that are loaded, of both kinds of firewall. */
#pragma once

struct ruleset;

enum { RULESET_PROBLEM_MAX = 512 };

/* Asks the programs of both firewalls. 0, or a negative errno with the problem in words. */
int ruleset_read(struct ruleset *ret, char problem[static RULESET_PROBLEM_MAX]);
